// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/supernet.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/supernet/checkpoint.h"
#include "tiny.h"
#include "trained_like.h"

namespace dsn {
namespace {

using testing::difference;
using testing::random_images;
using testing::tiny_space;
using testing::trained_like;

}  // namespace

TEST_CASE("Supernet::forward: a sliced sub-network equals the same network built alone") {
  const SearchSpace space = tiny_space();
  Supernet net = trained_like(space);
  // Every choice below the largest: stage 0 depth 1, e 2, k 3 (two transforms deep); stage 1 depth 2, e 2,
  // k 3.
  SubnetConfig config = space.largest();
  config.r = 12;
  config.d = {1, 2};
  config.e = {2, 2, 2, 2};
  config.k = {3, 3, 3, 3};

  // The same network as a space with one choice each.
  Json doc = space.document();
  doc["resolutions"] = {12};
  doc["stages"][0].update({{"depth", {1}}, {"expand", {2}}, {"kernel", {3}}});
  doc["stages"][1].update({{"depth", {2}}, {"expand", {2}}, {"kernel", {3}}});
  const SearchSpace alone_space = SearchSpace::parse(doc, "alone");
  Supernet alone(alone_space, 1);
  torch::NoGradGuard no_grad;
  const std::vector<int> source_block{0, 2, 3};  // blocks of `alone` in the super-network
  const auto source_name = [&](std::string name) {
    for (int b = 2; b >= 0; --b) {
      const std::string prefix = fmt::format("blocks.{}.", b);
      if (name.starts_with(prefix))
        return fmt::format("blocks.{}.{}", source_block[static_cast<std::size_t>(b)],
                           name.substr(prefix.size()));
    }
    return name;
  };
  const auto copy_prefix = [&](torch::Tensor& to, const torch::Tensor& from) {
    torch::Tensor part = from;
    for (std::int64_t dim = 0; dim < to.dim(); ++dim) part = part.narrow(dim, 0, to.size(dim));
    to.copy_(part);
  };
  for (auto& [name, tensor] : alone.parameters()) {
    if (name.find("depth.conv") != std::string::npos && name.starts_with("blocks.")) {
      const int block = source_block[static_cast<std::size_t>(name[7] - '0')];
      tensor.copy_(net.depthwise_weight(block, static_cast<int>(tensor.size(0)), 3));
    } else {
      copy_prefix(tensor, net.parameters().at(source_name(name)));
    }
  }
  for (auto& [name, tensor] : alone.buffers()) copy_prefix(tensor, net.buffers().at(source_name(name)));

  const torch::Tensor x = random_images(4, 12);
  const torch::Tensor sliced = net.forward(x, config, BnMode::stored),
                      built = alone.forward(x, alone_space.largest(), BnMode::stored);
  CHECK(sliced.abs().max().item<double>() > 1e-3);
  CHECK(difference(sliced, built) < 1e-5);
  CHECK(difference(sliced, net.forward(x, space.largest(), BnMode::stored)) > 1e-3);  // it does switch
}

TEST_CASE("Supernet::depthwise_weight: centre crop through the transforms, 7 to 5 to 3") {
  const SearchSpace space = tiny_space();
  Supernet net(space, 1);
  torch::NoGradGuard no_grad;
  const torch::Tensor full = net.parameters().at("blocks.0.depth.conv.weight");
  // Fresh transforms are the identity: the plain centre.
  CHECK(difference(net.depthwise_weight(0, 16, 3), full.narrow(0, 0, 16).narrow(2, 2, 3).narrow(3, 2, 3)) ==
        0);
  net.parameters().at("blocks.0.depth.transform_7to5").mul_(2.0);
  net.parameters().at("blocks.0.depth.transform_5to3").mul_(3.0);
  CHECK(difference(net.depthwise_weight(0, 16, 5),
                   2 * full.narrow(0, 0, 16).narrow(2, 1, 5).narrow(3, 1, 5)) < 1e-6);
  CHECK(difference(net.depthwise_weight(0, 16, 3),
                   6 * full.narrow(0, 0, 16).narrow(2, 2, 3).narrow(3, 2, 3)) < 1e-5);
}

TEST_CASE(
    "Supernet::sort_channels: keeps the largest sub-network's function and puts important channels first") {
  const SearchSpace space = tiny_space();
  Supernet net = trained_like(space);
  const torch::Tensor x = random_images(2, 16);
  const torch::Tensor before = net.forward(x, space.largest(), BnMode::stored);
  const torch::Tensor narrow_before = net.forward(random_images(2, 12), space.smallest(), BnMode::stored);
  net.sort_channels();
  CHECK(difference(before, net.forward(x, space.largest(), BnMode::stored)) < 1e-5);
  CHECK(difference(narrow_before, net.forward(random_images(2, 12), space.smallest(), BnMode::stored)) >
        1e-4);
  const torch::Tensor importance = net.parameters().at("blocks.1.project.conv.weight").abs().sum({0, 2, 3});
  CHECK((importance.slice(0, 0, -1) >= importance.slice(0, 1)).all().item<bool>());
}

TEST_CASE(
    "Supernet::calibrate: stored statistics of one batch reproduce batch mode, two batches are averaged by "
    "size") {
  const SearchSpace space = tiny_space();
  Supernet net = trained_like(space);
  const SubnetConfig config = space.smallest();
  const torch::Tensor x = random_images(12, 12);
  torch::NoGradGuard no_grad;
  const BnTensorMap stats = net.calibrate({x}, config);
  CHECK(stats.at("blocks.0.depth.bn").mean.size(0) == 16);  // active channels, not 24
  CHECK(difference(net.forward(x, config, BnMode::stored, &stats), net.forward(x, config, BnMode::batch)) <
        1e-4);

  const BnTensorMap a = net.calibrate({x.narrow(0, 0, 8)}, config),
                    b = net.calibrate({x.narrow(0, 8, 4)}, config);
  const BnTensorMap both = net.calibrate({x.narrow(0, 0, 8), x.narrow(0, 8, 4)}, config);
  for (const auto& [name, s] : both) {
    CHECK(difference(s.mean, (a.at(name).mean * 8 + b.at(name).mean * 4) / 12) < 1e-6);
    CHECK(difference(s.variance, (a.at(name).variance * 8 + b.at(name).variance * 4) / 12) < 1e-5);
  }
  const BnTensorMap round_trip = to_bn_tensors(to_bn_stats(stats));
  CHECK(difference(round_trip.at("stem.bn").variance, stats.at("stem.bn").variance) == 0);
}

TEST_CASE("Supernet::replica: shares weights, not gradients or running statistics") {
  const SearchSpace space = tiny_space();
  Supernet net = trained_like(space);
  Supernet other = net.replica();
  other.forward(random_images(4, 16), space.largest(), BnMode::batch_update).sum().backward();
  CHECK(other.parameters().at("classifier.weight").grad().defined());
  CHECK_FALSE(net.parameters().at("classifier.weight").grad().defined());
  CHECK(difference(other.buffers().at("stem.bn.running_mean"), net.buffers().at("stem.bn.running_mean")) > 0);
  torch::NoGradGuard no_grad;
  net.parameters().at("classifier.bias").fill_(7.0);
  CHECK(other.parameters().at("classifier.bias")[0].item<float>() == 7.F);
}

TEST_CASE(
    "Supernet: a checkpoint gives the same logits; one of another space is refused by tensor and shape") {
  const fs::path path = fs::temp_directory_path() / "dsn_supernet_test.safetensors";
  const SearchSpace space = tiny_space();
  Supernet net = trained_like(space);
  write_checkpoint(path, {space, Preprocessing{}, {}, "stripes", Json()}, net.tensor_views());
  const Checkpoint checkpoint = Checkpoint::open(path);
  Supernet read(checkpoint.info.space, checkpoint.tensors);
  const torch::Tensor x = random_images(2, 16);
  CHECK(difference(net.forward(x, space.largest(), BnMode::stored),
                   read.forward(x, space.largest(), BnMode::stored)) == 0);

  Json doc = space.document();
  doc["stages"][1]["channels"] = 24;
  try {
    const Supernet wrong(SearchSpace::parse(doc, "wrong"), checkpoint.tensors);
    FAIL("a checkpoint of another space was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::mismatch);
    CHECK(error.message().find("found shape [") != std::string::npos);
    CHECK(error.message().find(path.string()) != std::string::npos);
  }
  fs::remove(path);
}

}  // namespace dsn
