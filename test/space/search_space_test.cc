// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/search_space.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "dsn/core/error.h"
#include "dsn/space/bn_stats.h"

namespace dsn {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

Json document() {
  return SearchSpace::load("fmnist-mbv3").document();
}

}  // namespace

TEST_CASE("SearchSpace::load: the shipped spaces are there, with Once-for-All's widths") {
  const auto names = SearchSpace::shipped();
  CHECK(std::find(names.begin(), names.end(), "fmnist-mbv3") != names.end());
  const SearchSpace ofa = SearchSpace::load("ofa-mbv3", 1.2);
  CHECK(ofa.block_count() == 20);
  CHECK(ofa.stem_channels() == 24);
  CHECK(ofa.stages()[0].channels == 32);
  CHECK(ofa.stages()[4].channels == 192);
  CHECK(ofa.final_expand_channels() == 1152);
  CHECK(ofa.feature_channels() == 1536);
}

TEST_CASE("make_divisible: rounds to multiples of 8, at least 8, at most 10 % down") {
  CHECK(make_divisible(3) == 8);
  CHECK(make_divisible(24 * 1.2) == 32);
  CHECK(make_divisible(16 * 0.25) == 8);
  CHECK(make_divisible(19) == 24);  // 16 would be more than 10 % down
  CHECK(make_divisible(20) == 24);
  CHECK(expanded_channels(24, 3) == 72);
  CHECK(se_channels(120) == 32);
}

TEST_CASE("SearchSpace::load: a name that is neither shipped nor a file lists what there is") {
  CHECK_THROWS_AS((void)SearchSpace::load("ofa-mbv9"), Error);
  CHECK(message_of([] { (void)SearchSpace::load("ofa-mbv9"); }).find("ofa-mbv9") != std::string::npos);
}

TEST_CASE("SearchSpace::parse: each broken field is named with its JSON path") {
  const auto broken = [](const char* pointer, Json value) {
    Json doc = document();
    doc[Json::json_pointer(pointer)] = std::move(value);
    return message_of([&] { (void)SearchSpace::parse(doc, "space.json"); });
  };
  CHECK(broken("/stages/1/kernel", Json::array({3, 4})).find("/stages/1/kernel") != std::string::npos);
  CHECK(broken("/stages/0/depth", Json::array({3, 2})).find("/stages/0/depth") != std::string::npos);
  CHECK(broken("/stages/0/expand", Json::array()).find("/stages/0/expand") != std::string::npos);
  CHECK(broken("/stages/2/act", "gelu").find("/stages/2/act") != std::string::npos);
  CHECK(broken("/stem/stride", 3).find("/stem/stride") != std::string::npos);
  CHECK(broken("/resolutions", Json::array({28, 28})).find("/resolutions") != std::string::npos);
  CHECK(broken("/classes", 0).find("/classes") != std::string::npos);
  CHECK(broken("/colour", 1).find("colour") != std::string::npos);
  CHECK(broken("/schema_version", 99).find("99") != std::string::npos);
}

TEST_CASE("SearchSpace::sha256: follows what defines the weights, not the name") {
  Json doc = document();
  const std::string before = SearchSpace::parse(doc, "a").sha256();
  doc["name"] = "other";
  CHECK(SearchSpace::parse(doc, "a").sha256() == before);
  doc["stages"][0]["channels"] = 32;
  CHECK(SearchSpace::parse(doc, "a").sha256() != before);
  CHECK(SearchSpace::parse(document(), "a", 2.0).sha256() != before);
}

TEST_CASE("SearchSpace::validate: names key, value and allowed set") {
  const SearchSpace space = SearchSpace::load("ofa-mbv3");
  SubnetConfig config = space.largest();
  config.e[3] = 5;
  CHECK(message_of([&] { space.validate(config); }) == "sub-network: e[3]: found 5, expected one of 3, 4, 6");
  config = space.largest();
  config.k[19] = 9;
  CHECK(message_of([&] { space.validate(config); }) ==
        "sub-network: k[19]: found 9, expected one of 3, 5, 7");
  config = space.largest();
  config.d[2] = 5;
  CHECK(message_of([&] { space.validate(config); }) == "sub-network: d[2]: found 5, expected one of 2, 3, 4");
  config = space.largest();
  config.r = 225;
  CHECK(message_of([&] { space.validate(config); }).find("r: found 225") != std::string::npos);
  config = space.largest();
  config.k.pop_back();
  CHECK(message_of([&] { space.validate(config); }).find("k: found 19 entries, expected 20") !=
        std::string::npos);
}

TEST_CASE("SearchSpace::with_resolution: allows one more resolution of the same super-network") {
  const SearchSpace space = SearchSpace::load("ofa-mbv3"), wider = space.with_resolution(48);
  SubnetConfig config = space.largest();
  config.r = 48;
  CHECK_THROWS_AS(space.validate(config), Error);
  wider.validate(config);
  CHECK(wider.resolutions().front() == 48);
  CHECK(wider.resolutions().size() == space.resolutions().size() + 1);
  CHECK(wider.sha256() == space.sha256());
  CHECK(wider.document() == space.document());
  CHECK(wider.with_resolution(48).resolutions() == wider.resolutions());  // already there
  CHECK(message_of([&] { (void)space.with_resolution(7); }).find("found 7") != std::string::npos);
}

TEST_CASE("SearchSpace::canonical: what absent blocks carry does not matter") {
  const SearchSpace space = SearchSpace::load("ofa-mbv3");
  SubnetConfig a = space.smallest(), b = a;
  b.e[3] = 6;   // stage 0 has depth 2: blocks 2 and 3 are absent
  b.k[2] = 99;  // not even a legal kernel
  CHECK(space.canonical(a) == space.canonical(b));
  b.e[1] = 6;
  CHECK_FALSE(space.canonical(a) == space.canonical(b));
}

TEST_CASE("SearchSpace::sample: the same seed gives the same valid sub-networks, all choices occur") {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  Rng a(7), b(7);
  std::vector<int> depths;
  for (int i = 0; i < 200; ++i) {
    const SubnetConfig config = space.sample(a);
    CHECK(config == space.sample(b));
    space.validate(config);
    depths.push_back(config.d[0]);
  }
  for (const int d : space.stages()[0].depth) CHECK(std::count(depths.begin(), depths.end(), d) > 30);
}

TEST_CASE(
    "SearchSpace::from_json: reads what to_json writes, accepts ks, names file and pointer of a bad one") {
  const SearchSpace space = SearchSpace::load("ofa-mbv3");
  Rng rng(3);
  const SubnetConfig config = space.sample(rng);
  Json json = space.to_json(config);
  CHECK(space.from_json(JsonView(json, "f.json")) == config);
  json["ks"] = json["k"];
  json.erase("k");
  CHECK(space.from_json(JsonView(json, "f.json")) == config);
  json["d"][0] = 7;
  const std::string message =
      message_of([&] { (void)space.from_json(JsonView(json, "f.json", "/levels/2/config")); });
  CHECK(message.find("f.json: /levels/2/config") != std::string::npos);
  CHECK(message.find("d[0]: found 7") != std::string::npos);
}

TEST_CASE("load_bn_stats: reads what append_bn_stats gives, and refuses a prefix that is not there") {
  const fs::path path = fs::temp_directory_path() / "dsn_bn_stats_test.safetensors";
  const BnStats stats{{"stem.bn", {{1.F, 2.F}, {3.F, 4.F}}}, {"blocks.1.depth.bn", {{0.5F}, {0.25F}}}};
  std::map<std::string, TensorView> tensors;
  append_bn_stats(stats, "level3", tensors);
  write_safetensors(path, tensors, {});
  const TensorFile file = TensorFile::open(path);
  const BnStats read = load_bn_stats(file, "level3");
  CHECK(read.size() == 2);
  CHECK(read.at("stem.bn").variance == std::vector<float>{3.F, 4.F});
  CHECK(read.at("blocks.1.depth.bn").mean == std::vector<float>{0.5F});
  CHECK(message_of([&] { (void)load_bn_stats(file, "level"); }).find("level/") != std::string::npos);
  fs::remove(path);
}

}  // namespace dsn
