// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/search_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/error.h"

namespace dsn {

namespace {

// "[3, 4, 6]" for messages; integral ratios without a fraction.
template <typename T>
std::string list(const std::vector<T>& values) {
  return fmt::format("{}", fmt::join(values, ", "));
}

template <typename T>
void require_member(const std::string& where, T found, const std::vector<T>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), found) == allowed.end()) {
    throw Error(ErrorCode::bad_input,
                fmt::format("sub-network: {}: found {}, expected one of {}", where, found, list(allowed)));
  }
}

template <typename T>
T pick(const std::vector<T>& values, Rng& rng) {
  return values[rng.below(values.size())];
}

// For each block: `choose(stage)`.
template <typename T, typename Choose>
std::vector<T> per_block(const std::vector<StageSpace>& stages, Choose choose) {
  std::vector<T> out;
  for (const StageSpace& stage : stages) {
    for (int i = 0; i < stage.depth.back(); ++i) out.push_back(choose(stage));
  }
  return out;
}

}  // namespace

std::string_view to_string(Activation act) noexcept {
  switch (act) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::relu6:
      return "relu6";
    case Activation::hswish:
      return "hswish";
  }
  return "?";
}

int make_divisible(double channels, int divisor) noexcept {
  const int rounded = std::max(divisor, static_cast<int>(channels + divisor / 2.0) / divisor * divisor);
  return rounded < 0.9 * channels ? rounded + divisor : rounded;
}

int scaled_channels(int channels, double ratio) noexcept {
  return make_divisible(channels * ratio);
}

int expanded_channels(int channels, double expand) noexcept {
  // Python's round() in the reference rounds half to even; nearbyint does the same.
  return make_divisible(std::nearbyint(channels * expand));
}

int se_channels(int channels) noexcept {
  return make_divisible(channels / 4);
}

SearchSpace SearchSpace::with_resolution(int r) const {
  if (r < kSmallestResolution || r > kLargestResolution) {
    throw Error(ErrorCode::bad_input, fmt::format("r: found {}, expected {} to {} pixels", r,
                                                  kSmallestResolution, kLargestResolution));
  }
  SearchSpace wider = *this;
  const auto place = std::lower_bound(wider.resolutions_.begin(), wider.resolutions_.end(), r);
  if (place == wider.resolutions_.end() || *place != r) wider.resolutions_.insert(place, r);
  return wider;
}

int SearchSpace::stage_of(int block) const noexcept {
  int stage = 0;
  while (stage + 1 < stage_count() && block >= first_block(stage + 1)) ++stage;
  return stage;
}

double SearchSpace::width_ratio(const SubnetConfig& config, int part) const noexcept {
  if (width_count_ == 0) return 1;
  return config.w[width_count_ == 1 ? 0 : static_cast<std::size_t>(part)];
}

void SearchSpace::validate(const SubnetConfig& config) const {
  require_member("r", config.r, resolutions_);
  const auto require_size = [](const char* key, std::size_t found, std::size_t expected) {
    if (found != expected) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("sub-network: {}: found {} entries, expected {}", key, found, expected));
    }
  };
  require_size("d", config.d.size(), stages_.size());
  require_size("e", config.e.size(), static_cast<std::size_t>(block_count_));
  require_size("k", config.k.size(), static_cast<std::size_t>(block_count_));
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    require_member(fmt::format("d[{}]", s), config.d[s], stages_[s].depth);
    for (int i = 0; i < config.d[s]; ++i) {
      const auto b = static_cast<std::size_t>(first_block_[s] + i);
      require_member(fmt::format("e[{}]", b), config.e[b], stages_[s].expand);
      require_member(fmt::format("k[{}]", b), config.k[b], stages_[s].kernel);
    }
  }
  require_size("w", config.w.size(), static_cast<std::size_t>(width_count_));
  for (std::size_t i = 0; i < config.w.size(); ++i) {
    require_member(fmt::format("w[{}]", i), config.w[i], width_);
  }
  require_member("s", config.s, stem_depth_.empty() ? std::vector<int>{0} : stem_depth_);
}

SubnetConfig SearchSpace::canonical(SubnetConfig config) const {
  validate(config);
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    for (int i = config.d[s]; i < stages_[s].depth.back(); ++i) {
      const auto b = static_cast<std::size_t>(first_block_[s] + i);
      config.e[b] = stages_[s].expand.front();
      config.k[b] = stages_[s].kernel.front();
    }
  }
  return config;
}

SubnetConfig SearchSpace::largest() const {
  SubnetConfig config;
  config.r = resolutions_.back();
  for (const StageSpace& stage : stages_) config.d.push_back(stage.depth.back());
  config.e = per_block<double>(stages_, [](const StageSpace& s) { return s.expand.back(); });
  config.k = per_block<int>(stages_, [](const StageSpace& s) { return s.kernel.back(); });
  if (width_count_ > 0) config.w.assign(static_cast<std::size_t>(width_count_), width_.back());
  if (!stem_depth_.empty()) config.s = stem_depth_.back();
  return config;
}

SubnetConfig SearchSpace::smallest() const {
  SubnetConfig config;
  config.r = resolutions_.front();
  for (const StageSpace& stage : stages_) config.d.push_back(stage.depth.front());
  config.e = per_block<double>(stages_, [](const StageSpace& s) { return s.expand.front(); });
  config.k = per_block<int>(stages_, [](const StageSpace& s) { return s.kernel.front(); });
  if (width_count_ > 0) config.w.assign(static_cast<std::size_t>(width_count_), width_.front());
  if (!stem_depth_.empty()) config.s = stem_depth_.front();
  return config;
}

SubnetConfig SearchSpace::sample(Rng& rng) const {
  return sample(rng, pick(resolutions_, rng));
}

SubnetConfig SearchSpace::sample(Rng& rng, int resolution) const {
  SubnetConfig config;
  config.r = resolution;
  config.e = per_block<double>(stages_, [&](const StageSpace& s) { return pick(s.expand, rng); });
  config.k = per_block<int>(stages_, [&](const StageSpace& s) { return pick(s.kernel, rng); });
  for (const StageSpace& stage : stages_) config.d.push_back(pick(stage.depth, rng));
  for (int i = 0; i < width_count_; ++i) config.w.push_back(pick(width_, rng));
  if (!stem_depth_.empty()) config.s = pick(stem_depth_, rng);
  return canonical(std::move(config));
}

std::string SearchSpace::describe(const SubnetConfig& config) const {
  std::string e, k;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const auto first = static_cast<std::size_t>(first_block_[s]);
    const auto count = static_cast<std::size_t>(config.d[s]);
    e += fmt::format("{}{}", s ? "|" : "",
                     fmt::join(config.e.begin() + static_cast<std::ptrdiff_t>(first),
                               config.e.begin() + static_cast<std::ptrdiff_t>(first + count), ","));
    k += fmt::format("{}{}", s ? "|" : "",
                     fmt::join(config.k.begin() + static_cast<std::ptrdiff_t>(first),
                               config.k.begin() + static_cast<std::ptrdiff_t>(first + count), ","));
  }
  std::string text = fmt::format("r{} d{} e{} k{}", config.r, fmt::join(config.d, ","), e, k);
  if (width_count_ > 0) text += fmt::format(" w{}", fmt::join(config.w, ","));
  if (!stem_depth_.empty()) text += fmt::format(" s{}", config.s);
  return text;
}

}  // namespace dsn
