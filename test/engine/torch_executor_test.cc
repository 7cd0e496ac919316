// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/torch_executor.h"

#include <doctest/doctest.h>

#include "../supernet/tiny.h"
#include "dsn/core/error.h"
#include "dsn/engine/executor.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/supernet.h"

namespace dsn {
namespace {

// A super-network on disk, and what an executor is made from.
struct Fixture {
  fs::path path = fs::temp_directory_path() / "dsn_torch_executor_test.safetensors";
  SearchSpace space;
  Supernet net{space, 3};

  explicit Fixture(SearchSpace of = testing::tiny_space()) : space(std::move(of)) {
    register_torch_executor();
    torch::manual_seed(4);
    torch::NoGradGuard no_grad;
    for (auto& [name, p] : net.parameters()) p.add_(torch::randn_like(p) * 0.1);
    for (auto& [name, b] : net.buffers()) b.add_(torch::rand_like(b) * 0.5);
    write_checkpoint(path, {space, Preprocessing{}, {}, "test", Json()}, net.tensor_views());
  }
  ~Fixture() { fs::remove(path); }

  [[nodiscard]] std::unique_ptr<Executor> executor() const {
    return make_executor("torch", space, TensorFile::open(path));
  }
};

std::vector<float> images(int n, int r) {
  Rng rng(8);
  std::vector<float> values(static_cast<std::size_t>(n * r * r));
  for (float& v : values) v = static_cast<float>(rng.normal());
  return values;
}

}  // namespace

TEST_CASE(
    "TorchExecutor: random sub-networks give the super-network's logits, with shared and with own "
    "statistics") {
  for (const SearchSpace& space :
       {testing::tiny_space(), testing::tiny_slimmable(), testing::tiny_bottlenecks()}) {
    CAPTURE(space.name());
    Fixture f(space);
    const auto executor = f.executor();
    Rng rng(21);
    std::vector<LevelSpec> levels;
    std::vector<BnTensorMap> statistics;
    torch::NoGradGuard no_grad;
    for (int i = 0; i < 12; ++i) {
      const SubnetConfig config = f.space.sample(rng);
      const std::vector<float> calibration = images(6, config.r);
      BnTensorMap stats;
      if (i % 2 == 1) {
        stats = f.net.calibrate(
            {torch::from_blob(const_cast<float*>(calibration.data()), {6, 1, config.r, config.r})}, config);
      }
      levels.push_back({config, to_bn_stats(stats)});
      statistics.push_back(stats);
    }
    executor->prepare(levels);
    for (const int threads : {1, 2}) {
      executor->set_threads(threads);
      for (std::size_t i = levels.size(); i-- > 0;) {
        executor->activate(i);
        const int r = levels[i].config.r, batch = 1 + static_cast<int>(i % 3);
        CHECK(executor->network().resolution == r);
        const std::vector<float> input = images(batch, r);
        std::vector<float> logits(static_cast<std::size_t>(batch * 3));
        executor->infer(input, batch, logits);
        const torch::Tensor expected =
            f.net.forward(torch::from_blob(const_cast<float*>(input.data()), {batch, 1, r, r}),
                          levels[i].config, BnMode::stored, statistics[i].empty() ? nullptr : &statistics[i]);
        const torch::Tensor found = torch::from_blob(logits.data(), {batch, 3});
        CHECK((found - expected).abs().max().item<double>() <= 1e-4 * expected.abs().max().item<double>());
      }
    }
  }
}

TEST_CASE("TorchExecutor::infer: the observer sees every unit once, in order") {
  Fixture f;
  const auto executor = f.executor();
  executor->prepare({{f.space.smallest(), {}}});
  executor->activate(0);
  std::vector<std::size_t> seen;
  const UnitObserver observer = [&](std::size_t unit) { seen.push_back(unit); };
  std::vector<float> logits(3);
  executor->infer(images(1, 12), 1, logits, &observer);
  REQUIRE(seen.size() == executor->network().units.size());
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == i);
}

TEST_CASE("TorchExecutor: wrong sizes, an unprepared level and foreign statistics are refused") {
  Fixture f;
  const auto executor = f.executor();
  std::vector<float> logits(3);
  CHECK_THROWS_AS(executor->infer(images(1, 12), 1, logits), Error);  // nothing active
  executor->prepare({{f.space.smallest(), {}}});
  CHECK_THROWS_AS(executor->activate(1), Error);
  executor->activate(0);
  CHECK_THROWS_AS(executor->infer(images(1, 16), 1, logits), Error);
  CHECK_THROWS_AS(executor->infer(images(1, 12), 2, logits), Error);
  executor->infer(images(1, 12), 1, logits);

  // Of another width, a part of them, and more than the level has: none is filled up or left out.
  const BnStats own = to_bn_stats(f.net.calibrate({torch::rand({4, 1, 12, 12})}, f.space.smallest()));
  BnStats foreign = own, partial = own, more = own;
  foreign["blocks.0.depth.bn"] = {{1.F}, {1.F}};
  partial.erase("final_expand.bn");
  more["blocks.1.depth.bn"] = own.at("stem.bn");
  const std::vector<std::pair<BnStats, std::string>> refused{
      {foreign, "blocks.0.depth.bn"}, {partial, "final_expand.bn: found none"}, {more, "level 0"}};
  for (const auto& [stats, named] : refused) {
    try {
      executor->prepare({{f.space.smallest(), stats}});
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::mismatch);
      CHECK(error.message().find(named) != std::string::npos);
    }
  }
  executor->infer(images(1, 12), 1, logits);  // a failed prepare() leaves what was there
}

TEST_CASE("make_executor: a device this build lacks is unsupported, nonsense is bad usage") {
  Fixture f;
  const auto code_of = [&](const char* device) {
    try {
      (void)make_executor("torch", f.space, TensorFile::open(f.path), device);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::failed;
  };
  CHECK(code_of("toaster") == ErrorCode::bad_usage);
  if (!torch::cuda::is_available()) CHECK(code_of("cuda") == ErrorCode::unsupported);
}

}  // namespace dsn
