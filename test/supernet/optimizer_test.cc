// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/optimizer.h"

#include <doctest/doctest.h>

namespace dsn {

TEST_CASE("Optimizer::step: equals torch::optim::SGD with Nesterov momentum over several steps") {
  torch::manual_seed(1);
  std::map<std::string, torch::Tensor> ours{{"w", torch::randn({4, 3}).requires_grad_()}};
  torch::Tensor theirs = ours.at("w").detach().clone().requires_grad_();
  Optimizer optimizer(ours, {0.9, 0.01, 0, 0});
  torch::optim::SGD reference({theirs},
                              torch::optim::SGDOptions(0.1).momentum(0.9).weight_decay(0.01).nesterov(true));
  for (int i = 0; i < 5; ++i) {
    const torch::Tensor x = torch::randn({8, 4});
    (x.matmul(ours.at("w")).pow(2).sum()).backward();
    (x.matmul(theirs).pow(2).sum()).backward();
    optimizer.step(0.1 / (i + 1));
    static_cast<torch::optim::SGDOptions&>(reference.param_groups()[0].options()).lr(0.1 / (i + 1));
    reference.step();
    reference.zero_grad();
    CHECK((ours.at("w") - theirs).abs().max().item<double>() < 1e-3 * theirs.abs().max().item<double>());
  }
}

TEST_CASE("Optimizer::step: clips the norm, spares biases and transforms from decay, averages the weights") {
  std::map<std::string, torch::Tensor> parameters{
      {"bias", torch::ones({2}).requires_grad_()},
      {"depth.transform_5to3", torch::ones({2, 2}).requires_grad_()},
      {"weight", torch::ones({2, 2}).requires_grad_()}};
  Optimizer optimizer(parameters, {0.0, 0.5, 0, 0.5});
  optimizer.step(0.1);  // no gradients: only decay moves anything
  CHECK(parameters.at("bias")[0].item<float>() == 1.F);
  CHECK(parameters.at("depth.transform_5to3")[0][0].item<float>() == 1.F);
  CHECK(parameters.at("weight")[0][0].item<float>() == doctest::Approx(0.95F));
  const double decay = 2.0 / 11.0;  // the young average's
  CHECK(optimizer.averaged().at("weight")[0][0].item<double>() ==
        doctest::Approx(decay + (1 - decay) * 0.95));

  std::map<std::string, torch::Tensor> one{{"b", torch::zeros({1}).requires_grad_()}};
  Optimizer clipped(one, {0.0, 0.0, 2.0, 0});
  (one.at("b") * 100).sum().backward();
  CHECK(clipped.gradient_norm() == doctest::Approx(100));
  clipped.step(1.0);
  CHECK(one.at("b")[0].item<float>() == doctest::Approx(-2.F));
}

}  // namespace dsn
