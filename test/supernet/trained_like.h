// SPDX-License-Identifier: Apache-2.0
// Super-networks whose every weight matters, and inputs for them. Needs LibTorch.
#pragma once

#include "dsn/supernet/supernet.h"

namespace dsn::testing {

inline torch::Tensor random_images(int n, int r) {
  torch::manual_seed(5);
  return torch::randn({n, 1, r, r});
}

// Weights as after training: nothing zero, one or identity.
inline Supernet trained_like(const SearchSpace& space) {
  Supernet net(space, 3);
  torch::manual_seed(4);
  torch::NoGradGuard no_grad;
  for (auto& [name, p] : net.parameters()) p.add_(torch::randn_like(p) * 0.1);
  for (auto& [name, b] : net.buffers()) b.add_(torch::rand_like(b) * 0.5);
  return net;
}

inline double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace dsn::testing
