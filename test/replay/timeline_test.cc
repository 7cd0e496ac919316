// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/timeline.h"

#include <doctest/doctest.h>

#include "dsn/replay/trace_summary.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

LoadedWorkload loaded_with(const std::string& app) {
  Platform platform = make_platform({make_cluster("cpu", 2, {0.5e9, 1.0e9})});
  std::vector<AppModel> models;
  models.push_back(make_model(platform, {{"cpu", 1, {0.01, 0.02}}}));
  return bind_workload(
      make_trace(10, {make_app(app, 0.05, 0.1, 10)}, {{"c", "", {busy_phase("cpu", 4, 2, 2)}}}), platform,
      std::move(models));
}

ReplayOptions with_policies() {
  ReplayOptions options;
  options.policies = {"performance", "powersave", "oracle"};
  return options;
}

}  // namespace

TEST_CASE("record_timeline: bins hold mean power, clocks, levels and the longest latency") {
  const LoadedWorkload loaded = loaded_with("cam");
  TimelineOptions options;
  options.bins = 10;
  options.keep_inferences = true;
  const Timeline timeline = record_timeline(loaded, with_policies(), options);
  REQUIRE(timeline.policies.size() == 2);  // the oracle has none
  const PolicyTimeline& line = timeline.policies[0];
  // 2 W base, 0.1 W idle, a tenth of the time 1 W more... of one core for 0.02 s every 0.1 s: 0.2 W.
  CHECK(*line.power_w[0] == Approx(2.3));
  CHECK(*line.power_w[5] == Approx(2 + 0.1 + 2));  // both cores busy
  CHECK(*line.freq_hz[0][3] == 1.0e9);
  CHECK(*timeline.policies[1].freq_hz[0][3] == 0.5e9);
  CHECK(*line.apps[0].level[2] == 1);
  CHECK(*line.apps[0].latency_s[2] == Approx(0.02));
  CHECK(*line.apps[0].latency_s[4] == Approx(0.03));  // two of three threads' share
  CHECK(line.inferences.size() == 100);
  CHECK_FALSE(line.temp_c[0].has_value());
  // Energy is that of the report.
  const SimResult whole = [&] {
    const auto policy = make_policy("static:largest");
    SimOptions sim;
    sim.governors = {"performance", "performance"};
    return simulate(loaded.workload, *policy, sim);
  }();
  double joules = 0;
  for (const auto& watts : line.power_w) joules += *watts;
  CHECK(joules == Approx(whole.total_j()));
}

TEST_CASE("html_of: a page that needs no network, with its data and nothing that a name could break") {
  const LoadedWorkload loaded = loaded_with("cam");
  Json report = replay(loaded, with_policies());
  report["warnings"].push_back("a <b>warning</b> & more");
  TimelineOptions options;
  options.bins = 50;
  const Page page = replay_page(loaded, report, record_timeline(loaded, with_policies(), options));
  CHECK(page.charts.size() == 4);  // level, latency, clock, power
  CHECK(page.charts[1].series.back().name == "target");
  const std::string html = html_of(page);
  for (const char* outside : {"src=", "href=", "@import", "fetch(", "XMLHttpRequest", "url("}) {
    CAPTURE(outside);
    CHECK(html.find(outside) == std::string::npos);
  }
  CHECK(html.find("default-src 'none'") != std::string::npos);
  CHECK(html.find("<b>warning") == std::string::npos);
  CHECK(html.find("&#60;b&#62;warning") != std::string::npos);
  CHECK(html.find("MIT License") != std::string::npos);  // of the chart library
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t start = html.find(open) + open.size();
  const Json data = Json::parse(html.substr(start, html.find("</script>", start) - start));
  REQUIRE(data.size() == 4);
  CHECK(data[0]["x"].size() == 50);
  CHECK(data[0]["series"][0]["y"].size() == 50);
  CHECK(data[3]["series"][1]["name"] == "powersave");
}

TEST_CASE("html_of: text in chart data cannot end its element") {
  Page page;
  page.charts = {{"</script><script>alert(1)", "s", false, {1.0}, {{"<!--", {std::nullopt}, 0, false}}}};
  const std::string html = html_of(page);
  CHECK(html.find("alert(1)") != std::string::npos);
  CHECK(html.find("</script><script>alert") == std::string::npos);
  CHECK(html.find("<!--") == std::string::npos);
  page.charts[0].series[0].y.clear();
  CHECK_FALSE(error_message(ErrorCode::failed, [&] { (void)html_of(page); }).empty());
}

TEST_CASE("chrome_trace: JSON with every inference in its application's row, one after the other") {
  const LoadedWorkload loaded = loaded_with("cam");
  TimelineOptions options;
  options.keep_inferences = true;
  const Json trace = Json::parse(chrome_trace(loaded, record_timeline(loaded, with_policies(), options)));
  int inferences = 0;
  double ends = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] != "X" || event["pid"] != 1) continue;
    ++inferences;
    CHECK(event["ts"].get<double>() >= ends - 1e-3);
    ends = event["ts"].get<double>() + event["dur"].get<double>();
    CHECK(event["args"]["latency_ms"].get<double>() >= 20 - 1e-6);
  }
  CHECK(inferences == 100);
}

TEST_CASE("trace_summary and trace_page: what a trace asks for") {
  const Trace trace =
      make_trace(10, {make_app("cam", 0.05, 0.1, 10)}, {{"c", "", {busy_phase("cpu", 4, 2, 2)}}});
  const Json summary = trace_summary(trace);
  CHECK(summary["tasks"][0]["arrivals"] == 100);
  CHECK(summary["tasks"][0]["mean_rate_hz"].get<double>() == Approx(10));
  CHECK(summary["tasks"][1]["mean_cores"].get<double>() == Approx(0.4));
  CHECK(summary_text(summary).find("cam: 100 arrivals") != std::string::npos);
  const Page page = trace_page(trace);
  REQUIRE(page.charts.size() == 3);
  CHECK(*page.charts[2].series[0].y[250] == Approx(2));
  CHECK(*page.charts[2].series[0].y[100] == 0);
}

}  // namespace dsn::test
