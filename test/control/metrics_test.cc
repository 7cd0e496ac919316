// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/metrics.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <thread>

#include "../fakes/error_of.h"
#include "../fakes/temp_folder.h"
#include "board.h"
#include "exposition.h"

using namespace dsn;
using namespace dsn::fakes;
using dsn::test::begin_two_apps;
using dsn::test::Exposition;
using dsn::test::two_apps;
using dsn::test::two_apps_state;

namespace {

const std::map<std::string, std::string> kCam{{"app", "cam"}};

// Waits for what another thread does in its own time.
template <typename Condition>
bool comes_true(const Condition& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

TEST_CASE("metrics_text: what a scraper reads is what the run published") {
  const Exposition read(metrics_text(two_apps(), two_apps_state()));
  CHECK(read.value("dsn_running") == 1);
  CHECK(read.value("dsn_run_time_seconds") == 10);
  CHECK(read.value("dsn_frames_total", {{"app", "cam"}, {"result", "completed"}}) == 98);
  CHECK(read.value("dsn_frames_total", {{"app", "cam"}, {"result", "skipped"}}) == 2);
  CHECK(read.value("dsn_deadlines_met_total", kCam) == 95);
  CHECK(read.value("dsn_latency_seconds_count", kCam) == 98);
  CHECK(read.value("dsn_latency_seconds_bucket", {{"app", "cam"}, {"le", "0.005"}}) == 95);
  CHECK(read.value("dsn_latency_seconds_bucket", {{"app", "cam"}, {"le", "0.002"}}) == 0);
  CHECK(read.value("dsn_latency_target_seconds", kCam) == 0.005);
  CHECK(read.value("dsn_level_accuracy_ratio", kCam) == 0.93);
  CHECK(read.value("dsn_app_paused", {{"app", "pl\"ate\\\n"}}) == 1);
  CHECK(read.value("dsn_cluster_frequency_hertz", {{"cluster", "big"}}) == 1.5e9);
  CHECK(read.value("dsn_cluster_temperature_celsius", {{"cluster", "big"}}) == 61.5);
  CHECK(std::isnan(read.value("dsn_cluster_temperature_celsius", {{"cluster", "LITTLE"}})));
  CHECK(read.value("dsn_power_watts") == 4.5);
  CHECK(read.value("dsn_decisions_missing_total") == 2);
  CHECK(read.samples().size() > 80);
}

TEST_CASE("metrics_text: what nobody knows is left out, not zero") {
  RunState state;
  state.now_s = -1;
  const Exposition read(metrics_text({"dsn", {{"cam", {}, {}}}, {{"cpu", {}}}}, state));
  CHECK_FALSE(read.has("dsn_run_time_seconds"));
  CHECK_FALSE(read.has("dsn_cluster_power_watts"));
  CHECK_FALSE(read.has("dsn_cluster_frequency_hertz"));
  CHECK_FALSE(read.has("dsn_power_watts"));
  CHECK_FALSE(read.has("dsn_level_accuracy_ratio"));
  CHECK_FALSE(read.has("dsn_period_seconds"));
  CHECK(read.has("dsn_app_active"));
}

TEST_CASE("the exposition reader used here refuses what scrapers refuse") {
  const std::string head = "# HELP a A.\n# TYPE a gauge\n";
  CHECK(Exposition(head + "a{b=\"c\"} 1e3\n").value("a", {{"b", "c"}}) == 1000);
  for (const std::string bad :
       {"a 1", "a\n", "a x\n", "b 1\n", "a 1\na 1\n", "a{b} 1\n", "a{b=\"\\c\"} 1\n", "a{b=\"c\" 1\n"})
    CHECK_THROWS_MESSAGE(Exposition(head + bad), bad);
  CHECK_THROWS(Exposition("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n"));
  CHECK_THROWS(Exposition("# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 1\nh_count 2\n"));
}

TEST_CASE("MetricsFile: replaced as a whole while the run goes on, and says at the end that it ended") {
  const TempFolder temp;
  const fs::path path = temp / "dsn.prom";
  RunBoard board;
  auto file = std::make_unique<MetricsFile>(path, board, 0.01);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_FALSE(fs::exists(path));  // no run yet
  begin_two_apps(board);
  board.publish(two_apps_state());
  REQUIRE(comes_true([&] { return fs::exists(path); }));
  for (int i = 0; i < 100; ++i) {  // never half a file
    const Exposition read(read_file(path));
    CHECK(read.value("dsn_running") == 1);
  }
  std::error_code ignored;
  do {  // the writer may be quicker
    fs::remove(path, ignored);
  } while (!fs::create_directory(path, ignored));  // cannot be written now
  CHECK(comes_true([&] { return file->failure().has_value(); }));
  fs::remove(path);
  CHECK(comes_true([&] { return fs::exists(path) && !file->failure(); }));
  RunState state = two_apps_state();
  state.ended = true;
  board.publish(state);
  file.reset();
  CHECK(Exposition(read_file(path)).value("dsn_running") == 0);
  CHECK(error_of([&] { const MetricsFile none(temp / "none" / "dsn.prom", board); }).code() ==
        ErrorCode::not_found);
}
