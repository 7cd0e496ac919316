// SPDX-License-Identifier: Apache-2.0
// Folding, and the formats that need no LibTorch. What is folded is held against Supernet in
// torch_formats_test.
#include <doctest/doctest.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/deploy/level_format.h"
#include "dsn/deploy/onnx_format.h"
#include "dsn/deploy/plain_run.h"
#include "dsn/deploy/verification.h"
#include "fakes/drawn_weights.h"
#include "fakes/error_of.h"
#include "fakes/export_labels.h"
#include "fakes/temp_folder.h"
#include "fakes/tiny_space.h"

namespace dsn {
namespace {

using fakes::error_of;
using fakes::labels_of;
using fakes::TempFolder;

bool can_write_onnx() {
  try {
    (void)onnx_format({});
    return true;
  } catch (const Error& error) {
    REQUIRE(error.code() == ErrorCode::unsupported);
    return false;
  }
}

struct Tiny {
  TempFolder temp;
  SearchSpace space = fakes::tiny_space();
  TensorFile weights = fakes::draw_weights(temp / "weights.safetensors", space);
  LevelSpec level{space.largest(), {}};
  FoldedNetwork net = fold_network(space, weights, level);
};

}  // namespace

TEST_CASE(
    "fold_network: layers have the sizes and weights of the sub-network's units, in every shipped space") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const TempFolder temp;
    const SearchSpace space = SearchSpace::load(name);
    const TensorFile weights = fakes::draw_weights(temp / "weights.safetensors", space);
    for (const SubnetConfig& config : fakes::some_subnets(space)) {
      const FoldedNetwork net = fold_network(space, weights, {config, {}});
      check_layers(net);
      const Network network = make_network(space, config);
      std::int64_t macs = 0;
      for (const Layer& layer : net.layers) {
        const auto size = layer.kind == LayerKind::linear ? 1 : std::int64_t{layer.size} * layer.size;
        macs += static_cast<std::int64_t>(layer.weight.size()) * size;
      }
      CHECK(macs == network.macs());
      for (const Unit& unit : network.units) {
        const auto last = std::find_if(net.layers.rbegin(), net.layers.rend(), [&](const Layer& layer) {
          return layer.name == unit.name() || layer.name.starts_with(unit.name() + ".");
        });
        REQUIRE(last != net.layers.rend());
        // "stem." also begins the names of the stem's other units.
        if (unit.kind != UnitKind::stem) CHECK(last->size == unit.out_size);
        if (unit.kind != UnitKind::stem) CHECK(last->channels == unit.out_channels);
      }
    }
  }
}

TEST_CASE("fold_network: a convolution with its batch norm is the scaled weights and the shifted bias") {
  Tiny tiny;
  const Layer& stem = tiny.net.layers.front();
  CHECK(stem.name == "stem");
  const auto of = [&](const char* name) { return tiny.weights.at(std::string("stem.") + name).floats(); };
  for (std::size_t c = 0; c < 8; ++c) {
    const double scale = of("bn.weight")[c] / std::sqrt(of("bn.running_var")[c] + tiny.space.bn_eps());
    CHECK(stem.weight[c * 9 + 4] == doctest::Approx(of("conv.weight")[c * 9 + 4] * scale));
    CHECK(stem.bias[c] == doctest::Approx(of("bn.bias")[c] - of("bn.running_mean")[c] * scale));
  }
}

TEST_CASE("fold_network: a level's own statistics are used, whole or not at all") {
  Tiny tiny;
  tiny.level.bn = fakes::draw_statistics(make_network(tiny.space, tiny.level.config));
  const FoldedNetwork own = fold_network(tiny.space, tiny.weights, tiny.level);
  const auto images = fakes::draw_images(own, 1);
  CHECK(fakes::relative_difference(run_plain(own, images, 1), run_plain(tiny.net, images, 1)) > 1e-2);

  SUBCASE("one is missing") {
    tiny.level.bn.erase("blocks.1.depth.bn");
  }
  SUBCASE("one has another width") {
    tiny.level.bn["blocks.1.depth.bn"].mean.pop_back();
  }
  SUBCASE("one is of a batch norm that is not there") {
    tiny.level.bn["blocks.9.depth.bn"] = {{0}, {1}};
  }
  const Error error = error_of([&] { (void)fold_network(tiny.space, tiny.weights, tiny.level); });
  CHECK(error.code() == ErrorCode::mismatch);
}

TEST_CASE("fold_network: weights of another space are a mismatch that names the tensor") {
  Tiny tiny;
  Json wider = tiny.space.document();
  wider["stem"]["channels"] = 16;
  const SearchSpace other = SearchSpace::parse(wider, "wider.json");
  const Error error = error_of([&] { (void)fold_network(other, tiny.weights, tiny.level); });
  CHECK(error.code() == ErrorCode::mismatch);
  CHECK(error.message().find(": found shape [") != std::string::npos);
}

TEST_CASE(
    "run_plain: convolutions with stride, groups and padding, and cut pools, are what their definitions "
    "say") {
  FoldedNetwork net;
  net.resolution = 3;
  net.in_channels = 2;
  net.classes = 2;
  const auto layer = [](LayerKind kind, const char* name, const char* input, int channels, int size) {
    Layer made;
    made.kind = kind;
    made.name = name;
    made.inputs = {input};
    made.channels = channels;
    made.size = size;
    return made;
  };
  Layer conv = layer(LayerKind::conv, "conv", "input", 2, 3);
  conv.kernel = 3;
  conv.padding = 1;
  conv.groups = 2;
  conv.weight_shape = {2, 1, 3, 3};
  conv.weight = {0,      0, 0, 0, 1, 0, 0, 0, 2,
                 /**/ 0, 0, 0, 3, 0, 0, 0, 0, 0};  // itself + 2 lower right; 3 left
  conv.bias = {10, 0};
  Layer pool = layer(LayerKind::avg_pool, "pool", "conv", 2, 2);
  pool.kernel = pool.stride = 2;
  Layer linear = layer(LayerKind::linear, "linear", "pool", 2, 1);
  linear.weight_shape = {2, 8};
  linear.weight = {1, 1, 1, 1, 0, 0, 0, 0, /**/ 0, 0, 0, 0, 1, 2, 3, 4};
  linear.bias = {0.5F, 0};
  net.layers = {conv, pool, linear};
  const std::vector<float> image{1, 2, 3, 4, 5, 6, 7, 8, 9, /**/ 1, 2, 3, 4, 5, 6, 7, 8, 9};
  // Channel 0 is x + 2 * x(y+1, x+1) + 10, channel 1 is 3 * x(y, x-1).
  // Channel 0: 1 + 2*5 + 10, 2 + 2*6 + 10, 3 + 10; 4 + 2*8 + 10, 5 + 2*9 + 10, 16; 17 18 19.
  const double first = (21 + 24 + 30 + 33) / 4.0 + (13 + 16) / 2.0 + (17 + 18) / 2.0 + 19 + 0.5;
  // Channel 1: 0 3 6 / 0 12 15 / 0 21 24.
  const double second = 1 * (0 + 3 + 0 + 12) / 4.0 + 2 * (6 + 15) / 2.0 + 3 * (0 + 21) / 2.0 + 4 * 24;
  const auto logits = run_plain(net, image, 1);
  CHECK(logits[0] == doctest::Approx(first));
  CHECK(logits[1] == doctest::Approx(second));
  CHECK(error_of([&] { (void)run_plain(net, image, 2); }).code() == ErrorCode::bad_usage);
  net.layers[1].size = 1;
  CHECK(error_of([&] { (void)run_plain(net, image, 1); }).code() == ErrorCode::bad_input);
}

TEST_CASE("level_format: what is written reads back as the same layers, and the same bytes") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const TempFolder temp;
    const SearchSpace space = SearchSpace::load(name);
    const LevelSpec level{space.smallest(), {}};
    const FoldedNetwork net = fold_network(space, fakes::draw_weights(temp / "w.safetensors", space), level);
    const auto files = level_format()->write(net, labels_of(space, level.config), temp.path(), "a");
    CHECK(files == std::vector<std::string>{"a.json", "a.safetensors"});
    const FoldedNetwork read = read_level(temp / "a.json");
    CHECK(read.resolution == net.resolution);
    CHECK(read.classes == net.classes);
    REQUIRE(read.layers.size() == net.layers.size());
    for (std::size_t i = 0; i < net.layers.size(); ++i) {
      CHECK(read.layers[i].kind == net.layers[i].kind);
      CHECK(read.layers[i].inputs == net.layers[i].inputs);
      CHECK(read.layers[i].weight == net.layers[i].weight);
      CHECK(read.layers[i].bias == net.layers[i].bias);
    }
    const std::string before = read_file(temp / "a.json");
    (void)level_format()->write(net, labels_of(space, level.config), temp.path(), "a");
    CHECK(read_file(temp / "a.json") == before);
  }
}

TEST_CASE("read_level: changed tensors, unknown operations and layers that do not fit are refused") {
  Tiny tiny;
  (void)level_format()->write(tiny.net, labels_of(tiny.space, tiny.level.config), tiny.temp.path(), "a");
  Json document = read_json(tiny.temp / "a.json");
  ErrorCode expected = ErrorCode::bad_input;
  SUBCASE("tensors of another file") {
    write_file_atomic(tiny.temp / "a.safetensors", read_file(tiny.temp / "weights.safetensors"));
    expected = ErrorCode::mismatch;
  }
  SUBCASE("an unknown operation") {
    document["layers"][1]["op"] = "softmax";
  }
  SUBCASE("an input that comes later") {
    document["layers"][0]["inputs"] = {"classifier"};
  }
  SUBCASE("a shape that is not what the layer gives") {
    document["layers"][0]["output"] = {8, 5, 5};
  }
  SUBCASE("a name that leaves the folder") {
    document["tensors"]["file"] = "../a.safetensors";
  }
  write_file_atomic(tiny.temp / "a.json", dump_json(document));
  CHECK(error_of([&] { (void)read_level(tiny.temp / "a.json"); }).code() == expected);
}

TEST_CASE("onnx_format: an opset out of range is a usage error, and 2 GiB a failure that names the limit") {
  for (const int opset : {-1, 0, 9, 18}) {
    const Error error = error_of([&] { (void)onnx_format({opset, false}); });
    CHECK(error.code() == ErrorCode::bad_usage);
    CHECK(error.message().find("expected 10 to 17") != std::string::npos);
  }
  check_onnx_size(std::int64_t{2000} << 20);
  CHECK(error_of([] { check_onnx_size(std::int64_t{2} << 30); }).code() == ErrorCode::failed);
}

TEST_CASE(
    "onnx_format: every shipped space's files pass onnx's checker, and OpenCV computes the same from them") {
  if (!can_write_onnx()) return;
  std::size_t compared = 0;
  for (const std::string& name : SearchSpace::shipped()) {
    const TempFolder temp;
    const SearchSpace space = SearchSpace::load(name);
    const TensorFile weights = fakes::draw_weights(temp / "w.safetensors", space);
    int opset = OnnxOptions::kOldestOpset;
    for (const SubnetConfig& config : fakes::some_subnets(space)) {
      CAPTURE(name);
      CAPTURE(opset);
      const auto format = onnx_format({opset, opset % 4 == 0});
      const FoldedNetwork net = fold_network(space, weights, {config, {}});
      const auto files = format->write(net, labels_of(space, config), temp.path(), "a");  // checks
      CHECK(files == std::vector<std::string>{"a.onnx"});
      VerificationInputs inputs{"drawn", 2, net.resolution, fakes::draw_images(net, 2)};
      const auto expected = run_plain(net, inputs.values, 2);
      const Verification found = verify_file(*format, temp / "a.onnx", net, inputs, expected);
      if (found.done()) {
        CHECK(found.largest_difference < 1e-5);
        CHECK(found.top1_agree == 2);
        ++compared;
      } else {
        CHECK(found.why_not.find("OpenCV") != std::string::npos);
      }
      opset += 2;
    }
  }
  // Where there is OpenCV, at most the three opsets whose Clip older ones do not read are left out.
  CHECK((compared == 0 || compared + 3 >= 4 * SearchSpace::shipped().size()));
}

TEST_CASE("verify_file: a file whose weights were changed fails, naming file, difference and tolerance") {
  Tiny tiny;
  (void)level_format()->write(tiny.net, labels_of(tiny.space, tiny.level.config), tiny.temp.path(), "a");
  const VerificationInputs inputs{"drawn", 3, tiny.net.resolution, fakes::draw_images(tiny.net, 3)};
  auto expected = run_plain(tiny.net, inputs.values, 3);
  const auto format = level_format();
  const Verification good = verify_file(*format, tiny.temp / "a.json", tiny.net, inputs, expected);
  CHECK(good.largest_difference == 0);
  CHECK(good.top1_agree == 3);
  CHECK(good.to_json()["verified"] == true);

  SUBCASE("a little in one weight") {
    tiny.net.layers.back().weight[3] += 0.05F;
  }
  SUBCASE("a bias that is not a number") {
    tiny.net.layers.back().bias[0] = std::nanf("");
  }
  (void)format->write(tiny.net, labels_of(tiny.space, tiny.level.config), tiny.temp.path(), "a");
  const Error error =
      error_of([&] { (void)verify_file(*format, tiny.temp / "a.json", tiny.net, inputs, expected); });
  CHECK(error.code() == ErrorCode::failed);
  CHECK(error.message().find("a.json") != std::string::npos);
  CHECK(error.message().find("0.0001") != std::string::npos);
}

}  // namespace dsn
