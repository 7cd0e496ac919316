// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sched.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>

#include "../fakes/small_family.h"
#include "dsn/core/error.h"
#include "dsn/runtime/affinity.h"
#include "dsn/runtime/clock.h"
#include "dsn/runtime/latency_histogram.h"
#include "dsn/runtime/load_monitor.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

// A root folder with a proc/stat of two CPUs.
class FakeProc {
 public:
  FakeProc() : root_(fs::temp_directory_path() / ("dsn-load-test-" + std::to_string(getpid()))) {
    fs::create_directories(root_ / "proc");
  }
  ~FakeProc() { fs::remove_all(root_); }
  // Ticks so far: user, idle and stolen, of both CPUs.
  void write(const std::array<long, 2>& user, const std::array<long, 2>& idle, long stolen = 0) const {
    std::ofstream file(root_ / "proc/stat");
    file << "cpu  1 2 3 4 5 6 7 8 9 10\n";
    for (std::size_t cpu = 0; cpu < 2; ++cpu)
      file << "cpu" << cpu << " " << user[cpu] << " 0 0 " << idle[cpu] << " 0 0 0 " << stolen << " 0 0\n";
    file << "intr 1 2 3\n";
  }
  [[nodiscard]] const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

}  // namespace

TEST_CASE("load monitor: what others used of the cores; all of them when none was idle") {
  const FakeProc proc;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto t = [&](double seconds) { return static_cast<long>(seconds * ticks); };
  proc.write({0, 0}, {0, 0});
  const auto monitor = make_load_monitor(plain_platform(), proc.root());
  CHECK(monitor->others_load(0) < 0);
  monitor->poll(0);
  CHECK(monitor->others_load(0) < 0);  // one reading is no rate
  proc.write({t(50), t(20)}, {t(50), t(80)});
  monitor->poll(100);  // this process's own time in between is a small part of 100 s
  CHECK(monitor->others_load(0) == doctest::Approx(0.7).epsilon(0.05));
  proc.write({t(110), t(60)}, {t(50), t(80)}, t(30));
  monitor->poll(200);
  CHECK(monitor->others_load(0) == 2);
  proc.write({0, 0}, {t(1000), t(1000)});
  monitor->poll(200.1);  // too soon: not read
  CHECK(monitor->others_load(0) == 2);
}

TEST_CASE("load monitor: unknown without /proc/stat, for a GPU, and for one of several CPU clusters") {
  const auto blind = make_load_monitor(plain_platform(), "/nonexistent");
  blind->poll(0);
  blind->poll(1);
  CHECK(blind->others_load(0) < 0);
  Platform platform = plain_platform();
  platform.clusters.push_back(cluster_of("gpu", 0, {1e9}));
  platform.clusters[1].kind = ClusterKind::gpu;
  const auto with_gpu = make_load_monitor(platform);
  with_gpu->poll(0);
  with_gpu->poll(1);
  CHECK(with_gpu->others_load(1) < 0);
  platform.clusters[1].kind = ClusterKind::cpu;
  const auto two = make_load_monitor(platform);
  two->poll(0);
  two->poll(1);
  CHECK(two->others_load(0) < 0);
}

TEST_CASE("ProcessAffinity: binds and puts back") {
  cpu_set_t before, now;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int first = 0;
  while (!CPU_ISSET(static_cast<std::size_t>(first), &before)) ++first;
  {
    ProcessAffinity affinity;
    affinity.bind({first});
    REQUIRE(sched_getaffinity(0, sizeof now, &now) == 0);
    CHECK(CPU_COUNT(&now) == 1);
    CHECK_THROWS_AS(affinity.bind({CPU_SETSIZE - 1}), Error);
  }
  REQUIRE(sched_getaffinity(0, sizeof now, &now) == 0);
  CHECK(CPU_EQUAL(&before, &now));
}

TEST_CASE("monotonic clock: goes on, and a sleep into the past returns") {
  Clock& clock = monotonic_clock();
  const double before_s = clock.now_s();
  clock.sleep_until(before_s - 1);
  clock.sleep_until(before_s + 2e-3);
  CHECK(clock.now_s() >= before_s + 2e-3);
}

TEST_CASE("LatencyHistogram: quantiles within its bins' width, ends exact, tails only where n carries them") {
  LatencyHistogram histogram;
  CHECK_FALSE(histogram.quantile(0.5));
  for (int i = 1; i <= 50; ++i) histogram.add(1e-3 * i);
  CHECK(*histogram.quantile(0.5) == doctest::Approx(25e-3).epsilon(0.002));
  CHECK_FALSE(histogram.quantile(0.99));
  for (int i = 51; i <= 100; ++i) histogram.add(1e-3 * i);
  CHECK(*histogram.quantile(0.99) == doctest::Approx(99e-3).epsilon(0.002));
  CHECK(*histogram.quantile(0) == doctest::Approx(1e-3));
  CHECK(histogram.largest() == 0.1);
  CHECK(histogram.mean() == doctest::Approx(50.5e-3));
  histogram.add(0);
  histogram.add(1e9);
  CHECK(histogram.largest() == 1e9);
}
