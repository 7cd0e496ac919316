// SPDX-License-Identifier: Apache-2.0
// Times sub-networks on an executor, one JSON line each, as ort_bench.js does for ONNX Runtime.
//
// usage: engine_bench [--engine NAME] [--threads N] [--runs N] [--warmup N] [--units|--switch|--memory]
//                     SUPERNET CONFIG.json...
//   --units   each unit's time as well
//   --switch  all sub-networks in turn: what activating one costs, and the first inference after it beside
//             those that follow
//   --memory  resident bytes that all of them together add to the process, after inferences of each
#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/engine/executor.h"
#include "dsn/supernet/checkpoint.h"
#include "fakes/drawn_weights.h"
#include "timing.h"
#ifdef DSN_HAVE_TORCH
#include "dsn/engine/torch_executor.h"
#endif

namespace dsn::bench {
namespace {

// An executor with all sub-networks of the command line prepared, and an image for each.
struct Subject {
  double resident_before = resident_bytes();
  Checkpoint checkpoint;
  double create_ms = 0, prepare_ms = 0;
  std::unique_ptr<Executor> executor;
  std::vector<std::vector<float>> images;
  std::vector<float> logits;

  explicit Subject(const Options& o) : checkpoint(Checkpoint::open(o.files.front())) {
    auto start = Clock::now();
    executor = make_executor(o.engine, checkpoint.info.space, checkpoint.tensors);
    create_ms = ms_since(start);
    executor->set_threads(o.threads);
    std::vector<LevelSpec> levels;
    for (std::size_t i = 1; i < o.files.size(); ++i)
      levels.push_back({checkpoint.info.space.from_json(JsonView(read_json(o.files[i]), o.files[i])), {}});
    start = Clock::now();
    executor->prepare(levels);
    prepare_ms = ms_since(start);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      executor->activate(i);
      images.push_back(fakes::draw_images(executor->network(), 1));
    }
    logits.resize(static_cast<std::size_t>(checkpoint.info.space.classes()));
  }
  void infer(std::size_t level) { executor->infer(images[level], 1, logits); }
};

void time_units(Subject& s, std::size_t level, int runs) {
  const Network& net = s.executor->network();
  std::vector<std::vector<double>> all(net.units.size());
  for (int n = 0; n < runs; ++n) {
    auto last = Clock::now();
    const UnitObserver observer = [&](std::size_t unit) {
      const auto now = Clock::now();
      all[unit].push_back(std::chrono::duration<double, std::milli>(now - last).count());
      last = now;
    };
    s.executor->infer(s.images[level], 1, s.logits, &observer);
  }
  for (std::size_t u = 0; u < all.size(); ++u) {
    const double m = median(all[u]);
    fmt::print("  {:8.1f} us {:7.1f} GFLOP/s  {}\n", m * 1e3,
               2e-6 * static_cast<double>(net.units[u].macs()) / m, net.units[u].key());
  }
}

void time_levels(const Options& o) {
  Subject s(o);
  for (std::size_t i = 0; i < s.images.size(); ++i) {
    s.executor->activate(i);
    Json line = figures(timed(o.warmup, o.runs, [&] { s.infer(i); }));
    if (o.has("--units")) time_units(s, i, o.runs);
    line.update({{"model", o.files[i + 1]},
                 {"engine", o.engine},
                 {"mmacs", static_cast<double>(s.executor->network().macs()) / 1e6},
                 {"threads", o.threads},
                 {"create_ms", s.create_ms},
                 {"prepare_ms", s.prepare_ms}});
    fmt::print("{}\n", line.dump());
  }
}

void time_switches(const Options& o) {
  Subject s(o);
  const std::size_t levels = s.images.size();
  std::vector<double> activate_us;
  std::vector<std::vector<double>> first(levels), steady(levels);
  constexpr int kSteady = 4;  // inferences that count as steady, after the first one
  for (int n = 0; n < o.warmup + o.runs; ++n) {
    // Another step each round: every level follows every other one.
    for (std::size_t i = 0; i < levels; ++i) {
      const std::size_t level = i * (1 + static_cast<std::size_t>(n) % 2 * (levels - 2)) % levels;
      const auto start = Clock::now();
      s.executor->activate(level);
      const double switch_ms = ms_since(start);
      s.infer(level);
      const double first_ms = ms_since(start);
      const auto rest = timed(0, kSteady, [&] { s.infer(level); });
      if (n < o.warmup) continue;
      activate_us.push_back(switch_ms * 1e3);
      first[level].push_back(first_ms);
      steady[level].insert(steady[level].end(), rest.begin(), rest.end());
    }
  }
  fmt::print("{}\n", Json{{"engine", o.engine},
                          {"threads", o.threads},
                          {"switches", activate_us.size()},
                          {"activate_median_us", median(activate_us)},
                          {"activate_p99_us", quantile(activate_us, 0.99)}}
                         .dump());
  for (std::size_t level = 0; level < levels; ++level) {
    fmt::print("{}\n", Json{{"model", o.files[level + 1]},
                            {"threads", o.threads},
                            {"first_median_ms", median(first[level])},
                            {"steady_median_ms", median(steady[level])},
                            {"ratio_median", median(first[level]) / median(steady[level])},
                            {"first_p99_ms", quantile(first[level], 0.99)},
                            {"steady_p99_ms", quantile(steady[level], 0.99)}}
                           .dump());
  }
}

void measure_memory(const Options& o) {
  Subject s(o);
  for (std::size_t i = 0; i < s.images.size(); ++i) {
    s.executor->activate(i);
    for (int n = 0; n < 3; ++n) s.infer(i);
  }
  const MemoryUse use = s.executor->memory();
  fmt::print("{}\n", Json{{"engine", o.engine},
                          {"levels", s.images.size()},
                          {"threads", o.threads},
                          {"resident_mb", (resident_bytes() - s.resident_before) / 1e6},
                          {"weights_mb", static_cast<double>(use.weights) / 1e6},
                          {"levels_mb", static_cast<double>(use.levels) / 1e6},
                          {"work_mb", static_cast<double>(use.work) / 1e6},
                          {"file_mb", static_cast<double>(fs::file_size(o.files.front())) / 1e6}}
                         .dump());
}

}  // namespace
}  // namespace dsn::bench

int main(int argc, char** argv) {
  try {
#ifdef DSN_HAVE_TORCH
    dsn::register_torch_executor();
#endif
    const dsn::bench::Options o(argc, argv, {"--units", "--switch", "--memory"});
    if (o.files.size() < 2) {
      fmt::print(stderr,
                 "usage: engine_bench [--engine NAME] [--threads N] [--runs N] [--warmup N] "
                 "[--units|--switch|--memory] SUPERNET CONFIG.json...\n");
      return 2;
    }
    if (o.has("--switch")) {
      dsn::bench::time_switches(o);
    } else if (o.has("--memory")) {
      dsn::bench::measure_memory(o);
    } else {
      dsn::bench::time_levels(o);
    }
    return 0;
  } catch (const dsn::Error& error) {
    fmt::print(stderr, "engine_bench: error: {}\n  hint: {}\n", error.message(), error.hint());
    return dsn::exit_status(error.code());
  }
}
