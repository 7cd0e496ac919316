// SPDX-License-Identifier: Apache-2.0
// How fast traces are replayed: an hour of two applications at 30 frames per second on the shipped Xavier NX
// profile, each policy alone on one core; then as many hours as make ten million events, with the memory that
// took.
//   replay_bench REPOSITORY [--runs N]       prints a line of JSON per policy
#include <cstdio>

#include "dsn/replay/oracle.h"
#include "dsn/replay/replay.h"
#include "timing.h"

namespace {

using dsn::fs::path;

dsn::LoadedWorkload two_cameras(const path& root, double duration_s) {
  const std::string profiles = (root / "profiles").string();
  dsn::Json trace = {{"schema", "dsn.trace"},
                     {"schema_version", 1},
                     {"global", {{"duration_s", duration_s}, {"seed", 1}}},
                     {"platform", profiles + "/jetson-xavier-nx.platform.json"}};
  for (const char* name : {"left", "right"}) {
    trace["tasks"][name] = {
        {"family", profiles + "/dynamic-ofa-xavier-nx.family.json"},
        {"lut", profiles + "/dynamic-ofa-xavier-nx.lut.json"},
        {"target_s", 0.1},
        {"phases", {{{"arrivals", {{"process", "periodic"}, {"rate_hz", 30}, {"jitter_s", 0.002}}}}}}};
  }
  const path file = dsn::fs::temp_directory_path() / "dsn-replay-bench.trace.json";
  std::ofstream(file) << trace.dump();
  dsn::LoadedWorkload loaded = dsn::load_workload(file);
  dsn::fs::remove(file);
  return loaded;
}

dsn::SimResult simulate_once(const dsn::LoadedWorkload& loaded, const dsn::PolicySpec& spec) {
  dsn::SimOptions options;
  options.governors = spec.governors;
  const auto policy = dsn::make_policy(spec.policy);
  return dsn::simulate(loaded.workload, *policy, options);
}

}  // namespace

int main(int argc, char** argv) {
  const dsn::bench::Options options(argc, argv, {});
  if (options.files.size() != 1) {
    std::fputs("usage: replay_bench REPOSITORY [--runs N]\n", stderr);
    return 2;
  }
  const path root = options.files.front();
  const int runs = options.runs == 50 ? 3 : options.runs;
  const dsn::LoadedWorkload hour = two_cameras(root, 3600);
  for (const char* text : {"dsn", "dsn:min-energy", "schedutil", "ondemand", "conservative+simple_ondemand",
                           "performance", "powersave"}) {
    const dsn::PolicySpec spec = dsn::parse_policy_spec(text);
    std::int64_t events = 0;
    const auto ms = dsn::bench::timed(1, runs, [&] { events = simulate_once(hour, spec).events; });
    dsn::Json line = dsn::bench::figures(ms);
    line["policy"] = text;
    line["simulated_s"] = 3600;
    line["events"] = events;
    std::puts(line.dump().c_str());
  }
  const auto oracle_ms =
      dsn::bench::timed(1, runs, [&] { static_cast<void>(dsn::Oracle(hour.workload).result(1)); });
  dsn::Json bound = dsn::bench::figures(oracle_ms);
  bound["policy"] = "oracle";
  std::puts(bound.dump().c_str());

  const dsn::PolicySpec spec = dsn::parse_policy_spec("schedutil");
  const double per_hour = static_cast<double>(simulate_once(hour, spec).events);
  const dsn::LoadedWorkload many = two_cameras(root, std::min(1e6, 3600 * 1e7 / per_hour));
  const double before = dsn::bench::resident_bytes();
  const auto start = dsn::bench::Clock::now();
  const dsn::SimResult result = simulate_once(many, spec);
  const dsn::Json line = {{"policy", "schedutil"},
                          {"simulated_s", result.duration_s},
                          {"events", result.events},
                          {"completed", result.apps[0].completed + result.apps[1].completed},
                          {"ms", dsn::bench::ms_since(start)},
                          {"resident_growth_bytes", dsn::bench::resident_bytes() - before}};
  std::puts(line.dump().c_str());
  return 0;
}
