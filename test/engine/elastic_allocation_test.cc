// SPDX-License-Identifier: Apache-2.0
// The elastic engine asks for no memory once levels are prepared. A program of its own: malloc is counted.
#include <doctest/doctest.h>

#include "bench/allocations.h"
#include "dsn/engine/executor.h"
#include "fakes/drawn_weights.h"
#include "fakes/temp_folder.h"

namespace dsn {

TEST_CASE(
    "ElasticExecutor: switching levels and inferring allocate nothing, with one and with several threads") {
  const fakes::TempFolder temp;
  for (const SearchSpace& space : {SearchSpace::load("ofa-mbv3", 0.25, 10).with_resolution(64),
                                   SearchSpace::load("ofa-resnet50", 0.25, 10).with_resolution(64)}) {
    CAPTURE(space.name());
    const auto executor = make_executor("elastic", space, fakes::draw_weights(temp / "w.safetensors", space));
    SubnetConfig small = space.smallest(), large = space.largest();
    small.r = large.r = 64;
    executor->prepare({{small, {}}, {large, {}}});
    executor->set_threads(4);
    executor->activate(0);
    const std::vector<float> image = fakes::draw_images(executor->network(), 1, 2);
    std::vector<float> logits(10);
    bench::Allocations before = bench::allocations();
    // The very first inference, too.
    for (int i = 0; i < 12; ++i) {
      executor->set_threads(1 + i % 4);
      executor->activate(static_cast<std::size_t>(i % 2));
      executor->infer(image, 1, logits);
    }
    CHECK(bench::allocations().count == before.count);

    std::vector<float> three;
    for (int i = 0; i < 3; ++i) three.insert(three.end(), image.begin(), image.end());
    std::vector<float> more(30);
    executor->infer(three, 3, more);  // grows once for a larger batch
    before = bench::allocations();
    executor->infer(three, 3, more);
    executor->infer(image, 1, logits);
    CHECK(bench::allocations().count == before.count);
  }
}

}  // namespace dsn
