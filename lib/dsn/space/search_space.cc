// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/search_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/error.h"
#include "dsn/core/file.h"

namespace dsn {

// Generated from spaces/*.json at build time.
const std::vector<std::pair<std::string, std::string_view>>& shipped_spaces();

namespace {

constexpr int kSmallestResolution = 8, kLargestResolution = 4096;  // pixels

Activation parse_activation(const JsonView& json) {
  const std::string text = json.text();
  if (text == "relu") return Activation::relu;
  if (text == "hswish") return Activation::hswish;
  json.fail("\"relu\" or \"hswish\"");
}

template <typename T>
void require_ascending(const JsonView& json, const std::vector<T>& values) {
  if (values.empty()) json.fail("at least one value");
  if (std::adjacent_find(values.begin(), values.end(), std::greater_equal<T>()) != values.end()) {
    json.fail("strictly ascending values");
  }
}

StageSpace parse_stage(const JsonView& json, double width_mult) {
  json.only_keys({"channels", "stride", "act", "se", "depth", "expand", "kernel"});
  StageSpace stage;
  stage.channels = make_divisible(static_cast<double>(json["channels"].integer(1, 16384)) * width_mult);
  stage.stride = static_cast<int>(json["stride"].integer(1, 2));
  stage.act = parse_activation(json["act"]);
  stage.se = json["se"].boolean();
  stage.depth = json["depth"].integers();
  stage.expand = json["expand"].numbers();
  stage.kernel = json["kernel"].integers();
  require_ascending(json["depth"], stage.depth);
  require_ascending(json["expand"], stage.expand);
  require_ascending(json["kernel"], stage.kernel);
  if (stage.depth.front() < 1 || stage.depth.back() > 64) json["depth"].fail("block counts from 1 to 64");
  if (stage.expand.front() < 1 || stage.expand.back() > 16) json["expand"].fail("ratios from 1 to 16");
  for (const int k : stage.kernel) {
    if (k < 1 || k > 15 || k % 2 == 0) json["kernel"].fail("odd kernel sizes from 1 to 15");
  }
  return stage;
}

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
    case Activation::hswish:
      return "hswish";
  }
  return "?";
}

int make_divisible(double channels, int divisor) noexcept {
  const int rounded = std::max(divisor, static_cast<int>(channels + divisor / 2.0) / divisor * divisor);
  return rounded < 0.9 * channels ? rounded + divisor : rounded;
}

int expanded_channels(int in_channels, double expand) noexcept {
  // Python's round() in the reference rounds half to even; nearbyint does the same.
  return make_divisible(std::nearbyint(in_channels * expand));
}

int se_channels(int channels) noexcept {
  return make_divisible(channels / 4);
}

SearchSpace SearchSpace::parse(const Json& document, const std::string& file, double width_mult) {
  check_schema(document, "dsn.space", file);
  const JsonView v(document, file);
  v.only_keys({"schema", "schema_version", "name", "source", "in_channels", "classes", "width_mult", "bn_eps",
               "resolutions", "stem", "first", "stages", "head"});
  SearchSpace s;
  s.name_ = v["name"].text();
  s.width_mult_ = width_mult > 0 ? width_mult : v["width_mult"].number(0.01, 16);
  s.in_channels_ = static_cast<int>(v["in_channels"].integer(1, 64));
  s.classes_ = static_cast<int>(v["classes"].integer(1, 1 << 20));
  s.bn_eps_ = v["bn_eps"].number(1e-12, 1);
  s.resolutions_ = v["resolutions"].integers();
  require_ascending(v["resolutions"], s.resolutions_);
  if (s.resolutions_.front() < kSmallestResolution || s.resolutions_.back() > kLargestResolution)
    v["resolutions"].fail(fmt::format("sizes from {} to {} pixels", kSmallestResolution, kLargestResolution));

  const auto width = [&](const JsonView& json) {
    return make_divisible(static_cast<double>(json.integer(1, 16384)) * s.width_mult_);
  };
  v["stem"].only_keys({"channels", "stride", "act"});
  v["first"].only_keys({"channels", "stride", "act"});
  v["head"].only_keys({"final_expand_channels", "feature_channels", "act"});
  s.stem_channels_ = width(v["stem"]["channels"]);
  s.stem_stride_ = static_cast<int>(v["stem"]["stride"].integer(1, 2));
  s.stem_act_ = parse_activation(v["stem"]["act"]);
  s.first_channels_ = width(v["first"]["channels"]);
  s.first_stride_ = static_cast<int>(v["first"]["stride"].integer(1, 2));
  s.first_act_ = parse_activation(v["first"]["act"]);
  for (std::size_t i = 0; i < v["stages"].size(); ++i) {
    s.first_block_.push_back(s.block_count_);
    s.stages_.push_back(parse_stage(v["stages"][i], s.width_mult_));
    s.block_count_ += s.stages_.back().depth.back();
  }
  if (s.stages_.empty()) v["stages"].fail("at least one stage");
  s.final_expand_channels_ = width(v["head"]["final_expand_channels"]);
  const JsonView feature = v["head"]["feature_channels"];
  s.feature_channels_ = feature.integer(0, 16384) == 0 ? 0 : width(feature);
  s.head_act_ = parse_activation(v["head"]["act"]);

  s.document_ = document;
  s.document_["width_mult"] = s.width_mult_;
  Json identity = s.document_;
  for (const char* key : {"name", "source", "schema_version"}) identity.erase(key);
  s.sha256_ = sha256_hex(identity.dump());
  return s;
}

SearchSpace SearchSpace::load(const std::string& name_or_path, double width_mult, int classes) {
  Json document;
  std::string file = name_or_path;
  const auto& spaces = shipped_spaces();
  const auto it =
      std::find_if(spaces.begin(), spaces.end(), [&](const auto& s) { return s.first == name_or_path; });
  if (it != spaces.end()) {
    document = Json::parse(it->second);
  } else {
    if (!fs::exists(name_or_path)) {
      throw Error(ErrorCode::not_found, fmt::format("no search space \"{}\"", name_or_path),
                  fmt::format("give a file or one of: {}", fmt::join(shipped(), ", ")));
    }
    document = read_json(name_or_path, true);
  }
  if (classes > 0) document["classes"] = classes;
  return parse(document, file, width_mult);
}

std::vector<std::string> SearchSpace::shipped() {
  std::vector<std::string> names;
  for (const auto& space : shipped_spaces()) names.push_back(space.first);
  return names;
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
  return config;
}

SubnetConfig SearchSpace::smallest() const {
  SubnetConfig config;
  config.r = resolutions_.front();
  for (const StageSpace& stage : stages_) config.d.push_back(stage.depth.front());
  config.e = per_block<double>(stages_, [](const StageSpace& s) { return s.expand.front(); });
  config.k = per_block<int>(stages_, [](const StageSpace& s) { return s.kernel.front(); });
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
  return canonical(std::move(config));
}

Json SearchSpace::to_json(const SubnetConfig& config) const {
  Json e = Json::array();
  for (const double ratio : config.e) {
    if (ratio == std::floor(ratio)) {
      e.push_back(static_cast<int>(ratio));
    } else {
      e.push_back(ratio);
    }
  }
  return {{"r", config.r}, {"d", config.d}, {"e", std::move(e)}, {"k", config.k}};
}

SubnetConfig SearchSpace::from_json(const JsonView& json) const {
  SubnetConfig config;
  config.r = static_cast<int>(json["r"].integer(1, 1 << 16));
  config.d = json["d"].integers();
  config.e = json["e"].numbers();
  config.k = json[json.has("ks") && !json.has("k") ? "ks" : "k"].integers();
  try {
    return canonical(std::move(config));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}: {}", json.file(), json.pointer(), error.message()),
                error.hint());
  }
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
  return fmt::format("r{} d{} e{} k{}", config.r, fmt::join(config.d, ","), e, k);
}

}  // namespace dsn
