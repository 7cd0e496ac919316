// SPDX-License-Identifier: Apache-2.0
// The families beside MobileNetV3, and elastic width. Counts said to be PyTorch's come from models written in
// Python from the papers and the reference's description, apart from this code, and counted layer by layer.
#include <doctest/doctest.h>

#include <functional>

#include "dsn/core/error.h"
#include "dsn/space/network.h"

namespace dsn {
namespace {

// e and k of the blocks go through the allowed values, starting at different ones.
SubnetConfig mixed(const SearchSpace& space, std::vector<int> depth, int r) {
  SubnetConfig config = space.largest();
  config.r = r;
  config.d = std::move(depth);
  for (std::size_t b = 0; b < config.e.size(); ++b) {
    const StageSpace& stage = space.stages()[static_cast<std::size_t>(space.stage_of(static_cast<int>(b)))];
    config.e[b] = stage.expand[b % 3];
    config.k[b] = stage.kernel[(b + 2) % 3 % stage.kernel.size()];
  }
  return config;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("ofa-proxyless: units of the shallowest sub-network are Once-for-All's") {
  const SearchSpace space = SearchSpace::load("ofa-proxyless", 1.3);
  CHECK(space.block_count() == 21);
  CHECK(space.bn_eps() == 1e-3);
  SubnetConfig config = space.smallest();
  config.r = 224;
  const Network net = make_network(space, config);
  std::vector<int> widths, sizes, strides;
  for (const Unit& unit : net.units) {
    widths.push_back(unit.out_channels);
    sizes.push_back(unit.out_size);
    if (unit.kind == UnitKind::mbconv) strides.push_back(unit.stride);
    CHECK(unit.se_channels == 0);
    if (unit.kind != UnitKind::classifier) CHECK(unit.act == Activation::relu6);
  }
  CHECK(widths == std::vector<int>{40, 24, 32, 32, 56, 56, 104, 104, 128, 128, 248, 248, 416, 1664, 1000});
  CHECK(sizes == std::vector<int>{112, 112, 56, 56, 28, 28, 14, 14, 14, 14, 7, 7, 7, 7, 1});
  CHECK(strides == std::vector<int>{1, 2, 1, 2, 1, 2, 1, 1, 1, 2, 1, 1});
  CHECK(net.units[1].key() == "mbconv-112x112x40-112x112x24-mid40-k3-s1-relu6-se0-exp0-res0");
  CHECK(net.units[3].residual);
  CHECK_FALSE(net.units[8].residual);  // stride 1, but from 104 to 128 channels
}

TEST_CASE("ofa-proxyless: MACs and parameters are PyTorch's") {
  const SearchSpace space = SearchSpace::load("ofa-proxyless", 1.3);
  const Network largest = make_network(space, space.largest());
  CHECK(largest.macs() == 1'004'908'032);
  CHECK(largest.params() == 7'942'056);
  const Network smallest = make_network(space, space.smallest());
  CHECK(smallest.macs() == 87'823'104);
  CHECK(smallest.params() == 3'718'832);
  const Network between = make_network(space, mixed(space, {3, 2, 4, 3, 2, 1}, 172));
  CHECK(between.macs() == 333'842'456);
  CHECK(between.params() == 5'304'704);
}

TEST_CASE("ofa-resnet50: MACs and parameters are PyTorch's, and those published for ResNet-50-D") {
  const SearchSpace space = SearchSpace::load("ofa-resnet50");
  CHECK(space.block_count() == 18);
  const Network largest = make_network(space, space.largest());
  CHECK(largest.macs() == 7'491'643'904);
  CHECK(largest.params() == 48'105'992);
  const Network smallest = make_network(space, space.smallest());
  CHECK(smallest.macs() == 315'079'552);
  CHECK(smallest.params() == 6'539'280);
  SubnetConfig between = mixed(space, {3, 4, 5, 2}, 172);
  between.w = {0.8, 0.65, 1, 0.8, 0.65, 1};
  between.s = 0;
  CHECK(make_network(space, between).macs() == 1'792'916'128);
  CHECK(make_network(space, between).params() == 17'320'352);

  // ResNet-50-D (He et al., CVPR 2019, arXiv:1812.01187): 4.3 GMACs, 25.6 million parameters.
  SubnetConfig standard = space.largest();
  standard.d = {3, 4, 6, 3};
  standard.e.assign(standard.e.size(), 0.25);
  CHECK(make_network(space, standard).macs() == 4'328'824'832);
  CHECK(make_network(space, standard).params() == 25'576'264);
}

TEST_CASE("ofa-resnet50: stem, pool and shortcuts are where the reference has them") {
  const SearchSpace space = SearchSpace::load("ofa-resnet50");
  SubnetConfig config = space.smallest();
  config.r = 132;
  config.w = {1, 0.65, 0.65, 0.65, 0.65, 0.65};
  const auto units = make_network(space, config).units;
  CHECK(units[0].key() == "stem-132x132x3-66x66x32-k3-s2-relu");
  CHECK(units[1].key() == "stem_pool-66x66x32-33x33x40-k3-s1-relu");
  CHECK(units[2].key() == "bottleneck-33x33x40-33x33x168-mid32-k3-s1-relu-res0");
  CHECK(units[3].key() == "bottleneck-33x33x168-33x33x168-mid32-k3-s1-relu-res1");
  CHECK(units[4].key() == "bottleneck-33x33x168-17x17x336-mid64-k3-s2-relu-res0");
  CHECK(units[4].name() == "blocks.4");  // stage 0 has four blocks, two of them active
  CHECK(units.back().in_channels == 1328);
  config.s = 1;
  const auto deeper = make_network(space, config).units;
  REQUIRE(deeper.size() == units.size() + 1);
  CHECK(deeper[1].key() == "stem_residual-66x66x32-66x66x32-k3-s1-relu");
  CHECK(deeper[1].macs() == 32 * 32 * 9 * 66 * 66);
}

TEST_CASE("fmnist-slimmable: fmnist-mbv3's largest sub-network, narrowed as a whole") {
  const SearchSpace space = SearchSpace::load("fmnist-slimmable"), mbv3 = SearchSpace::load("fmnist-mbv3");
  const Network largest = make_network(space, space.largest()), other = make_network(mbv3, mbv3.largest());
  REQUIRE(largest.units.size() == other.units.size());
  for (std::size_t i = 0; i < other.units.size(); ++i) CHECK(largest.units[i].key() == other.units[i].key());
  CHECK(largest.macs() == 11'492'256);
  CHECK(make_network(space, space.smallest()).macs() == 1'688'960);
  SubnetConfig half = space.largest();
  half.w = {0.5};
  std::vector<int> widths;
  for (const Unit& unit : make_network(space, half).units) widths.push_back(unit.out_channels);
  CHECK(widths == std::vector<int>{8, 16, 16, 16, 16, 24, 24, 24, 48, 48, 48, 192, 10});
}

TEST_CASE(
    "make_network: narrowing brings or takes no residual connection, though rounding makes widths meet") {
  Json document = SearchSpace::load("fmnist-slimmable").document();
  document["stages"][1]["stride"] = 1;
  document["stages"][1]["channels"] = 32;
  const SearchSpace space = SearchSpace::parse(document, "space.json");
  const Network largest = make_network(space, space.largest()),
                smallest = make_network(space, space.smallest());
  CHECK(smallest.units[5].in_channels == smallest.units[5].out_channels);  // 24 and 32 became 8
  for (std::size_t i = 0; i < largest.units.size(); ++i)
    CHECK(smallest.units[i].residual == largest.units[i].residual);
}

TEST_CASE("SearchSpace: elastic width and stem are validated, sampled, described and kept in JSON") {
  const SearchSpace space = SearchSpace::load("ofa-resnet50");
  CHECK(space.width_count() == 6);
  SubnetConfig config = space.largest();
  config.w[2] = 0.7;
  CHECK(message_of([&] { space.validate(config); }) ==
        "sub-network: w[2]: found 0.7, expected one of 0.65, 0.8, 1");
  config.w.pop_back();
  CHECK(message_of([&] { space.validate(config); }) == "sub-network: w: found 5 entries, expected 6");
  config = space.largest();
  config.s = 2;
  CHECK(message_of([&] { space.validate(config); }) == "sub-network: s: found 2, expected one of 0, 1");
  config.s = 0;
  config.w = {1, 0.65, 0.8, 1, 1, 1};
  const Json json = space.to_json(config);
  CHECK(json["w"].dump() == "[1,0.65,0.8,1,1,1]");
  CHECK(json["s"] == 0);
  CHECK(space.from_json(JsonView(json, "f.json")) == config);
  CHECK(space.describe(config).ends_with(" w1,0.65,0.8,1,1,1 s0"));
  Rng rng(5);
  int narrow = 0, short_stem = 0;
  for (int i = 0; i < 300; ++i) {
    const SubnetConfig drawn = space.sample(rng);
    space.validate(drawn);
    narrow += drawn.w[3] == 0.65 ? 1 : 0;
    short_stem += drawn.s == 0 ? 1 : 0;
  }
  CHECK(narrow > 60);
  CHECK(narrow < 140);
  CHECK(short_stem > 110);
  CHECK(short_stem < 190);
}

TEST_CASE("SearchSpace: a space of fixed width keeps its form, and says that it has no w and s") {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  CHECK(space.width_count() == 0);
  Json json = space.to_json(space.smallest());
  CHECK(json.size() == 4);
  CHECK(space.describe(space.smallest()) == "r24 d1,1,1 e2|2|2 k3|3|3");
  const auto refusal = [&] { return message_of([&] { (void)space.from_json(JsonView(json, "f.json")); }); };
  json["w"] = {0.5};
  CHECK(has(refusal(), "w: found 1 entries, expected 0"));
  json.erase("w");
  json["s"] = 1;
  CHECK(has(refusal(), "s: found 1, expected one of 0"));
  // What weights and look-up tables in people's hands were made for.
  CHECK(space.sha256() == "fe1e6b75d0a543bb9d3b88a5730b0cfe5a5e21e2aa2aa8d724c3edee25bd100c");
  CHECK(SearchSpace::load("ofa-mbv3").sha256() ==
        "4ed035dbe224f4b4081e7d1c088b0767e600ea96aa16e5df57edab903b9388ef");
}

TEST_CASE(
    "SearchSpace::parse: what fits neither the kind of block nor the width is named with its JSON path") {
  const auto broken = [](const char* name, const char* pointer, Json value) {
    Json document = SearchSpace::load(name).document();
    document[Json::json_pointer(pointer)] = std::move(value);
    const std::string message = message_of([&] { (void)SearchSpace::parse(document, "space.json"); });
    return has(message, std::string("space.json: ") + pointer + ": ") ? std::string() : message;
  };
  CHECK(broken("ofa-resnet50", "/block", "basic").empty());
  CHECK(broken("ofa-resnet50", "/width", Json::array({0.5, 0.8})).empty());
  CHECK(broken("ofa-resnet50", "/width", Json::array({0.0, 1.0})).empty());
  CHECK(broken("ofa-resnet50", "/width_per", "block").empty());
  CHECK(broken("ofa-resnet50", "/stem/depth", Json::array({1, 2})).empty());
  CHECK(broken("ofa-resnet50", "/stages/1/expand", Json::array({0.25, 4})).empty());
  CHECK(broken("ofa-resnet50", "/stages/1/kernel", Json::array({3, 5})).empty());
  CHECK(broken("ofa-resnet50", "/stages/1/se", true).empty());
  CHECK(broken("ofa-resnet50", "/head", Json::object()).empty());
  CHECK(broken("fmnist-slimmable", "/width_per", "stage").empty());
  CHECK(broken("fmnist-slimmable", "/stem/depth", Json::array({0})).empty());
  CHECK(broken("fmnist-mbv3", "/width_per", "network").empty());
}

}  // namespace dsn
