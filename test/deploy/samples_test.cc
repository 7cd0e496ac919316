// SPDX-License-Identifier: Apache-2.0
// Bundles as they were written once (samples/vN): every later dsn opens them and computes the same with them.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "dsn/deploy/bundle.h"
#include "fakes/small_bundle.h"

namespace {

namespace fs = std::filesystem;

const fs::path kSamples = fs::path(DSN_SOURCE_ROOT) / "test/deploy/samples";

// An input that is the same everywhere.
std::vector<float> input_for(const dsn::Network& network) {
  std::vector<float> input(
      static_cast<std::size_t>(network.in_channels * network.resolution * network.resolution));
  for (std::size_t i = 0; i < input.size(); ++i)
    input[i] = static_cast<float>(static_cast<int>(i * 7 % 23) - 11) / 8.F;
  return input;
}

dsn::Json logits_of(const dsn::Bundle& bundle) {
  const auto executor = dsn::make_executor("auto", bundle.space, bundle.weights);
  executor->prepare(bundle.levels);
  dsn::Json all = dsn::Json::array();
  for (std::size_t level = 0; level < bundle.levels.size(); ++level) {
    executor->activate(level);
    std::vector<float> logits(bundle.class_names.size());
    executor->infer(input_for(executor->network()), 1, logits);
    all.push_back(logits);
  }
  return all;
}

}  // namespace

// Run by hand (--no-skip --test-case='*frozen sample*') when a new version of the format comes, never for an
// old one.
TEST_CASE("write the frozen sample of version 1" * doctest::skip()) {
  const fs::path folder = kSamples / "v1";
  REQUIRE_FALSE(fs::exists(folder));
  fs::create_directories(folder);
  (void)dsn::fakes::write_small_bundle(folder, {"elastic", "torch"});
  fs::remove_all(folder / "parts");
  (void)dsn::fakes::write_small_bundle(folder, {"elastic", "torch"}, true);
  fs::remove_all(folder / "parts");
  const dsn::Bundle bundle = dsn::Bundle::open(folder / "small");
  dsn::write_file_atomic(folder / "expected.json",
                         dsn::dump_json({{"bundle_sha256", bundle.sha256}, {"logits", logits_of(bundle)}}));
}

TEST_CASE("Bundle::open: the frozen samples open in both forms and give the logits that they gave") {
  for (const char* version : {"v1"}) {
    const fs::path folder = kSamples / version;
    const dsn::Json expected = dsn::read_json(folder / "expected.json");
    for (const char* name : {"small", "small.dsnb"}) {
      CAPTURE(name);
      const dsn::Bundle bundle = dsn::Bundle::open(folder / name);
      CHECK(bundle.sha256 == expected["bundle_sha256"].get<std::string>());
      CHECK(bundle.space.name() == "fmnist-mbv3");
      REQUIRE(bundle.luts.size() == 2);
      CHECK(bundle.luts[1].engine == "torch");
      CHECK(bundle.class_names.back() == "class9");
      CHECK(bundle.family.levels[1].accuracy == doctest::Approx(0.93));
      if (dsn::executor_names().empty()) continue;
      const dsn::Json logits = logits_of(bundle);
      for (std::size_t level = 0; level < 2; ++level) {
        const auto found = logits[level].get<std::vector<float>>();
        const auto wanted = expected["logits"][level].get<std::vector<float>>();
        float largest = 0, difference = 0;
        for (std::size_t c = 0; c < wanted.size(); ++c) {
          largest = std::max(largest, std::abs(wanted[c]));
          difference = std::max(difference, std::abs(wanted[c] - found[c]));
        }
        CHECK(difference <= 1e-4F * largest);
      }
    }
  }
}
