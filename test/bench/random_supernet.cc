// SPDX-License-Identifier: Apache-2.0
// A super-network of a shipped space whose weights are drawn, not trained: what export and engines can be
// tried on at sizes that nobody trained here. Its batch-norm statistics are those of fresh networks:
// calibrate (dsn export --subnet does).
//
// usage: random_supernet SPACE OUT.safetensors
#include <cstdio>
#include <string>

#include "dsn/core/error.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/supernet.h"

namespace {

// As after training: fresh networks have residual blocks that add nothing, and kernel transforms that only
// cut.
void fill(dsn::Supernet& net) {
  torch::manual_seed(1);
  const torch::NoGradGuard no_grad;
  for (auto& [name, p] : net.parameters()) {
    if (name.ends_with("bn.weight")) p.copy_(torch::rand_like(p) * 0.5 + 0.5);
    if (name.ends_with("bn.bias")) p.copy_(torch::randn_like(p) * 0.1);
    if (name.find("transform") != std::string::npos) p.add_(torch::randn_like(p) * 0.05);
    if (name.starts_with("classifier")) p.copy_(torch::randn_like(p) * 0.05);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: random_supernet SPACE OUT.safetensors\n", stderr);
    return 2;
  }
  try {
    const dsn::SearchSpace space = dsn::SearchSpace::load(argv[1]);
    dsn::Supernet net(space, 1);
    fill(net);
    dsn::Preprocessing how = dsn::Preprocessing::for_dataset("imagenet");
    if (space.in_channels() == 1) how = dsn::Preprocessing::for_dataset("fashion-mnist");
    dsn::write_checkpoint(argv[2], {space, how, {}, "", dsn::Json()}, net.tensor_views());
    return 0;
  } catch (const dsn::Error& error) {
    std::fprintf(stderr, "random_supernet: error: %s\n", error.what());
    return dsn::exit_status(error.code());
  }
}
