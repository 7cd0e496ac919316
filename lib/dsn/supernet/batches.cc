// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr std::size_t kAhead = 4;  // batches kept ready

Batch empty_batch(std::size_t count, int channels, int r) {
  const auto n = static_cast<std::int64_t>(count);
  return {torch::empty({n, channels, r, r}), torch::empty({n}, torch::kInt64)};
}

std::span<float> item(Batch& batch, std::size_t i) {
  const std::int64_t size = batch.images[0].numel();
  return {batch.images.data_ptr<float>() + static_cast<std::int64_t>(i) * size,
          static_cast<std::size_t>(size)};
}

}  // namespace

Batch make_batch(const Dataset& data, const Preprocessing& how, int r, std::size_t first, std::size_t count) {
  Batch batch = empty_batch(count, how.channels, r);
  for (std::size_t i = 0; i < count; ++i) {
    preprocess(data.image(first + i), how, r, item(batch, i));
    batch.labels.data_ptr<std::int64_t>()[i] = data.label(first + i);
  }
  return batch;
}

std::vector<torch::Tensor> calibration_batches(const Dataset& data, const Preprocessing& how, int r,
                                               std::size_t count, std::size_t batch) {
  count = std::min(count, data.size());
  std::vector<torch::Tensor> batches;
  for (std::size_t first = 0; first < count; first += batch) {
    const std::size_t n = std::min(batch, count - first);
    Batch b = empty_batch(n, how.channels, r);
    for (std::size_t i = 0; i < n; ++i)
      preprocess(data.image((first + i) * data.size() / count), how, r, item(b, i));
    batches.push_back(b.images);
  }
  return batches;
}

TrainBatches::TrainBatches(const Dataset& data, const Preprocessing& how, const Augmentation& augmentation,
                           const BatchPlan& plan)
    : data_(data),
      how_(how),
      augmentation_(augmentation),
      plan_([&] {
        BatchPlan p = plan;
        if (p.count == 0) p.count = p.batch;
        return p;
      }()),
      order_(data.size()),
      claimed_(plan.first_step),
      taken_(plan.first_step) {
  if (data.size() < plan.batch) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} training images, expected at least one batch of {}", data.name(),
                            data.size(), plan.batch),
                "choose a smaller --batch");
  }
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  Rng rng = Rng::stream(plan.seed, fmt::format("order/{}", plan.epoch));
  rng.shuffle(std::span(order_));
  for (int i = 0; i < std::max(1, plan.loaders); ++i) threads_.emplace_back([this] { produce(); });
}

TrainBatches::~TrainBatches() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Batch TrainBatches::make(std::size_t step) const {
  Batch batch = empty_batch(plan_.count, how_.channels, plan_.r);
  if (plan_.pin) batch.images = batch.images.pin_memory();
  for (std::size_t i = 0; i < plan_.count; ++i) {
    const std::size_t index = order_[step * plan_.batch + plan_.first + i];
    Rng rng = Rng::stream(plan_.seed, fmt::format("augment/{}/{}", plan_.epoch, index));
    preprocess(augment(data_.image(index), augmentation_, rng), how_, plan_.r, item(batch, i));
    batch.labels.data_ptr<std::int64_t>()[i] = data_.label(index);
  }
  return batch;
}

void TrainBatches::produce() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // A step is claimed only when it is near, so that what is ready stays small however slow the consumer is.
    changed_.wait(lock, [&] { return stop_ || claimed_ < taken_ + kAhead + threads_.size(); });
    if (stop_ || claimed_ >= steps(data_, plan_.batch)) return;
    const std::size_t step = claimed_++;
    lock.unlock();
    Made made;
    try {
      made.batch = make(step);
    } catch (...) {
      made.error = std::current_exception();
    }
    lock.lock();
    ready_[step] = std::move(made);
    changed_.notify_all();
  }
}

Batch TrainBatches::next() {
  if (taken_ >= steps(data_, plan_.batch)) return {};
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ready_.contains(taken_); });
  const Made made = std::move(ready_.extract(taken_).mapped());
  ++taken_;
  changed_.notify_all();
  if (made.error) std::rethrow_exception(made.error);
  return made.batch;
}

}  // namespace dsn
