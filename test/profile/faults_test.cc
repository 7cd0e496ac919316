// SPDX-License-Identifier: Apache-2.0
// What goes wrong in sysfs while a LUT is measured: it stays whole, and frequencies are put back.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../platform/fake_sysfs.h"
#include "dsn/core/error.h"
#include "dsn/platform/frequency_state.h"
#include "dsn/profile/measure.h"
#include "fakes/fake_executor.h"
#include "fakes/tiny_space.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::test::FakeSysfs;

namespace {

class ListeningJob final : public dsn::Job {
 public:
  std::vector<std::string> warnings;
  void warn(std::string_view line) override { warnings.emplace_back(line); }
};

struct Bench {
  FakeSysfs tree;
  dsn::SearchSpace space = dsn::fakes::tiny_space();
  dsn::fakes::FakeClock clock;
  dsn::fakes::FakeExecutor executor{space, clock};
  dsn::ProfileOptions options;
  ListeningJob job;
  std::filesystem::path state = dsn::default_frequency_state(tree.root());
  std::vector<dsn::Lut> saved;
  dsn::Platform platform;
  dsn::Lut lut;

  explicit Bench(const std::string& governors = "userspace schedutil ") {
    tree.add_policy(0, "0 1", governors);
    platform = dsn::parse_platform(dsn::discover_platform(tree.root()), "discovered");
    options.clock = clock.reader();
    options.units = false;
    lut = dsn::start_lut(space, platform, "fake", "imaginary");
  }
  void run() {
    const auto control = dsn::make_frequency_control(platform, {tree.root(), state});
    dsn::profile_network(
        executor, space, platform, control.get(), {{space.smallest(), {}}, {space.largest(), {}}}, options,
        lut, [this](const dsn::Lut& now) { saved.push_back(now); }, job);
  }
  [[nodiscard]] std::string get(const std::string& file) const {
    return tree.get(FakeSysfs::policy(0, file));
  }
  [[nodiscard]] bool is_restored() const {
    return get("scaling_governor") == "schedutil" && get("scaling_min_freq") == "400000" &&
           get("scaling_max_freq") == "1200000" && !dsn::fs::exists(state);
  }
};

}  // namespace

TEST_CASE(
    "faults: a frequency that is refused midway ends the run with what was measured saved and all put back") {
  Bench bench;
  // While the second of three points is measured the set speed becomes something that cannot be written.
  bool broken = false;
  bench.executor.overhead_s = [&] {
    if (!broken && bench.get("scaling_setspeed") == "800000") {
      bench.tree.block(FakeSysfs::policy(0, "scaling_setspeed"));
      broken = true;
    }
    return 0.0;
  };
  CHECK_THROWS_AS(bench.run(), Error);
  REQUIRE(bench.saved.size() == 2);
  const dsn::Lut kept = dsn::Lut::parse(bench.saved.back().to_json(), "kept");
  REQUIRE(kept.levels.size() == 2);
  for (const dsn::LutLevel& level : kept.levels) {
    CHECK(level.at.count({"cpu", 1, 400e6, 1}) == 1);
    CHECK(level.at.count({"cpu", 1, 800e6, 1}) == 1);
    CHECK(level.at.count({"cpu", 1, 1200e6, 1}) == 0);
  }
  CHECK(bench.is_restored());

  // The rest is measured when the fault is mended.
  bench.executor.overhead_s = [] { return 0.0; };
  bench.tree.remove(FakeSysfs::policy(0, "scaling_setspeed"));
  bench.tree.put(FakeSysfs::policy(0, "scaling_setspeed"), "<unsupported>\n");
  bench.lut = kept;
  bench.run();
  for (const dsn::LutLevel& level : bench.lut.levels) CHECK(level.at.size() == 3);
  CHECK(bench.is_restored());
}

TEST_CASE("faults: a value that does not stick is told, and marks the entries measured under it") {
  Bench bench("performance");
  bench.tree.put(FakeSysfs::policy(0, "scaling_governor"), "schedutil\n");
  bench.tree.put(FakeSysfs::policy(0, "scaling_max_freq"), "800000\n");  // a cap that was there before
  bench.tree.put(FakeSysfs::policy(0, "scaling_cur_freq"), "800000\n");
  bench.run();
  REQUIRE(bench.job.warnings.size() == 1);
  CHECK(bench.job.warnings[0].find("asked for 1.20 GHz, the kernel gave 800 MHz") != std::string::npos);
  for (const dsn::LutLevel& level : bench.lut.levels) {
    CHECK(level.at.at({"cpu", 1, 800e6, 1}).note.empty());
    CHECK(level.at.at({"cpu", 1, 1200e6, 1}).note == "frequency read 800 MHz to 800 MHz");
  }
  CHECK(bench.get("scaling_max_freq") == "800000");
  CHECK(bench.get("scaling_min_freq") == "400000");
  CHECK_FALSE(dsn::fs::exists(bench.state));
}

TEST_CASE("faults: a policy that vanishes keeps the LUT and its state, and another start puts it back") {
  Bench bench;
  const std::string folder = "sys/devices/system/cpu/cpufreq/policy0";
  bench.executor.overhead_s = [&] {
    if (bench.get("scaling_setspeed") == "800000")
      std::filesystem::rename(bench.tree.root() / folder, bench.tree.root() / "away");
    return 0.0;
  };
  CHECK_THROWS_AS(bench.run(), Error);
  CHECK(bench.saved.size() == 2);
  CHECK(dsn::fs::exists(bench.state));
  std::filesystem::rename(bench.tree.root() / "away", bench.tree.root() / folder);
  CHECK(bench.get("scaling_governor") == "userspace");
  // The writer of the state is this very process, so it has to be forced.
  CHECK(dsn::restore_frequencies(bench.state, bench.tree.root(), true).complete());
  CHECK(bench.is_restored());
}
