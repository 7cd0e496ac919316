// SPDX-License-Identifier: Apache-2.0
// A super-network of a shipped space whose weights are drawn, not trained: what export and engines can be
// tried on at sizes that nobody trained here. Its batch-norm statistics are drawn, too: calibrate
// (dsn export --subnet does).
//
// usage: random_supernet SPACE OUT.safetensors
#include <cstdio>

#include "dsn/core/error.h"
#include "fakes/drawn_weights.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: random_supernet SPACE OUT.safetensors\n", stderr);
    return 2;
  }
  try {
    const dsn::SearchSpace space = dsn::SearchSpace::load(argv[1]);
    dsn::fakes::draw_checkpoint(argv[2], space, space.in_channels() == 1 ? "fashion-mnist" : "imagenet");
    return 0;
  } catch (const dsn::Error& error) {
    std::fprintf(stderr, "random_supernet: error: %s\n", error.what());
    return dsn::exit_status(error.code());
  }
}
