// SPDX-License-Identifier: Apache-2.0
// The simulator against cases computed by hand. Clusters here draw 1 W per core and GHz above 0.1 W per GHz
// idle.
#include "dsn/replay/simulator.h"

#include <doctest/doctest.h>

#include <cmath>

#include "dsn/core/stats.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

constexpr double kGhz = 1e9;

// One application of one level that takes `latency_s` alone at the highest OPP, on a cluster "cpu" of
// `cores`.
Workload one_app(Trace trace, int cores, double latency_s, int threads = 1, double transition_s = 0) {
  return make_workload(std::move(trace),
                       make_platform({make_cluster("cpu", cores, {0.5 * kGhz, kGhz}, transition_s)}),
                       {{{"cpu", threads, {latency_s}}}});
}

}  // namespace

TEST_CASE("simulate: a thread that shares its core runs at half speed from then on") {
  Trace trace = make_trace(1, {make_app("a", 0.2, 1, 1)}, {{"c", "", {busy_phase("cpu", 0.05, 0.9, 1)}}});
  const Workload workload = one_app(trace, 1, 0.1);
  ScriptedPolicy policy;
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  // 0.05 s alone does half of it; the other half takes 0.1 s.
  REQUIRE(result.apps[0].latency.size() == 1);
  CHECK(result.apps[0].latency.samples()[0] == Approx(0.15));
  CHECK(result.apps[0].met == 1);
}

TEST_CASE("simulate: n threads on c cores run min(1, c/n) of the time each") {
  struct Row {
    int cores, threads, others;
    double slowdown;
  };
  for (const Row row :
       {Row{2, 1, 1, 1.0}, Row{2, 2, 1, 1.5}, Row{2, 2, 2, 2.0}, Row{4, 2, 2, 1.0}, Row{4, 4, 1, 1.25},
        Row{1, 1, 3, 4.0}, Row{2, 4, 0, 1.0} /* a team never has more threads than there are cores */}) {
    Trace trace = make_trace(2, {make_app("a", 1, 2, 2)});
    if (row.others > 0) trace.contenders.push_back({"c", "", {busy_phase("cpu", 0, 2, row.others)}});
    const Workload workload = one_app(trace, row.cores, 0.1, row.threads);
    ScriptedPolicy policy;
    const SimResult result = simulate(workload, policy, with_governor("performance"));
    CAPTURE(row.cores);
    CAPTURE(row.threads);
    CAPTURE(row.others);
    REQUIRE(result.apps[0].completed == 1);
    CHECK(result.apps[0].latency.samples()[0] == Approx(0.1 * row.slowdown));
  }
}

TEST_CASE("simulate: two applications share one GPU, and each gets all of it when alone") {
  Trace trace = make_trace(1, {make_app("a", 1, 1, 1), make_app("b", 1, 1, 1)});
  trace.apps[1].phases[0].start_s = 0.05;
  trace.apps[1].phases[0].duration_s = 0.95;
  const Workload workload =
      make_workload(trace, make_platform({make_cluster("gpu", 1, {kGhz}, 0, ClusterKind::gpu)}),
                    {{{"gpu", 1, {0.1}}}, {{"gpu", 1, {0.2}}}});
  ScriptedPolicy policy;
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  // a: 0.05 alone, then 0.05 of work at half speed until 0.15; b has 0.05 done then, 0.15 left alone: 0.30.
  CHECK(result.apps[0].latency.samples()[0] == Approx(0.15));
  CHECK(result.apps[1].latency.samples()[0] == Approx(0.25));
}

TEST_CASE("simulate: a periodic contender takes its utilisation from the rest") {
  // 26 % of the GPU in slices much shorter than an inference: slowdown 1 / (1 - 0.26).
  Trace trace = make_trace(10, {make_app("a", 1, 0.5, 10)},
                           {{"c", "", {periodic_phase("gpu", 0, 10, 0.00026, 0.001)}}});
  const Workload workload = make_workload(
      trace, make_platform({make_cluster("gpu", 1, {kGhz}, 0, ClusterKind::gpu)}), {{{"gpu", 1, {0.1}}}});
  ScriptedPolicy policy;
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  CHECK(mean(result.apps[0].latency.samples()) == Approx(0.1 / 0.74).epsilon(0.005));
}

TEST_CASE(
    "simulate: a contender's work is counted at the highest OPP, piles up when late, and ends with its "
    "phase") {
  // 0.6 s of work per second at half the clock needs 1.2 s: the core is always busy until the phase ends at 3
  // s.
  Trace trace =
      make_trace(10, {make_app("a", 1, 10, 10)}, {{"c", "", {periodic_phase("cpu", 0, 3, 0.6, 1.0)}}});
  trace.apps[0].phases[0].start_s = 5;
  trace.apps[0].phases[0].duration_s = 5;
  const Workload workload = one_app(trace, 1, 0.1);
  ScriptedPolicy policy;
  const SimResult slow = simulate(workload, policy, with_governor("powersave"));
  CHECK(slow.clusters[0].busy_core_s == Approx(3.0 + 0.2));
  CHECK(slow.contenders_j == Approx(3.0 * 0.5));  // 0.5 W per core at 0.5 GHz
  const SimResult fast = simulate(workload, policy, with_governor("performance"));
  CHECK(fast.clusters[0].busy_core_s == Approx(1.8 + 0.1));
}

TEST_CASE("simulate: energy is base, idle and what runs, integrated exactly") {
  const Workload workload = one_app(make_trace(1, {make_app("a", 1, 1, 1)}), 2, 0.1);
  ScriptedPolicy policy;
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  CHECK(result.base_j == Approx(2.0));                // 2 W
  CHECK(result.clusters[0].idle_j == Approx(0.1));    // 0.1 W at 1 GHz
  CHECK(result.clusters[0].active_j == Approx(0.1));  // one of two cores, 1 W, 0.1 s
  CHECK(result.apps[0].energy_j == Approx(0.1));
  CHECK(result.total_j() == Approx(2.2));
  CHECK(result.clusters[0].busy_core_s == Approx(0.1));
}

TEST_CASE(
    "simulate: an OPP change takes the transition latency; work and power go on at the old one meanwhile") {
  const Workload workload = one_app(make_trace(1, {make_app("a", 1, 1, 1)}), 2, 0.1, 1, 0.02);
  ScriptedPolicy policy([](const SystemView&, std::size_t, Decision& d) { d.opp[0] = 1; });
  const SimResult result = simulate(workload, policy, with_governor("powersave"));
  // At 0.5 GHz it takes 0.2 s: 0.02 s do a tenth; the rest takes 0.09 s at 1 GHz.
  CHECK(result.apps[0].latency.samples()[0] == Approx(0.11));
  CHECK(result.clusters[0].opp_switches == 1);
  CHECK(result.clusters[0].opp_s[0] == Approx(0.02));
  CHECK(result.clusters[0].opp_s[1] == Approx(0.98));
  CHECK(result.clusters[0].idle_j == Approx(0.05 * 0.02 + 0.1 * 0.98));
  CHECK(result.clusters[0].active_j == Approx(0.5 * 0.02 + 1.0 * 0.09));
  CHECK(result.clusters[0].governed_s == Approx(0.0));
}

TEST_CASE("simulate: a cluster left to the governor again follows it, and one without a knob always does") {
  Trace trace = make_trace(2, {make_app("a", 1, 1, 2)});
  Workload workload = one_app(trace, 2, 0.1);
  // Pins at the first decision, lets go at the second.
  const auto once = [](const SystemView& view, std::size_t, Decision& d) {
    if (view.now_s < 0.5) d.opp[0] = 1;
  };
  ScriptedPolicy policy(once);
  const SimResult result = simulate(workload, policy, with_governor("powersave"));
  CHECK(result.clusters[0].opp_s[1] == Approx(1.0));
  CHECK(result.clusters[0].opp_s[0] == Approx(1.0));
  CHECK(result.clusters[0].governed_s == Approx(1.0));
  workload.platform.clusters[0].knob.clear();
  const SimResult fixed = simulate(workload, policy, with_governor("powersave"));
  CHECK(fixed.clusters[0].opp_s[0] == Approx(2.0));
}

TEST_CASE(
    "simulate: on_overrun skip drops what arrives while an inference runs, and the policy hears of it") {
  Trace trace = make_trace(1, {make_app("a", 0.3, 0.1, 1)});
  const Workload workload = one_app(trace, 1, 0.25);
  ScriptedPolicy policy;
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  const AppStats& app = result.apps[0];
  // Runs from 0, 0.3, 0.6 and 0.9; the last is not done at 1 s, nor late.
  CHECK(app.arrivals == 10);
  CHECK(app.completed == 3);
  CHECK(app.skipped == 6);
  CHECK(app.unfinished == 1);
  CHECK(app.met == 3);
  CHECK(app.missed == 6);
  CHECK(std::count_if(policy.completions.begin(), policy.completions.end(),
                      [](const Completion& c) { return c.dropped; }) == 6);
}

TEST_CASE("simulate: on_overrun queue counts latency from the scheduled arrival") {
  Trace trace = make_trace(1, {make_app("a", 0.3, 0.1, 1)});
  trace.apps[0].on_overrun = OnOverrun::queue;
  const Workload workload = one_app(trace, 1, 0.15);
  std::vector<double> waited;
  ScriptedPolicy policy(
      [&](const SystemView& view, std::size_t app, Decision&) { waited.push_back(view.apps[app].waited_s); });
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  const AppStats& app = result.apps[0];
  // The k-th is done at 0.15 (k + 1), 0.15 + 0.05 k after it was scheduled.
  REQUIRE(app.completed == 6);
  for (std::size_t k = 0; k < 6; ++k)
    CHECK(app.latency.samples()[k] == Approx(0.15 + 0.05 * static_cast<double>(k)));
  for (std::size_t k = 0; k < 7; ++k) CHECK(waited[k] == Approx(0.05 * static_cast<double>(k)));
  CHECK(app.unfinished == 4);
  CHECK(app.met == 4);     // k = 0..3
  CHECK(app.missed == 3);  // k = 4, 5 late; k = 6, scheduled at 0.6, not done at 1
  CHECK(app.skipped == 0);
}

TEST_CASE("simulate: a cap slows governors and policies alike until it is lifted") {
  Trace trace = make_trace(3, {make_app("a", 1, 1, 3)});
  trace.events = {{0.5, "/events/0", CapEvent{{"cpu", ""}, 0.7 * kGhz}},
                  {1.5, "/events/1", CapEvent{{"cpu", ""}, std::nullopt}}};
  const Workload workload = one_app(trace, 1, 0.1);
  std::vector<int> max_opp;
  ScriptedPolicy pinned([&](const SystemView& view, std::size_t, Decision& d) {
    d.opp[0] = 1;
    max_opp.push_back(view.clusters[0].max_opp);
  });
  ScriptedPolicy governed;
  for (ScriptedPolicy* policy : {&pinned, &governed}) {
    const SimResult result = simulate(workload, *policy, with_governor("performance"));
    REQUIRE(result.apps[0].completed == 3);
    CHECK(result.apps[0].latency.samples()[0] == Approx(0.1));
    CHECK(result.apps[0].latency.samples()[1] == Approx(0.2));
    CHECK(result.apps[0].latency.samples()[2] == Approx(0.1));
    CHECK(result.clusters[0].opp_s[0] == Approx(1.0));
  }
  CHECK(max_opp == std::vector<int>{1, 0, 1});
}

TEST_CASE("simulate: a set event changes what the policy sees and what counts as met") {
  Trace trace = make_trace(4, {make_app("a", 0.2, 1, 4)});
  SetEvent set;
  set.target_s = 0.05;
  set.min_accuracy = 0.8;
  set.probability = 0.5;
  trace.events = {{1.5, "/events/0", set}};
  const Workload workload = one_app(trace, 1, 0.1);
  std::vector<double> seen;
  ScriptedPolicy policy([&](const SystemView& view, std::size_t app, Decision&) {
    const AppView& a = view.apps[app];
    seen.insert(seen.end(), {a.target_s, a.min_accuracy, a.probability});
  });
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  CHECK(result.apps[0].met == 2);
  CHECK(result.apps[0].missed == 2);
  CHECK(seen == std::vector<double>{0.2, 0, 0.99, 0.2, 0, 0.99, 0.05, 0.8, 0.5, 0.05, 0.8, 0.5});
}

TEST_CASE("simulate: levels and placements are counted, with their switches") {
  Trace trace = make_trace(6, {make_app("a", 1, 1, 6)});
  const Workload workload = make_workload(
      trace,
      make_platform({make_cluster("cpu", 2, {kGhz}), make_cluster("gpu", 1, {kGhz}, 0, ClusterKind::gpu)}),
      {{{"cpu", 1, {0.1, 0.2, 0.3}}, {"cpu", 2, {0.06, 0.12, 0.18}}, {"gpu", 1, {0.01, 0.02, 0.03}}}});
  int n = 0;
  const std::vector<AppChoice> script = {{2, 0}, {2, 0}, {0, 2}, {1, 2}, {1, 2}, {2, 1}};
  ScriptedPolicy policy([&](const SystemView& view, std::size_t app, Decision& d) {
    if (n > 0) {
      CHECK(view.apps[app].level == script[static_cast<std::size_t>(n - 1)].level);
      CHECK(view.apps[app].placement == script[static_cast<std::size_t>(n - 1)].placement);
    }
    d.apps[app] = script[static_cast<std::size_t>(n++)];
  });
  const SimResult result = simulate(workload, policy, with_governor("performance"));
  const AppStats& app = result.apps[0];
  CHECK(app.level_count == std::vector<std::int64_t>{1, 2, 3});
  CHECK(app.placement_count == std::vector<std::int64_t>{2, 1, 3});
  CHECK(app.level_switches == 3);
  CHECK(app.placement_switches == 2);
  CHECK(app.latency.samples()[2] == Approx(0.01));
  CHECK(app.latency.samples()[5] == Approx(0.18));
  CHECK(app.accuracy_sum == Approx(0.7 * 1 + 0.75 * 2 + 0.8 * 3));
  CHECK(app.origin_count[static_cast<int>(Origin::measured)] == 6);
}

TEST_CASE("simulate: the policy sees arrivals, power and the load of others") {
  Trace trace = make_trace(10, {make_app("a", 1, 0.5, 10), make_app("b", 1, 0.25, 2)},
                           {{"c", "", {busy_phase("cpu", 0, 5, 1), busy_phase("gpu", 5, 5, 1)}}});
  trace.apps[1].phases[0].start_s = 4;
  const Workload workload =
      make_workload(trace,
                    make_platform({make_cluster("cpu", 4, {0.5 * kGhz, kGhz}),
                                   make_cluster("gpu", 1, {kGhz}, 0, ClusterKind::gpu)}),
                    {{{"cpu", 1, {0.01}}}, {{"cpu", 1, {0.01}}}});
  ScriptedPolicy policy([&](const SystemView& view, std::size_t app, Decision&) {
    REQUIRE(view.apps.size() == 2);
    REQUIRE(view.clusters.size() == 2);
    CHECK(view.apps[0].period_s == 0.5);
    if (app == 0) CHECK(view.apps[1].active == (view.now_s >= 4 && view.now_s < 6));
    CHECK(view.clusters[0].opp == 1);
    CHECK(view.clusters[0].idle_power_w == Approx(0.1));
    CHECK(view.clusters[0].busy_power_w == Approx(4.1));
    CHECK(view.clusters[1].max_opp == view.clusters[1].min_opp);  // one OPP
    CHECK(view.clusters[1].others_load < 0);                      // a GPU does not tell
    if (view.now_s >= 4 && view.now_s < 5) CHECK(view.clusters[0].others_load == Approx(1.0).epsilon(0.01));
    if (view.now_s >= 8) CHECK(view.clusters[0].others_load < 0.01);
  });
  (void)simulate(workload, policy, with_governor("performance"));
}

TEST_CASE(
    "simulate: noise has the look-up table's spread around its median, and is the same under every policy") {
  Trace trace = make_trace(4000, {make_app("a", 1, 1, 4000)});
  trace.noise = true;
  const Workload workload = make_workload(trace, make_platform({make_cluster("cpu", 1, {0.5 * kGhz, kGhz})}),
                                          {{{"cpu", 1, {0.1}, 0.1 / 1.4826}}});
  ScriptedPolicy policy;
  const SimResult fast = simulate(workload, policy, with_governor("performance"));
  std::vector<double> logs;
  for (const double latency : fast.apps[0].latency.samples()) logs.push_back(std::log(latency / 0.1));
  CHECK(std::abs(median(logs)) < 0.01);
  CHECK(1.4826 * mad(logs) == Approx(0.1).epsilon(0.05));
  const SimResult slow = simulate(workload, policy, with_governor("powersave"));
  for (std::size_t i = 0; i < 100; ++i)
    CHECK(slow.apps[0].latency.samples()[i] == Approx(2 * fast.apps[0].latency.samples()[i]));
  SimOptions other = with_governor("performance");
  other.seed = 2;
  CHECK(simulate(workload, policy, other).apps[0].latency.samples() != fast.apps[0].latency.samples());
}

TEST_CASE(
    "simulate: schedutil lets a periodic inference run at its remembered peak from the second frame on") {
  // 20 ms of work at 1 GHz every 100 ms. The first frame starts from the lowest OPP; later ones ask for their
  // last peak at once.
  Trace trace = make_trace(2, {make_app("a", 0.1, 0.1, 2)});
  const Workload workload = make_workload(
      trace, make_platform({make_cluster("cpu", 2, {0.25 * kGhz, 0.5 * kGhz, 0.75 * kGhz, kGhz}, 0.0001)}),
      {{{"cpu", 1, {0.02}}}});
  ScriptedPolicy policy;
  const SimResult result = simulate(workload, policy, with_governor("schedutil"));
  const std::vector<double>& latency = result.apps[0].latency.samples();
  REQUIRE(latency.size() == 20);
  CHECK(latency[0] > latency[5]);
  CHECK(latency[5] > 0.02);   // never the highest clock: the peak utilisation is far below 80 %
  CHECK(latency[0] <= 0.08);  // never slower than the lowest
  CHECK(latency[19] == Approx(latency[18]).epsilon(0.05));
}

TEST_CASE("simulate: every inference is recorded as it ends") {
  Trace trace = make_trace(2, {make_app("a", 0.3, 0.5, 2)});
  const Workload workload = one_app(trace, 1, 0.1);
  std::vector<InferenceRecord> records;
  SimOptions options = with_governor("performance");
  options.on_inference = [&](const InferenceRecord& r) { records.push_back(r); };
  ScriptedPolicy policy;
  (void)simulate(workload, policy, options);
  REQUIRE(records.size() == 4);
  CHECK(records[3].arrival == 3);
  CHECK(records[3].scheduled_s == Approx(1.5));
  CHECK(records[3].done_s == Approx(1.6));
  CHECK(records[3].energy_j == Approx(0.1));
  CHECK(records[3].met);
}

TEST_CASE("simulate: a policy that chooses what does not exist, and a trace that does not fit, are named") {
  Trace trace = make_trace(1, {make_app("cam", 1, 1, 1)});
  const Workload workload = one_app(trace, 1, 0.1);
  const auto run = [&](const ScriptedPolicy::Choose& choose) {
    return error_message(ErrorCode::failed, [&] {
      ScriptedPolicy policy(choose);
      (void)simulate(workload, policy, with_governor("performance"));
    });
  };
  CHECK(run([](const SystemView&, std::size_t, Decision& d) {
          d.apps[0].level = 1;
        }).find("level 1 for cam") != std::string::npos);
  CHECK(run([](const SystemView&, std::size_t, Decision& d) {
          d.apps[0].placement = 3;
        }).find("placement 3") != std::string::npos);
  CHECK(run([](const SystemView&, std::size_t, Decision& d) {
          d.opp[0] = 7;
        }).find("OPP 7 for cluster cpu") != std::string::npos);

  ScriptedPolicy policy;
  Workload bad = workload;
  bad.trace.contenders = {{"c", "", {busy_phase("dla", 0, 1, 1)}}};
  bad.trace.contenders[0].phases[0].cluster.pointer = "/tasks/c/phases/0/cluster";
  CHECK(error_message(ErrorCode::bad_input,
                      [&] { (void)simulate(bad, policy, with_governor("performance")); }) ==
        "test.trace.json: /tasks/c/phases/0/cluster: found \"dla\", expected a cluster of platform test "
        "board (cpu)");
}

TEST_CASE("simulate: a job that wants to stop is obeyed") {
  struct Stopper final : Job {
    [[nodiscard]] bool stop_requested() const noexcept override { return true; }
  };
  const Workload workload = one_app(make_trace(1, {make_app("a", 1, 1, 1)}), 1, 0.1);
  ScriptedPolicy policy;
  CHECK_FALSE(error_message(ErrorCode::interrupted, [&] {
                (void)simulate(workload, policy, with_governor("performance"), Stopper());
              }).empty());
}

}  // namespace dsn::test
