// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "dsn/platform/meter_sources.h"

namespace dsn {
namespace {

using Clock = std::chrono::steady_clock;

// Sums up what a source reads, one sample after another.
class Integral {
 public:
  explicit Integral(const MeterSource& source) : source_(&source), last_(source.terms.size(), 0) {}

  // Returns 0 or errno; a sample counts only when every term could be read.
  int sample() noexcept {
    double power_w = 0, gained_j = 0;
    for (std::size_t i = 0; i < source_->terms.size(); ++i) {
      double value = 0;
      if (const int error = read_term(source_->terms[i], value); error != 0) {
        ++failed_;
        last_error_ = error;
        failed_term_ = i;
        return error;
      }
      now_[i] = value;
      if (!source_->info.counter) power_w += value;
    }
    const auto time = Clock::now();
    if (source_->info.counter) {
      for (std::size_t i = 0; i < last_.size(); ++i) gained_j += gained(i);
    } else if (samples_ > 0) {
      gained_j = 0.5 * (power_w + last_w_) * std::chrono::duration<double>(time - last_time_).count();
    }
    if (samples_ == 0) first_time_ = time;
    if (samples_ > 0) energy_j_ += gained_j;
    for (std::size_t i = 0; i < last_.size(); ++i) last_[i] = now_[i];
    last_w_ = power_w;
    last_time_ = time;
    ++samples_;
    return 0;
  }

  [[nodiscard]] EnergyReading reading() const {
    if (samples_ < 2 || failed_ > samples_)
      throw sensor_error(last_error_, source_->terms[failed_term_].file);
    EnergyReading reading;
    reading.energy_j = energy_j_;
    reading.seconds = std::chrono::duration<double>(last_time_ - first_time_).count();
    reading.samples = samples_;
    reading.failed = failed_;
    const double unseen_j = reading.power_w() * source_->info.period_s;
    reading.resolution_j = source_->info.counter ? std::max(source_->info.step, unseen_j)
                                                 : std::max(source_->info.step * reading.seconds, unseen_j);
    return reading;
  }

 private:
  [[nodiscard]] double gained(std::size_t i) const noexcept {
    const double difference = now_[i] - last_[i];
    return difference >= 0 ? difference : difference + source_->terms[i].range_j;
  }

  const MeterSource* source_;
  std::vector<double> last_, now_ = std::vector<double>(last_.size(), 0);
  double last_w_ = 0, energy_j_ = 0;
  Clock::time_point first_time_, last_time_;
  int samples_ = 0, failed_ = 0, last_error_ = 0;
  std::size_t failed_term_ = 0;
};

class SampledMeter final : public EnergyMeter {
 public:
  explicit SampledMeter(MeterSource source) : source_(std::move(source)), integral_(source_) {}
  SampledMeter(const SampledMeter&) = delete;
  SampledMeter& operator=(const SampledMeter&) = delete;
  ~SampledMeter() override { join(); }

  [[nodiscard]] const MeterInfo& info() const noexcept override { return source_.info; }

  void start() override {
    join();
    integral_ = Integral(source_);
    if (const int error = integral_.sample(); error != 0)
      throw sensor_error(error, source_.terms.front().file);
    ending_ = false;
    thread_ = std::thread([this] { watch(); });
  }

  [[nodiscard]] EnergyReading stop() override {
    join();
    static_cast<void>(integral_.sample());
    return integral_.reading();
  }

 private:
  void watch() {
    const auto pause =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(source_.info.sample_s));
    auto next = Clock::now() + pause;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_until(lock, next, [this] { return ending_; })) {
      static_cast<void>(integral_.sample());
      // A reading over a slow bus may take longer than the pause: what is late is left out, not made up for.
      next = std::max(next + pause, Clock::now());
    }
  }

  void join() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  MeterSource source_;
  Integral integral_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = true;
  std::thread thread_;
};

}  // namespace

std::vector<FoundMeter> find_meters(const fs::path& root) {
  std::vector<FoundMeter> meters;
  for (MeterSource& source : find_sources(root))
    meters.push_back({std::move(source.info), std::move(source.obstacle)});
  return meters;
}

std::unique_ptr<EnergyMeter> open_meter(const std::string& id, const fs::path& root,
                                        double longest_window_s) {
  std::string names;
  for (MeterSource& source : find_sources(root)) {
    const bool wanted =
        id == "auto" ? !source.obstacle && !source.info.part && source.info.window_s <= longest_window_s
                     : source.info.id == id;
    if (!wanted) {
      names += (names.empty() ? "" : ", ") + source.info.id;
      continue;
    }
    if (source.obstacle) throw std::move(*source.obstacle);
    return std::make_unique<SampledMeter>(std::move(source));
  }
  if (id == "auto") return nullptr;
  throw Error(ErrorCode::not_found, fmt::format("this machine has no energy meter \"{}\"", id),
              names.empty() ? "it has none (see dsn doctor)" : "it has: " + names);
}

Json to_json(const MeterInfo& info) {
  Json json = {{"id", info.id},
               {"covers", info.covers},
               {"kind", info.counter ? "counter" : "sampled power"},
               {"period_s", info.period_s},
               {"period_origin", info.period_said ? "said by the driver" : "assumed"},
               {"sample_s", info.sample_s},
               {"window_s", info.window_s}};
  json[info.counter ? "step_j" : "step_w"] = info.step;
  return json;
}

}  // namespace dsn
