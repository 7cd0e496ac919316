// SPDX-License-Identifier: Apache-2.0
// Training several small networks of linear layers on few samples, and putting them together as one. Not
// installed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dsn {

struct DenseLayer {
  int in = 0, out = 0;
  std::vector<float> weight, bias;  // [out][in], [out]
};

struct MlpTraining {
  int members = 4;     // networks, each with its own start and weights of samples
  int hidden = 24;     // units in each of two hidden layers
  int epochs = 250;    // all samples at once
  double rate = 0.01;  // of Adam (Kingma and Ba, ICLR 2015), falling to 0 as a cosine
  double decay = 0.3;  // of weights, apart from the gradient (Loshchilov and Hutter, ICLR 2019)
  std::uint64_t seed = 1;
};

// Layers of one network with ReLU between them and members + 1 outputs: the mean of all, then each. Members
// see samples weighted at random (Rubin 1981, doi:10.1214/aos/1176345338), so that they differ where there is
// little to go by. inputs: [samples][width]; targets: one per sample. The same arguments give the same bits.
// Precondition: at least one sample.
[[nodiscard]] std::vector<DenseLayer> train_mlp(std::span<const double> inputs,
                                                std::span<const double> targets, const MlpTraining& training);

}  // namespace dsn
