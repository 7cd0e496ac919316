// SPDX-License-Identifier: Apache-2.0
// What switching levels costs, and what it allocates: the two ways that dsn has over one set of weights,
// beside rebuilding a static copy of the sub-network, which is what one does without a super-network.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "allocations.h"
#include "dsn/core/stats.h"
#include "dsn/core/units.h"
#include "dsn/engine/executor.h"
#include "dsn/engine/torch_executor.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/supernet.h"
#include "dsn/supernet/torch_threads.h"

namespace dsn::bench {
namespace {

// Every block of a stage alike, so that a space can say it: the sub-network's static twin is a space of one
// choice.
SubnetConfig uniform(const SearchSpace& space, int r, bool larger) {
  SubnetConfig config = larger ? space.largest() : space.smallest();
  config.r = r;
  const SubnetConfig other = larger ? space.smallest() : space.largest();
  for (int s = 0; s < space.stage_count(); s += 2)
    config.d[static_cast<std::size_t>(s)] = other.d[static_cast<std::size_t>(s)];
  return space.canonical(config);
}

SearchSpace only(const SearchSpace& space, const SubnetConfig& config) {
  Json document = space.document();
  document["resolutions"] = {config.r};
  for (int s = 0; s < space.stage_count(); ++s) {
    const auto block = static_cast<std::size_t>(space.first_block(s));
    document["stages"][static_cast<std::size_t>(s)].update(
        {{"depth", {config.d[static_cast<std::size_t>(s)]}},
         {"expand", {config.e[block]}},
         {"kernel", {config.k[block]}}});
  }
  return SearchSpace::parse(document, "static");
}

// A super-network, two of its sub-networks, and all that running them takes.
struct Case {
  std::string name;
  SearchSpace space;
  Supernet net;
  std::vector<SubnetConfig> configs;
  std::vector<BnTensorMap> bn;
  std::vector<Supernet> alone;  // the same networks, alone, with statistics of their own
  std::vector<BnTensorMap> alone_bn;
  torch::Tensor input;
  std::unique_ptr<Executor> executor;
  std::vector<LevelSpec> levels;
  std::vector<float> logits;

  Case(std::string case_name, SearchSpace s)
      : name(std::move(case_name)), space(std::move(s)), net(space, 1) {
    torch::NoGradGuard no_grad;
    const int r = space.resolutions()[space.resolutions().size() / 2];
    input = torch::rand({1, space.in_channels(), r, r});
    for (const bool larger : {false, true}) {
      configs.push_back(uniform(space, r, larger));
      bn.push_back(net.calibrate({torch::rand({4, space.in_channels(), r, r})}, configs.back()));
      levels.push_back({configs.back(), to_bn_stats(bn.back())});
      alone.emplace_back(only(space, configs.back()), 1);
      alone_bn.push_back(alone.back().calibrate({torch::rand({4, space.in_channels(), r, r})},
                                                alone.back().space().largest()));
    }
    logits.resize(static_cast<std::size_t>(space.classes()));
    const fs::path file = fs::temp_directory_path() / fmt::format("dsn_switch_bench_{}.safetensors", name);
    write_checkpoint(file, {space, Preprocessing{}, {}, "bench", Json()}, net.tensor_views());
    executor = make_executor("torch", space, TensorFile::open(file));
    fs::remove(file);
    executor->prepare(levels);
    executor->set_threads(1);
  }

  void infer() {
    executor->infer({input.data_ptr<float>(), static_cast<std::size_t>(input.numel())}, 1, logits);
  }

  // Slices the shared weights as it goes.
  void forward_shared(std::size_t level) {
    torch::NoGradGuard no_grad;
    benchmark::DoNotOptimize(net.forward(input, configs[level], BnMode::stored, &bn[level]));
  }
  void forward_alone(std::size_t level) {
    torch::NoGradGuard no_grad;
    Supernet& twin = alone[level];
    benchmark::DoNotOptimize(twin.forward(input, twin.space().largest(), BnMode::stored, &alone_bn[level]));
  }
};

// Every tensor that the sub-network needs, sliced out of the shared weights into memory of its own, and its
// statistics.
using StaticCopy = std::map<std::string, torch::Tensor>;

StaticCopy rebuild(const Case& c, std::size_t level) {
  torch::NoGradGuard no_grad;
  StaticCopy copy;
  const auto& shared = c.net.parameters();
  const auto take = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    torch::Tensor t = shared.at(name);
    if (out > 0) t = t.narrow(0, 0, out);
    if (in > 0) t = t.narrow(1, 0, in);
    copy[name] = t.clone(torch::MemoryFormat::Contiguous);
  };
  const auto norm = [&](const std::string& name, std::int64_t channels) {
    take(name + ".weight", channels, 0);
    take(name + ".bias", channels, 0);
    const BnTensors& stats = c.bn[level].at(name);
    copy[name + ".running_mean"] = stats.mean.clone();
    copy[name + ".running_var"] = stats.variance.clone();
  };
  for (const Unit& unit : make_network(c.space, c.configs[level]).units) {
    const std::int64_t mid = unit.mid_channels, se = unit.se_channels;
    switch (unit.kind) {
      case UnitKind::stem:
        take("stem.conv.weight", 0, 0);
        norm("stem.bn", unit.out_channels);
        break;
      case UnitKind::mbconv: {
        const std::string name = unit.name();
        if (unit.expands) {
          take(name + ".expand.conv.weight", mid, 0);
          norm(name + ".expand.bn", mid);
        }
        copy[name + ".depth.conv.weight"] =
            c.net.depthwise_weight(unit.block, unit.mid_channels, unit.kernel).clone();
        norm(name + ".depth.bn", mid);
        if (se > 0) {
          take(name + ".se.reduce.weight", se, mid);
          take(name + ".se.reduce.bias", se, 0);
          take(name + ".se.expand.weight", mid, se);
          take(name + ".se.expand.bias", mid, 0);
        }
        take(name + ".project.conv.weight", 0, mid);
        norm(name + ".project.bn", unit.out_channels);
        break;
      }
      case UnitKind::final_expand:
        take("final_expand.conv.weight", 0, 0);
        norm("final_expand.bn", unit.out_channels);
        break;
      case UnitKind::feature_mix:
        take("feature_mix.weight", 0, 0);
        break;
      default:
        take("classifier.weight", 0, 0);
        take("classifier.bias", 0, 0);
        break;
    }
  }
  return copy;
}

// What is measured, in the order of the table.
struct Way {
  const char* name;
  void (*run)(Case& c, std::size_t level);  // level: 0, 1, 0, 1, ... where `switches`, else 1
  bool switches;
};

const std::vector<Way>& ways() {
  static const std::vector<Way> all{
      {"activate", [](Case& c, std::size_t level) { c.executor->activate(level); }, true},
      {"infer_steady", [](Case& c, std::size_t level) { c.executor->activate(level), c.infer(); }, false},
      {"infer_other_steady", [](Case& c, std::size_t) { c.executor->activate(0), c.infer(); }, false},
      {"infer_switching", [](Case& c, std::size_t level) { c.executor->activate(level), c.infer(); }, true},
      {"forward_alone", [](Case& c, std::size_t level) { c.forward_alone(level); }, false},
      {"forward_slicing", [](Case& c, std::size_t level) { c.forward_shared(level); }, false},
      {"rebuild_copy",
       [](Case& c, std::size_t level) {
         const StaticCopy copy = rebuild(c, level);
         benchmark::DoNotOptimize(copy.size());
       },
       true},
      {"rebuild_folded", [](Case& c, std::size_t level) { c.executor->prepare({c.levels[level]}); }, true}};
  return all;
}

struct Figure {
  std::vector<double> seconds;  // one per repetition
  Allocations asked;
};
using Figures = std::map<std::string, Figure>;  // by "case/way"

// The console's lines as usual; what the table needs is kept.
class Keeper : public benchmark::ConsoleReporter {
 public:
  explicit Keeper(Figures& figures) : figures_(figures) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration && !run.error_occurred)
        figures_[run.run_name.function_name].seconds.push_back(run.real_accumulated_time /
                                                               static_cast<double>(run.iterations));
    }
    ConsoleReporter::ReportRuns(runs);
  }

 private:
  Figures& figures_;
};

void add_benchmarks(Case& c, Figures& figures) {
  for (const Way& way : ways()) {
    const std::string name = fmt::format("{}/{}", c.name, way.name);
    benchmark::RegisterBenchmark(name.c_str(),
                                 [&c, &figures, way, name](benchmark::State& state) {
                                   std::size_t turn = 0;
                                   const auto once = [&] { way.run(c, way.switches ? turn++ % 2 : 1); };
                                   figures[name].asked = allocations_of(once);
                                   for ([[maybe_unused]] auto _ : state) once();
                                   const Allocations& asked = figures[name].asked;
                                   state.counters["allocations"] = static_cast<double>(asked.count);
                                   state.counters["bytes"] = static_cast<double>(asked.bytes);
                                   // Others need both levels.
                                   if (std::string_view(way.name) == "rebuild_folded")
                                     c.executor->prepare(c.levels);
                                 })
        ->Repetitions(5)
        ->Unit(benchmark::kMicrosecond);
  }
}

// Switching, beside rebuilding. Times are medians of the repetitions.
std::string table(const Case& c, const Figures& figures) {
  const auto seconds = [&](const char* way) { return median(figures.at(c.name + "/" + way).seconds); };
  const auto row = [](const std::string& what, double s, std::int64_t count, std::int64_t bytes) {
    return fmt::format("  {:<62} {:>10} {:>8} {:>10}\n", what, s > 0 ? format_duration(s) : "below noise",
                       count, format_bytes(static_cast<double>(bytes)));
  };
  const auto asked = [&](const char* way) { return figures.at(c.name + "/" + way).asked; };
  const double activate = seconds("activate"), rebuilt = seconds("rebuild_copy"),
               folded = seconds("rebuild_folded");
  const double cold =
      seconds("infer_switching") - 0.5 * (seconds("infer_steady") + seconds("infer_other_steady"));
  const double slicing = seconds("forward_slicing") - seconds("forward_alone");
  const Allocations sliced = asked("forward_slicing"), alone = asked("forward_alone");
  std::string text =
      fmt::format("{}: {} <-> {}\n", c.name, c.space.describe(c.configs[0]), c.space.describe(c.configs[1]));
  text += fmt::format("  {:<62} {:>10} {:>8} {:>10}\n", "", "time", "allocs", "bytes");
  text += row("executor: activate() another prepared level", activate, asked("activate").count,
              asked("activate").bytes);
  text += row(
      "executor: what the inference after a switch takes longer", cold,
      asked("infer_switching").count - (asked("infer_steady").count + asked("infer_other_steady").count) / 2,
      0);
  text += row("Supernet::forward: slicing, in every pass of the larger", slicing, sliced.count - alone.count,
              sliced.bytes - alone.bytes);
  text += row("rebuild: slice the weights and statistics into a static copy", rebuilt,
              asked("rebuild_copy").count, asked("rebuild_copy").bytes);
  text += row("rebuild: the same with batch norm folded, checked (prepare)", folded,
              asked("rebuild_folded").count, asked("rebuild_folded").bytes);
  text += fmt::format(
      "  rebuilding a static copy / activate(): {:.0f}; with the slower inference after it: {:.1f}\n",
      rebuilt / activate, rebuilt / (activate + std::max(0.0, cold)));
  if (slicing > 0)
    text += fmt::format("  rebuilding a static copy / slicing one pass: {:.2f}\n", rebuilt / slicing);
  text += fmt::format("  an inference of the larger level, executor: {}\n",
                      format_duration(seconds("infer_steady")));
  return text;
}

}  // namespace
}  // namespace dsn::bench

int main(int argc, char** argv) {
  using namespace dsn::bench;  // NOLINT(google-build-using-namespace)
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  dsn::register_torch_executor();
  dsn::set_torch_threads(1);
  std::vector<std::unique_ptr<Case>> cases;
  cases.push_back(std::make_unique<Case>("fmnist-mbv3", dsn::SearchSpace::load("fmnist-mbv3")));
  cases.push_back(std::make_unique<Case>("ofa-mbv3", dsn::SearchSpace::load("ofa-mbv3")));
  Figures figures;
  for (const auto& c : cases) add_benchmarks(*c, figures);
  Keeper keeper(figures);
  benchmark::RunSpecifiedBenchmarks(&keeper);
  for (const auto& c : cases) {
    const bool all = std::all_of(ways().begin(), ways().end(), [&](const Way& way) {
      const auto it = figures.find(c->name + "/" + way.name);
      return it != figures.end() && !it->second.seconds.empty();
    });
    if (all) fmt::print("\n{}", table(*c, figures));
  }
  return 0;
}
