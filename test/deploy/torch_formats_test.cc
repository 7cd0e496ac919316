// SPDX-License-Identifier: Apache-2.0
// What leaves dsn computes what the super-network computes: folded layers against Supernet::forward, in every
// shipped space, and TorchScript against both.
#include <doctest/doctest.h>

#include "dsn/core/error.h"
#include "dsn/deploy/export.h"
#include "dsn/deploy/level_format.h"
#include "dsn/deploy/plain_run.h"
#include "dsn/deploy/torchscript_format.h"
#include "dsn/engine/torch_executor.h"
#include "dsn/supernet/supernet.h"
#include "fakes/drawn_weights.h"
#include "fakes/export_labels.h"
#include "fakes/temp_folder.h"
#include "fakes/tiny_space.h"

namespace dsn {
namespace {

using fakes::labels_of;
using fakes::TempFolder;

std::vector<float> forward(Supernet& net, const LevelSpec& level, const std::vector<float>& images, int n) {
  const torch::NoGradGuard no_grad;
  const BnTensorMap bn = to_bn_tensors(level.bn);
  const torch::Tensor x = torch::from_blob(const_cast<float*>(images.data()),
                                           {n, net.space().in_channels(), level.config.r, level.config.r});
  const torch::Tensor y =
      net.forward(x, level.config, BnMode::stored, bn.empty() ? nullptr : &bn).contiguous();
  return {y.data_ptr<float>(), y.data_ptr<float>() + y.numel()};
}

}  // namespace

TEST_CASE("fold_network and torchscript_format: every shipped space computes what Supernet::forward does") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const TempFolder temp;
    const SearchSpace space = SearchSpace::load(name);
    const TensorFile weights = fakes::draw_weights(temp / "w.safetensors", space);
    Supernet supernet(space, weights);
    bool own = false;
    for (const SubnetConfig& config : fakes::some_subnets(space)) {
      CAPTURE(space.describe(config));
      LevelSpec level{config, {}};
      if (own) level.bn = fakes::draw_statistics(make_network(space, config));
      own = !own;
      const FoldedNetwork net = fold_network(space, weights, level);
      const auto images = fakes::draw_images(net, 2);
      const auto expected = forward(supernet, level, images, 2);
      CHECK(fakes::relative_difference(run_plain(net, images, 2), expected) < 1e-5);
      const auto format = torchscript_format();
      const auto files = format->write(net, labels_of(space, config), temp.path(), "a");
      CHECK(files == std::vector<std::string>{"a.pt"});
      std::string why_not;
      const auto runner = format->open(temp / "a.pt", net, why_not);
      CHECK(fakes::relative_difference(runner->logits(images, 2), expected) < 1e-5);
    }
  }
}

TEST_CASE("fold_network: odd resolutions, where shortcut pools cut their last window, too") {
  const TempFolder temp;
  const SearchSpace space = SearchSpace::load("ofa-resnet50").with_resolution(75);
  const TensorFile weights = fakes::draw_weights(temp / "w.safetensors", space);
  Supernet supernet(space, weights);
  LevelSpec level{space.smallest(), {}};
  level.config.r = 75;
  const FoldedNetwork net = fold_network(space, weights, level);
  const auto images = fakes::draw_images(net, 1);
  CHECK(fakes::relative_difference(run_plain(net, images, 1), forward(supernet, level, images, 1)) < 1e-5);
}

TEST_CASE("torchscript_format: the same network gives the same bytes, and what is no archive is named") {
  const TempFolder temp;
  const SearchSpace space = fakes::tiny_space();
  const FoldedNetwork net =
      fold_network(space, fakes::draw_weights(temp / "w.safetensors", space), {space.smallest(), {}});
  const auto format = torchscript_format();
  (void)format->write(net, labels_of(space, space.smallest()), temp.path(), "a");
  (void)format->write(net, labels_of(space, space.smallest()), temp.path(), "b");
  CHECK(read_file(temp / "a.pt") == read_file(temp / "b.pt"));
  write_file_atomic(temp / "b.pt", "hello");
  std::string why_not;
  try {
    (void)format->open(temp / "b.pt", net, why_not);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::failed);
    CHECK(error.message().find("b.pt") != std::string::npos);
  }
}

TEST_CASE(
    "write_export: files, hashes, samples and verification are in the index; a failure leaves nothing") {
  register_torch_executor();
  const TempFolder temp;
  const SearchSpace space = fakes::tiny_space();
  ExportSource source{space,
                      fakes::draw_weights(temp / "w.safetensors", space),
                      Preprocessing::for_dataset("fashion-mnist"),
                      {},
                      {}};
  std::vector<ExportSubject> subjects(2);
  subjects[0] = {"largest", "largest", {space.largest(), {}}, "shared", {}, {}, {}};
  subjects[1] = {
      "level 1", "level1", {space.smallest(), fakes::draw_statistics(make_network(space, space.smallest()))},
      "own",     1,        0.5,
      "x"};
  ExportOptions options;
  options.samples = true;
  options.warnings = {"told"};
  const auto format = level_format();
  const Json index = write_export(source, subjects, *format, options, temp / "out", silent_job());
  CHECK(index == read_document(temp.path() / "out" / "index.json", "dsn.export"));
  CHECK(index["warnings"] == Json{"told"});
  REQUIRE(index["networks"].size() == 2);
  for (const Json& network : index["networks"]) {
    CHECK(network["verification"]["top1_agree"] == 16);
    for (const Json& file : network["files"])
      CHECK(file["sha256"] == sha256_file(temp.path() / "out" / file["file"].get<std::string>()));
  }
  const TensorFile samples = TensorFile::open(temp.path() / "out" / "samples.safetensors");
  CHECK(samples.at("logits.level1").shape == std::vector<std::int64_t>{16, 4});

  SUBCASE("weights that are not finite") {
    std::map<std::string, TensorView> tensors = source.weights.tensors();
    const std::vector<float> infinite(4, std::numeric_limits<float>::infinity());
    tensors["classifier.bias"].bytes = std::as_bytes(std::span(infinite));
    write_safetensors(temp / "bad.safetensors", tensors, {});
    source.weights = TensorFile::open(temp / "bad.safetensors");
  }
  SUBCASE("statistics of another sub-network") {
    subjects[1].spec.config = space.largest();
  }
  SUBCASE("two files of one name") {
    subjects[1].stem = "largest";
  }
  SUBCASE("the index's name") {
    subjects[1].stem = "index";
  }
  const std::string before = read_file(temp.path() / "out" / "index.json");
  CHECK_THROWS_AS(write_export(source, subjects, *format, options, temp / "new", silent_job()), Error);
  CHECK_FALSE(fs::exists(temp / "new"));
  CHECK_FALSE(fs::exists(temp / "new.tmp"));
  CHECK_THROWS_AS(write_export(source, subjects, *format, options, temp / "out", silent_job()), Error);
  CHECK(read_file(temp.path() / "out" / "index.json") == before);
}

}  // namespace dsn
