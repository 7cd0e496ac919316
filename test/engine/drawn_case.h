// SPDX-License-Identifier: Apache-2.0
// A whole case for an engine drawn from one number: a search space nobody wrote, a sub-network of it, image
// size, batch, threads and statistics. The same number draws the same case everywhere.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/random.h"
#include "dsn/space/network.h"

namespace dsn::test {

class DrawnCase {
 public:
  explicit DrawnCase(std::uint64_t seed) : seed_(seed), rng_(Rng::stream(seed, "case")) {
    const bool bottleneck = one_in(4);
    space_document = bottleneck ? bottleneck_space() : mbconv_space();
    batch = between(1, 4);
    threads = between(1, 5);
    own_statistics = one_in(2);
  }

  // Draws on.
  [[nodiscard]] SubnetConfig config_of(const SearchSpace& space) {
    if (one_in(8)) return space.largest();
    if (one_in(8)) return space.smallest();
    return space.sample(rng_);
  }
  [[nodiscard]] std::string describe(const SearchSpace& space, const SubnetConfig& config) const {
    return fmt::format("case {}: {}, batch {}, {} threads, {} statistics, of {}", seed_,
                       space.describe(config), batch, threads, own_statistics ? "own" : "shared",
                       space_document.dump());
  }

  Json space_document;
  int batch = 1, threads = 1;
  bool own_statistics = false;

 private:
  int between(int low, int high) {
    return low + static_cast<int>(rng_.below(static_cast<std::size_t>(high - low + 1)));
  }
  bool one_in(int n) { return rng_.below(static_cast<std::size_t>(n)) == 0; }
  template <typename T>
  T one_of(const std::vector<T>& choices) {
    return choices[rng_.below(choices.size())];
  }
  // Any number of channels that rounding leaves as it is.
  int channels(int most) { return 8 * between(1, most / 8); }
  std::string act() { return one_of<std::string>({"relu", "relu6", "hswish"}); }
  std::vector<int> depth() { return one_of<std::vector<int>>({{1}, {2}, {1, 2}, {2, 3}, {1, 3}}); }

  Json common(int smallest_image) {
    std::vector<int> sizes;
    for (int i = between(1, 3); i > 0; --i) sizes.push_back(between(smallest_image, 72));
    std::ranges::sort(sizes);
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    Json document = {{"schema", "dsn.space"},
                     {"schema_version", 1},
                     {"name", "drawn"},
                     {"in_channels", between(1, 4)},
                     {"classes", between(2, 40)},
                     {"width_mult", one_of<double>({0.25, 0.5, 1, 1, 1.2})},
                     {"bn_eps", one_of<double>({1e-5, 1e-3})},
                     {"resolutions", sizes}};
    return document;
  }

  Json mbconv_space() {
    Json document = common(8);
    document["stem"] = {{"channels", channels(48)}, {"stride", between(1, 2)}, {"act", act()}};
    document["first"] = {{"channels", channels(40)}, {"stride", between(1, 2)}, {"act", act()}};
    for (int i = between(1, 4); i > 0; --i) {
      document["stages"].push_back(
          {{"channels", channels(120)},
           {"stride", between(1, 2)},
           {"act", act()},
           {"se", one_in(2)},
           {"depth", depth()},
           {"expand", one_of<std::vector<int>>({{1, 2}, {3, 4, 6}, {2}, {1}, {2, 5}})},
           {"kernel", one_of<std::vector<int>>({{3}, {5}, {7}, {3, 5}, {5, 7}, {3, 5, 7}})}});
    }
    document["head"] = {{"final_expand_channels", channels(320)},
                        {"feature_channels", one_in(2) ? 0 : channels(320)},
                        {"act", act()}};
    if (one_in(3)) document["width"] = one_of<std::vector<double>>({{0.5, 1}, {0.25, 0.6, 1}});
    return document;
  }

  Json bottleneck_space() {
    Json document = common(16);
    document["block"] = "bottleneck";
    document["stem"] = {{"channels", channels(64)},
                        {"stride", between(1, 2)},
                        {"act", act()},
                        {"depth", one_of<std::vector<int>>({{0}, {1}, {0, 1}})}};
    for (int i = between(1, 3); i > 0; --i) {
      document["stages"].push_back({{"channels", channels(160)},
                                    {"stride", between(1, 2)},
                                    {"act", act()},
                                    {"depth", depth()},
                                    {"expand", one_of<std::vector<double>>({{0.2, 0.25, 0.35}, {0.5}, {1}})},
                                    {"kernel", one_of<std::vector<int>>({{3}, {5}, {1}})}});
    }
    if (one_in(2)) {
      document["width"] = {0.65, 0.8, 1.0};
      document["width_per"] = one_of<std::string>({"stage", "network"});
    }
    return document;
  }

  std::uint64_t seed_;
  Rng rng_;
};

}  // namespace dsn::test
