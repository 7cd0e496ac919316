// SPDX-License-Identifier: Apache-2.0
// The JSON forms of a search space and of a sub-network.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/space/search_space.h"

namespace dsn {

// Generated from spaces/*.json at build time.
const std::vector<std::pair<std::string, std::string_view>>& shipped_spaces();

namespace {

Activation parse_activation(const JsonView& json) {
  const std::string text = json.text();
  if (text == "relu") return Activation::relu;
  if (text == "relu6") return Activation::relu6;
  if (text == "hswish") return Activation::hswish;
  json.fail("\"relu\", \"relu6\" or \"hswish\"");
}

template <typename T>
void require_ascending(const JsonView& json, const std::vector<T>& values) {
  if (values.empty()) json.fail("at least one value");
  if (std::adjacent_find(values.begin(), values.end(), std::greater_equal<T>()) != values.end()) {
    json.fail("strictly ascending values");
  }
}

int parse_stride(const JsonView& json) {
  return static_cast<int>(json.integer(1, 2));
}

// Channels of the largest sub-network.
int parse_channels(const JsonView& json, double width_mult) {
  return make_divisible(static_cast<double>(json.integer(1, 16384)) * width_mult);
}

StageSpace parse_stage(const JsonView& json, BlockKind kind, double width_mult) {
  StageSpace stage;
  if (kind == BlockKind::mbconv) {
    json.only_keys({"channels", "stride", "act", "se", "depth", "expand", "kernel"});
    stage.se = json["se"].boolean();
  } else {
    json.only_keys({"channels", "stride", "act", "depth", "expand", "kernel"});
  }
  stage.channels = parse_channels(json["channels"], width_mult);
  stage.stride = parse_stride(json["stride"]);
  stage.act = parse_activation(json["act"]);
  stage.depth = json["depth"].integers();
  stage.expand = json["expand"].numbers();
  stage.kernel = json["kernel"].integers();
  require_ascending(json["depth"], stage.depth);
  require_ascending(json["expand"], stage.expand);
  require_ascending(json["kernel"], stage.kernel);
  if (stage.depth.front() < 1 || stage.depth.back() > 64) json["depth"].fail("block counts from 1 to 64");
  for (const int k : stage.kernel) {
    if (k < 1 || k > 15 || k % 2 == 0) json["kernel"].fail("odd kernel sizes from 1 to 15");
  }
  if (kind == BlockKind::mbconv) {
    if (stage.expand.front() < 1 || stage.expand.back() > 16) json["expand"].fail("ratios from 1 to 16");
  } else {
    if (stage.expand.front() < 0.01 || stage.expand.back() > 1) json["expand"].fail("ratios from 0.01 to 1");
    if (stage.kernel.size() != 1) json["kernel"].fail("one size: kernels of bottlenecks are not elastic");
  }
  return stage;
}

// 3, not 3.0: as people write it.
Json shortest(const std::vector<double>& values) {
  Json out = Json::array();
  for (const double value : values) {
    if (value == std::floor(value)) {
      out.push_back(static_cast<int>(value));
    } else {
      out.push_back(value);
    }
  }
  return out;
}

}  // namespace

SearchSpace SearchSpace::parse(const Json& document, const std::string& file, double width_mult) {
  check_schema(document, "dsn.space", file);
  const JsonView v(document, file);
  v.only_keys({"schema", "schema_version", "name", "source", "in_channels", "classes", "width_mult", "bn_eps",
               "resolutions", "block", "width", "width_per", "stem", "first", "stages", "head"});
  SearchSpace s;
  s.name_ = v["name"].text();
  s.width_mult_ = width_mult > 0 ? width_mult : v["width_mult"].number(0.01, 16);
  s.in_channels_ = static_cast<int>(v["in_channels"].integer(1, 64));
  s.classes_ = static_cast<int>(v["classes"].integer(1, 1 << 20));
  s.bn_eps_ = v["bn_eps"].number(1e-12, 1);
  s.resolutions_ = v["resolutions"].integers();
  require_ascending(v["resolutions"], s.resolutions_);
  if (s.resolutions_.front() < kSmallestResolution || s.resolutions_.back() > kLargestResolution) {
    v["resolutions"].fail(fmt::format("sizes from {} to {} pixels", kSmallestResolution, kLargestResolution));
  }
  if (v.has("block")) {
    const std::string block = v["block"].text();
    if (block != "mbconv" && block != "bottleneck") v["block"].fail("\"mbconv\" or \"bottleneck\"");
    s.block_kind_ = block == "mbconv" ? BlockKind::mbconv : BlockKind::bottleneck;
  }
  s.stem_channels_ = parse_channels(v["stem"]["channels"], s.width_mult_);
  s.stem_stride_ = parse_stride(v["stem"]["stride"]);
  s.stem_act_ = parse_activation(v["stem"]["act"]);
  for (std::size_t i = 0; i < v["stages"].size(); ++i) {
    s.first_block_.push_back(s.block_count_);
    s.stages_.push_back(parse_stage(v["stages"][i], s.block_kind_, s.width_mult_));
    s.block_count_ += s.stages_.back().depth.back();
  }
  if (s.stages_.empty()) v["stages"].fail("at least one stage");
  if (s.block_kind_ == BlockKind::mbconv) {
    s.parse_mbconv(v);
  } else {
    s.parse_bottleneck(v);
  }
  s.parse_width(v);

  s.document_ = document;
  s.document_["width_mult"] = s.width_mult_;
  Json identity = s.document_;
  for (const char* key : {"name", "source", "schema_version"}) identity.erase(key);
  s.sha256_ = sha256_hex(identity.dump());
  return s;
}

void SearchSpace::parse_mbconv(const JsonView& v) {
  v["stem"].only_keys({"channels", "stride", "act"});
  v["first"].only_keys({"channels", "stride", "act"});
  v["head"].only_keys({"final_expand_channels", "feature_channels", "act"});
  first_channels_ = parse_channels(v["first"]["channels"], width_mult_);
  first_stride_ = parse_stride(v["first"]["stride"]);
  first_act_ = parse_activation(v["first"]["act"]);
  final_expand_channels_ = parse_channels(v["head"]["final_expand_channels"], width_mult_);
  const JsonView feature = v["head"]["feature_channels"];
  feature_channels_ = feature.integer(0, 16384) == 0 ? 0 : parse_channels(feature, width_mult_);
  head_act_ = parse_activation(v["head"]["act"]);
}

void SearchSpace::parse_bottleneck(const JsonView& v) {
  for (const char* key : {"first", "head"}) {
    if (v.has(key))
      v[key].fail(
          "nothing: a space of bottlenecks has a stem, stages and a "
          "classifier");
  }
  v["stem"].only_keys({"channels", "stride", "act", "depth"});
  stem_depth_ = v["stem"]["depth"].integers();
  require_ascending(v["stem"]["depth"], stem_depth_);
  if (stem_depth_.front() < 0 || stem_depth_.back() > 1) v["stem"]["depth"].fail("counts of 0 and 1");
}

void SearchSpace::parse_width(const JsonView& v) {
  if (!v.has("width")) {
    if (v.has("width_per")) v["width_per"].fail("\"width\" beside it");
    return;
  }
  width_ = v["width"].numbers();
  require_ascending(v["width"], width_);
  if (width_.front() < 0.01 || width_.back() != 1) v["width"].fail("ratios from 0.01 to 1, the last one 1");
  width_count_ = 1;
  if (!v.has("width_per")) return;
  const std::string per = v["width_per"].text();
  if (per != "network" && per != "stage") v["width_per"].fail("\"network\" or \"stage\"");
  if (per == "stage") {
    // Between MBConv stages of one width there are residual connections, which
    // need one ratio.
    if (block_kind_ == BlockKind::mbconv) v["width_per"].fail("\"network\" in a space of mbconv blocks");
    width_count_ = kStemParts + stage_count();
  }
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

Json SearchSpace::to_json(const SubnetConfig& config) const {
  Json json = {{"r", config.r}, {"d", config.d}, {"e", shortest(config.e)}, {"k", config.k}};
  if (width_count_ > 0) json["w"] = shortest(config.w);
  if (!stem_depth_.empty()) json["s"] = config.s;
  return json;
}

SubnetConfig SearchSpace::from_json(const JsonView& json) const {
  SubnetConfig config;
  config.r = static_cast<int>(json["r"].integer(1, 1 << 16));
  config.d = json["d"].integers();
  config.e = json["e"].numbers();
  config.k = json[json.has("ks") && !json.has("k") ? "ks" : "k"].integers();
  // Read where they have no place too, so that validate() says so.
  if (width_count_ > 0 || json.has("w")) config.w = json["w"].numbers();
  if (!stem_depth_.empty() || json.has("s")) config.s = static_cast<int>(json["s"].integer(0, 64));
  try {
    return canonical(std::move(config));
  } catch (const Error& error) {
    const std::string at = json.pointer().empty() ? json.file() : json.file() + ": " + json.pointer();
    throw Error(error.code(), fmt::format("{}: {}", at, error.message()), error.hint());
  }
}

}  // namespace dsn
