// SPDX-License-Identifier: Apache-2.0
// The elastic engine and the torch executor give the same logits.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "dsn/engine/elastic/kernels.h"
#include "dsn/engine/executor.h"
#include "dsn/engine/torch_executor.h"
#include "fakes/drawn_weights.h"
#include "fakes/forced_target.h"
#include "fakes/temp_folder.h"

namespace dsn {
namespace {

// How many random sub-networks of each space; DSN_TEST_SUBNETS asks for more than fit a quick test.
int subnets() {
  const char* asked = std::getenv("DSN_TEST_SUBNETS");
  return asked == nullptr ? 6 : std::atoi(asked);
}

}  // namespace

TEST_CASE(
    "ElasticExecutor: random sub-networks of every shipped space, at full width, give the torch executor's "
    "logits") {
  register_torch_executor();
  const fakes::TempFolder temp;
  const auto targets = elastic::kernel_targets();
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const SearchSpace shipped = SearchSpace::load(name);
    const bool large = shipped.in_channels() == 3;
    const std::vector<int> sizes = large ? std::vector<int>{96, 112, 130} : shipped.resolutions();
    SearchSpace space = shipped;
    for (const int r : sizes) space = space.with_resolution(r);
    const TensorFile file = fakes::draw_weights(temp / "w.safetensors", space);
    const auto reference = make_executor("torch", space, file);
    reference->set_threads(2);
    std::vector<std::unique_ptr<Executor>> engines;
    for (const std::string_view target : targets) {
      const fakes::ForcedTarget forced(target);
      engines.push_back(make_executor("elastic", space, file));
    }
    Rng rng(31);
    double worst = 0;
    for (int i = 0; i < subnets(); ++i) {
      const SubnetConfig config = space.sample(rng, sizes[static_cast<std::size_t>(i) % sizes.size()]);
      const Network net = make_network(space, config);
      BnStats bn;
      if (i % 2 == 1) bn = fakes::draw_statistics(net, static_cast<std::uint64_t>(i));
      const int batch = 1 + i % 5;
      const std::vector<float> images = fakes::draw_images(net, batch, static_cast<std::uint64_t>(i));
      std::vector<float> expected(static_cast<std::size_t>(net.classes * batch)), found(expected.size());
      reference->prepare({{config, bn}});
      reference->activate(0);
      reference->infer(images, batch, expected);
      for (std::size_t t = 0; t < targets.size(); ++t) {
        engines[t]->prepare({{config, bn}});
        engines[t]->activate(0);
        engines[t]->set_threads(1 + (i + static_cast<int>(t)) % 4);
        engines[t]->infer(images, batch, found);
        const double off = fakes::relative_difference(found, expected);
        INFO(targets[t] << " " << space.describe(config) << " batch " << batch);
        CHECK(off <= 1e-4);
        worst = std::max(worst, off);
      }
    }
    MESSAGE(fmt::format("{}: {} sub-networks, largest difference over largest logit {:.1e}", name, subnets(),
                        worst));
  }
}

}  // namespace dsn
