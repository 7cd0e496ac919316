// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/family.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/space/network.h"

namespace dsn {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 60;

// What the levels were chosen, and so are ordered, by.
double chosen_by(const Level& level) {
  return level.val_accuracy.value_or(level.accuracy);
}

void put_text(Json& json, const std::string& key, const std::string& value, const std::string& reason) {
  if (!value.empty()) {
    json[key] = value;
  } else {
    json[key] = nullptr;
    json[key + "_reason"] = reason;
  }
}

std::string optional_text(const JsonView& json, std::string_view key) {
  return json.has(key) ? json[key].text() : std::string();
}

// A file beside the family: a plain name, so that a family cannot reach out of its folder.
std::string file_beside(const JsonView& json, std::string_view key) {
  std::string name = optional_text(json, key);
  if (name.empty()) return name;
  if (name == "." || name == ".." || name.find_first_of("/\\") != std::string::npos) {
    json[key].fail("the name of a file beside this one");
  }
  return name;
}

// What a level was recorded to cost tells it from the others: a configuration that was exchanged or edited
// shows.
std::int64_t fingerprint(const JsonView& json, std::int64_t expected) {
  if (json.integer(1, kMaxCount) != expected)
    json.fail(fmt::format("{}, as its configuration has", expected));
  return expected;
}

Level level_from_json(const JsonView& json, const SearchSpace& space) {
  Level level;
  level.config = space.canonical(space.from_json(json["config"]));
  level.accuracy = json["accuracy"].number(0, 1);
  level.accuracy_origin = parse_origin(json["accuracy_origin"]);
  level.accuracy_on = json["accuracy_on"].text();
  if (json.has("val_accuracy")) level.val_accuracy = json["val_accuracy"].number(0, 1);
  const Network network = make_network(space, level.config);
  level.macs = fingerprint(json["macs"], network.macs());
  level.params = fingerprint(json["params"], network.params());
  if (json.has("predicted_latency_s")) level.predicted_latency_s = json["predicted_latency_s"].number(0, 1e9);
  level.bn_prefix = optional_text(json, "bn_prefix");
  return level;
}

Json level_to_json(const Level& level, const SearchSpace& space) {
  Json json = {{"id", level.id},
               {"config", space.to_json(level.config)},
               {"accuracy", level.accuracy},
               {"accuracy_origin", to_string(level.accuracy_origin)},
               {"accuracy_on", level.accuracy_on},
               {"macs", level.macs},
               {"params", level.params}};
  if (level.val_accuracy) {
    json["val_accuracy"] = *level.val_accuracy;
  } else {
    json["val_accuracy"] = nullptr;
    json["val_accuracy_reason"] = "not chosen by a search";
  }
  if (level.predicted_latency_s > 0) {
    json["predicted_latency_s"] = level.predicted_latency_s;
    json["predicted_latency_origin"] = to_string(Origin::modelled);
  } else {
    json["predicted_latency_s"] = nullptr;
    json["predicted_latency_s_reason"] = "not predicted from units";
  }
  put_text(json, "bn_prefix", level.bn_prefix, "shares the super-network's statistics");
  return json;
}

}  // namespace

Family Family::load(const fs::path& path) {
  const Json document = read_document(path, "dsn.family");
  return parse(document, path.string());
}

Family Family::parse(const Json& document, const std::string& file) {
  const JsonView json(document, file);
  Family family;
  family.space_document = json["space"].json();
  const SearchSpace space = SearchSpace::parse(family.space_document, file + " (/space)");
  family.space_sha256 = json["space_sha256"].text();
  if (space.sha256() != family.space_sha256) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: /space_sha256: found {}, but the space in this file has {}", file,
                            family.space_sha256, space.sha256()));
  }
  family.weights_sha256 = optional_text(json, "weights_sha256");
  family.bn_file = file_beside(json, "bn_file");
  family.lut_file = file_beside(json, "lut_file");

  const JsonView levels = json["levels"];
  if (levels.size() == 0) levels.fail("at least one level");
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i);
    if (levels[i]["id"].integer(0, kMaxCount) != id)
      levels[i]["id"].fail(fmt::format("{}, the level's index", i));
    Level level = level_from_json(levels[i], space);
    level.id = static_cast<int>(id);
    if (!level.bn_prefix.empty() && family.bn_file.empty())
      levels[i]["bn_prefix"].fail("null, as there is no bn_file");
    if (i > 0) {
      const Level& faster = family.levels.back();
      if (chosen_by(level) <= chosen_by(faster)) {
        levels[i][level.val_accuracy ? "val_accuracy" : "accuracy"].fail(fmt::format(
            "more than level {}'s {}: levels ascend in latency and accuracy", i - 1, chosen_by(faster)));
      }
      if (level.predicted_latency_s > 0 && level.predicted_latency_s <= faster.predicted_latency_s) {
        levels[i]["predicted_latency_s"].fail(
            fmt::format("more than level {}'s {}: levels ascend in latency and accuracy", i - 1,
                        faster.predicted_latency_s));
      }
    }
    family.levels.push_back(std::move(level));
  }
  return family;
}

std::vector<std::string> Family::calibration_doubts() const {
  const SearchSpace space = SearchSpace::parse(space_document, "family");
  std::vector<std::string> doubts;
  for (const Level& level : levels) {
    if (!level.bn_prefix.empty() || level.config == space.canonical(space.largest())) continue;
    doubts.push_back(fmt::format(
        "level {} was never calibrated: it runs on the super-network's batch-norm statistics, which "
        "belong to the largest sub-network, and loses accuracy",
        level.id));
  }
  return doubts;
}

Json Family::to_json() const {
  const SearchSpace space = SearchSpace::parse(space_document, "family");
  Json json = {{"space", space_document}, {"space_sha256", space_sha256}};
  put_text(json, "weights_sha256", weights_sha256, "no weights come with this family");
  put_text(json, "bn_file", bn_file, "every level shares the super-network's statistics");
  put_text(json, "lut_file", lut_file, "the levels were not measured");
  json["levels"] = Json::array();
  for (const Level& level : levels) json["levels"].push_back(level_to_json(level, space));
  return json;
}

}  // namespace dsn
