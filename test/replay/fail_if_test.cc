// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/fail_if.h"

#include <doctest/doctest.h>

#include "dsn/replay/metrics.h"
#include "dsn/replay/replay.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

const std::vector<std::string> kPolicies = {"dsn", "static:1", "alert:0.5"};
const std::vector<std::string> kApps = {"cam", "mic"};

Figures figures(double energy, double miss) {
  return {{"energy_j", {energy, {}}}, {"deadline_miss", {miss, {}}}, {"cam.deadline_miss", {miss / 2, {}}}};
}

Json report_of(const std::vector<Figures>& dsn, const Figures& other) {
  Json report;
  report["policies"] = {{{"policy", "dsn"}, {"figures", over_seeds(dsn)}},
                        {{"policy", "static:1"}, {"figures", over_seeds({other})}}};
  return report;
}

bool holds(const std::string& text, const Json& report) {
  return judge({parse_condition(text, kPolicies, kApps)}, report)[0]["holds"].get<bool>();
}

std::string refusal(const std::string& text) {
  try {
    (void)parse_condition(text, kPolicies, kApps);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_usage);
    return error.message() + " " + error.hint();
  }
  return {};
}

}  // namespace

TEST_CASE("parse_condition: what a condition is made of") {
  const Condition plain = parse_condition("dsn.deadline_miss>0.01", kPolicies, kApps);
  CHECK(plain.left.policy == "dsn");
  CHECK(plain.left.figure == "deadline_miss");
  CHECK(plain.greater);
  CHECK_FALSE(plain.or_equal);
  CHECK(plain.factor == 0.01);
  CHECK_FALSE(plain.right.has_value());
  const Condition other =
      parse_condition("alert:0.5.cam.latency_p99_s <= 1.5 * static:1.cam.latency_p99_s", kPolicies, kApps);
  CHECK(other.left.policy == "alert:0.5");
  CHECK(other.left.figure == "cam.latency_p99_s");
  CHECK_FALSE(other.greater);
  CHECK(other.or_equal);
  CHECK(other.factor == 1.5);
  REQUIRE(other.right.has_value());
  CHECK(other.right->policy == "static:1");
}

TEST_CASE(
    "parse_condition: what is none is refused, and a name that is not there is listed with those that are") {
  CHECK(refusal("dsn.deadline_miss").find("POLICY") != std::string::npos);
  CHECK(refusal("dsn>1").find("POLICY.NAME") != std::string::npos);
  CHECK(refusal("dsn.misses>1").find("deadline_miss") != std::string::npos);
  CHECK(refusal("alert.energy_j>1").find("static:1") != std::string::npos);
  CHECK(refusal("dsn.door.accuracy<1").find("cam, mic") != std::string::npos);
  CHECK(refusal("dsn.cam.energy_j<1").find("platform") != std::string::npos);
  CHECK_FALSE(refusal("dsn.energy_j>x*dsn.energy_j").empty());
  CHECK_FALSE(refusal("dsn.energy_j>nan").empty());
  CHECK_FALSE(refusal("dsn.energy_j>").empty());
  CHECK_FALSE(refusal("").empty());
}

TEST_CASE("judge: compares means over seeds with numbers and with other policies") {
  const Json report = report_of({figures(10, 0.0), figures(14, 0.02)}, figures(12, 0.5));
  CHECK(holds("dsn.deadline_miss>0.009", report));
  CHECK_FALSE(holds("dsn.deadline_miss>0.01", report));
  CHECK(holds("dsn.deadline_miss>=0.01", report));
  CHECK(holds("dsn.cam.deadline_miss<0.006", report));
  CHECK_FALSE(holds("dsn.energy_j>static:1.energy_j", report));
  CHECK(holds("dsn.energy_j<=static:1.energy_j", report));
  CHECK(holds("dsn.energy_j>0.9*static:1.energy_j", report));
}

TEST_CASE("judge: a figure without a value is an error, not a pass") {
  Figures unknown = figures(1, 0);
  unknown["energy_j"] = {std::nullopt, "no power numbers"};
  const Json report = report_of({unknown}, figures(1, 0));
  const std::string message =
      error_message(ErrorCode::bad_input, [&] { (void)holds("dsn.energy_j>5", report); });
  CHECK(message.find("no power numbers") != std::string::npos);
}

TEST_CASE("over_seeds: mean, Student's interval, and ends of five values by hand") {
  std::vector<Figures> seeds;
  for (const double v : {1.0, 2.0, 3.0, 4.0, 5.0}) seeds.push_back({{"x", {v, {}}}});
  const Json x = over_seeds(seeds)["x"];
  CHECK(x["mean"].get<double>() == Approx(3));
  // Standard deviation 1.5811, standard error 0.70711, t(4) = 2.77645.
  CHECK(x["interval_95"][0].get<double>() == Approx(3 - 1.96325).epsilon(1e-4));
  CHECK(x["interval_95"][1].get<double>() == Approx(3 + 1.96325).epsilon(1e-4));
  CHECK(x["min"] == 1.0);
  CHECK(x["max"] == 5.0);
  const Json one = over_seeds({seeds[0]})["x"];
  CHECK(one["interval_95"].is_null());
  CHECK(student_t95(10) == Approx(2.228139).epsilon(1e-3));
  CHECK(student_t95(30) == Approx(2.042272).epsilon(1e-3));
}

TEST_CASE("replay: several seeds, a gate and the oracle in one report that keeps its schema") {
  Platform platform = make_platform({make_cluster("cpu", 2, {0.5e9, 1.0e9})});
  std::vector<AppModel> models;
  models.push_back(make_model(platform, {{"cpu", 1, {0.01, 0.02}, 0.05}}));
  Trace trace = make_trace(5, {make_app("cam", 0.05, 0.06, 5)}, {{"c", "", {busy_phase("cpu", 1, 2, 3)}}});
  trace.noise = true;
  const LoadedWorkload loaded = bind_workload(std::move(trace), platform, std::move(models));
  ReplayOptions options;
  options.policies = {"performance", "powersave", "oracle"};
  options.seeds = 4;
  options.threads = 2;
  options.fail_if = {"performance.energy_j>oracle.energy_j", "powersave.deadline_met>=1",
                     "performance.gap_to_oracle<0"};
  const Json report = replay(loaded, options);
  CHECK_NOTHROW(check_schema(report, "dsn.report", "report"));
  CHECK(report["seeds"] == Json({1, 2, 3, 4}));
  CHECK(report["conditions"][0]["holds"] == true);
  CHECK(report["conditions"][1]["holds"] == false);
  CHECK(report["conditions"][2]["holds"] == false);
  CHECK(failed_conditions(report).find("performance.energy_j>oracle.energy_j") == 0);
  CHECK(report["policies"][0]["figures"]["cam.accuracy"]["interval_95"].size() == 2);
  const auto table = replay_table(report);
  CHECK(table[0].size() == table[1].size());
  CHECK(table[1][4].find("+-") != std::string::npos);
  options.threads = 1;
  CHECK(dump_json(replay(loaded, options)) == dump_json(report));
}

}  // namespace dsn::test
