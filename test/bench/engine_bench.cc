// SPDX-License-Identifier: Apache-2.0
// Times sub-networks on an executor, one JSON line each, as test/bench/ort_bench.js does for ONNX Runtime.
//   engine_bench --make DIR                     random super-networks and sub-networks of the comparison
//   engine_bench [--engine NAME] [--threads N] [--runs N] [--warmup N] [--units] SUPERNET CONFIG.json...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "../engine/random_weights.h"
#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/core/stats.h"
#include "dsn/engine/executor.h"
#include "dsn/search/family.h"
#include "dsn/supernet/checkpoint.h"
#ifdef DSN_HAVE_TORCH
#include "dsn/engine/torch_executor.h"
#endif

namespace dsn::bench {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The first random sub-network at resolution `r` whose cost is within 2 % of `mmacs`.
SubnetConfig of_cost(const SearchSpace& space, int r, double mmacs) {
  Rng rng(1);
  const bool small = mmacs < 0.5e-6 * static_cast<double>(make_network(space, space.largest()).macs());
  for (int i = 0; i < 2000000; ++i) {
    SubnetConfig config = space.sample(rng, r);
    // Independent choices meet in the middle: the ends are reached by leaning towards the smallest or
    // largest.
    const SubnetConfig end = small ? space.smallest() : space.largest();
    const double lean = i % 100 * 0.01;
    for (std::size_t s = 0; s < config.d.size(); ++s) {
      if (rng.uniform() < lean) config.d[s] = end.d[s];
    }
    for (std::size_t b = 0; b < config.e.size(); ++b) {
      if (rng.uniform() < lean) config.e[b] = end.e[b];
      if (rng.uniform() < lean) config.k[b] = end.k[b];
    }
    const double found = static_cast<double>(make_network(space, config).macs()) / 1e6;
    if (std::abs(found / mmacs - 1) < 0.02) return space.canonical(config);
  }
  throw Error(ErrorCode::failed, fmt::format("no sub-network of {} MMACs at {} pixels", mmacs, r));
}

void make(const fs::path& folder) {
  struct Wanted {
    const char* space;
    int r;
    double mmacs;
  };
  const std::vector<Wanted> wanted{{"ofa-mbv3", 160, 63},  {"ofa-mbv3", 176, 150},   {"ofa-mbv3", 208, 243},
                                   {"ofa-mbv3", 224, 566}, {"fmnist-mbv3", 24, 1.6}, {"fmnist-mbv3", 24, 3},
                                   {"fmnist-mbv3", 28, 6}, {"fmnist-mbv3", 28, 11.3}};
  fs::create_directories(folder);
  for (const char* name : {"ofa-mbv3", "fmnist-mbv3"}) {
    const SearchSpace space = SearchSpace::load(name);
    const fs::path plain = folder / "weights.safetensors",
                   file = folder / fmt::format("{}.safetensors", name);
    test::write_random_weights(plain, space);
    write_checkpoint(file,
                     {space,
                      Preprocessing::for_dataset(space.in_channels() == 1 ? "fashion-mnist" : "imagenet"),
                      {},
                      "random",
                      Json()},
                     TensorFile::open(plain).tensors());
    fs::remove(plain);
    // What dsn export reads: the sub-networks as a family, with statistics.
    Family family;
    family.space_document = space.document();
    family.space_sha256 = space.sha256();
    family.weights_sha256 = Checkpoint::open(file).weights_sha256;
    family.bn_file = fmt::format("{}.bn.safetensors", name);
    std::vector<BnStats> statistics;
    std::map<std::string, TensorView> tensors;
    statistics.reserve(wanted.size());
    for (const Wanted& w : wanted) {
      if (std::string_view(w.space) != name) continue;
      Level level;
      level.id = static_cast<int>(family.levels.size());
      level.config = of_cost(space, w.r, w.mmacs);
      const Network net = make_network(space, level.config);
      level.accuracy = 0.1 * (level.id + 1);  // a family ascends
      level.accuracy_on = "nothing: made up";
      level.macs = net.macs();
      level.params = net.params();
      level.predicted_latency_s = 1e-9 * static_cast<double>(level.macs);
      level.bn_prefix = fmt::format("level{}", level.id);
      statistics.push_back(test::random_statistics(net, 1));
      append_bn_stats(statistics.back(), level.bn_prefix, tensors);
      write_file_atomic(folder / fmt::format("{}-{}.json", name, level.id),
                        dump_json(space.to_json(level.config)));
      family.levels.push_back(level);
    }
    write_safetensors(folder / family.bn_file, tensors, {});
    Json document = pure_envelope("dsn.family", 1, {}, Json::object());
    document.update(family.to_json());
    write_file_atomic(folder / fmt::format("{}.family.json", name), dump_json(document));
  }
}

struct Options {
  std::string engine = "elastic";
  int threads = 1, runs = 50, warmup = 10;
  bool units = false;
  std::vector<std::string> files;
};

void time(const Options& o) {
  const Checkpoint checkpoint = Checkpoint::open(o.files.front());
  auto start = Clock::now();
  const auto executor = make_executor(o.engine, checkpoint.info.space, checkpoint.tensors);
  const double create_ms = ms_since(start);
  executor->set_threads(o.threads);
  std::vector<LevelSpec> levels;
  for (std::size_t i = 1; i < o.files.size(); ++i)
    levels.push_back({checkpoint.info.space.from_json(JsonView(read_json(o.files[i]), o.files[i])), {}});
  start = Clock::now();
  executor->prepare(levels);
  const double prepare_ms = ms_since(start);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    executor->activate(i);
    const Network& net = executor->network();
    const std::vector<float> image = test::random_images(net, 1, 1);
    std::vector<float> logits(static_cast<std::size_t>(net.classes));
    for (int n = 0; n < o.warmup; ++n) executor->infer(image, 1, logits);
    std::vector<double> ms, unit_ms(net.units.size());
    for (int n = 0; n < o.runs; ++n) {
      start = Clock::now();
      executor->infer(image, 1, logits);
      ms.push_back(ms_since(start));
    }
    if (o.units) {
      std::vector<std::vector<double>> all(net.units.size());
      for (int n = 0; n < o.runs; ++n) {
        auto last = Clock::now();
        const UnitObserver observer = [&](std::size_t unit) {
          const auto now = Clock::now();
          all[unit].push_back(std::chrono::duration<double, std::milli>(now - last).count());
          last = now;
        };
        executor->infer(image, 1, logits, &observer);
      }
      for (std::size_t u = 0; u < all.size(); ++u) {
        const double m = median(all[u]);
        fmt::print("  {:8.1f} us {:7.1f} GFLOP/s  {}\n", m * 1e3,
                   2e-6 * static_cast<double>(net.units[u].macs()) / m, net.units[u].key());
      }
    }
    const double middle = median(ms);
    fmt::print("{}\n", Json{{"model", o.files[i + 1]},
                            {"engine", o.engine},
                            {"mmacs", static_cast<double>(net.macs()) / 1e6},
                            {"threads", o.threads},
                            {"create_ms", create_ms},
                            {"prepare_ms", prepare_ms},
                            {"median_ms", middle},
                            {"mad_ms", mad(ms)},
                            {"min_ms", *std::min_element(ms.begin(), ms.end())}}
                           .dump());
  }
}

}  // namespace
}  // namespace dsn::bench

int main(int argc, char** argv) {
  try {
#ifdef DSN_HAVE_TORCH
    dsn::register_torch_executor();
#endif
    dsn::bench::Options o;
    for (int i = 1; i < argc; ++i) {
      const std::string arg = argv[i];
      if (arg == "--units") {
        o.units = true;
      } else if (arg.starts_with("--") && i + 1 < argc) {
        const std::string value = argv[++i];
        if (arg == "--make") {
          dsn::bench::make(value);
          return 0;
        }
        if (arg == "--engine") o.engine = value;
        if (arg == "--threads") o.threads = std::stoi(value);
        if (arg == "--runs") o.runs = std::stoi(value);
        if (arg == "--warmup") o.warmup = std::stoi(value);
      } else {
        o.files.push_back(arg);
      }
    }
    if (o.files.size() < 2) {
      fmt::print(stderr,
                 "usage: engine_bench --make DIR | [--engine NAME] [--threads N] [--runs N] [--warmup N] "
                 "[--units] SUPERNET CONFIG.json...\n");
      return 2;
    }
    dsn::bench::time(o);
    return 0;
  } catch (const dsn::Error& error) {
    fmt::print(stderr, "engine_bench: error: {}\n  hint: {}\n", error.message(), error.hint());
    return 1;
  }
}
