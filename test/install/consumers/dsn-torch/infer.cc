// SPDX-License-Identifier: Apache-2.0
// One inference of the shipped super-network's two ends, by the torch executor.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "dsn/engine/executor.h"
#include "dsn/engine/torch_executor.h"
#include "dsn/supernet/checkpoint.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  dsn::register_torch_executor();
  const auto checkpoint = dsn::Checkpoint::open(std::string(argv[1]) + "/examples/fmnist-mbv3.safetensors");
  const dsn::SearchSpace& space = checkpoint.info.space;
  const auto executor = dsn::make_executor("torch", space, checkpoint.tensors);
  executor->prepare({{space.smallest(), {}}, {space.largest(), {}}});
  for (const std::size_t level : {0, 1}) {
    executor->activate(level);
    const auto side = static_cast<std::size_t>(level == 0 ? space.smallest().r : space.largest().r);
    const std::vector<float> image(static_cast<std::size_t>(space.in_channels()) * side * side);
    std::vector<float> logits(static_cast<std::size_t>(space.classes()));
    executor->infer(image, 1, logits);
    for (const float logit : logits) {
      if (!std::isfinite(logit)) return 1;
    }
    std::printf("%.2f ", logits.front());
  }
  return 0;
}
