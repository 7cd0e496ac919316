// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/bn_act.h"

#include <doctest/doctest.h>

namespace dsn {
namespace {

struct Result {
  torch::Tensor y, gx, ggamma, gbeta, gresidual, mean, var;
};

// One of the two ways, on copies of the same tensors, with a gradient that differs everywhere.
template <typename Compute>
Result through(const torch::Tensor& x0, const torch::Tensor& gamma0, const torch::Tensor& beta0,
               const torch::Tensor& residual0, bool added, Compute compute) {
  const auto leaf = [](const torch::Tensor& t) { return t.clone().requires_grad_(); };
  const torch::Tensor x = leaf(x0), gamma = leaf(gamma0), beta = leaf(beta0), residual = leaf(residual0);
  const torch::Tensor mean = torch::full({x.size(1)}, 0.5F), var = torch::full({x.size(1)}, 2.0F);
  const torch::Tensor y = compute(x, gamma, beta, added ? residual : torch::Tensor(), mean, var);
  torch::manual_seed(9);
  (y * torch::randn_like(y)).sum().backward();
  return {y.detach(), x.grad(), gamma.grad(), beta.grad(), added ? residual.grad() : torch::zeros({1}),
          mean,       var};
}

double apart(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>() / std::max(1e-3, b.abs().max().item<double>());
}

}  // namespace

TEST_CASE("batch_norm_act: equals LibTorch's batch norm, activation and addition, forward and backward") {
  torch::manual_seed(1);
  for (const int channels : {8, 24, 72, 96, 200}) {
    for (const int size : {1, 3, 7}) {
      for (const Activation act : {Activation::none, Activation::relu, Activation::hswish}) {
        for (const bool added : {false, true}) {
          CAPTURE(channels);
          CAPTURE(size);
          CAPTURE(to_string(act));
          CAPTURE(added);
          // A mean far from zero: a variance from plain sums of squares would be wrong.
          const torch::Tensor x = (torch::randn({5, channels, size, size}) * 3 + 50)
                                      .contiguous(torch::MemoryFormat::ChannelsLast);
          const torch::Tensor gamma = torch::randn({channels}) + 1, beta = torch::randn({channels});
          const torch::Tensor residual = torch::randn({5, channels, size, size});
          REQUIRE(takes_batch_norm_act(x, act));
          const Result ours = through(x, gamma, beta, residual, added,
                                      [&](auto& a, auto& g, auto& b, auto& r, auto& m, auto& v) {
                                        return batch_norm_act(a, g, b, r, {act, 1e-5, 0.1, m, v});
                                      });
          const Result theirs =
              through(x, gamma, beta, residual, added,
                      [&](const torch::Tensor& a, const torch::Tensor& g, const torch::Tensor& b,
                          const torch::Tensor& r, const torch::Tensor& m, const torch::Tensor& v) {
                        torch::Tensor y = torch::batch_norm(a, g, b, m, v, true, 0.1, 1e-5, false);
                        if (act == Activation::relu) y = torch::relu(y);
                        if (act == Activation::hswish) y = torch::hardswish(y);
                        return r.defined() ? y + r : y;
                      });
          CHECK(apart(ours.y, theirs.y) < 2e-5);
          CHECK(apart(ours.gx, theirs.gx) < 2e-4);
          CHECK(apart(ours.ggamma, theirs.ggamma) < 1e-4);
          CHECK(apart(ours.gbeta, theirs.gbeta) < 1e-5);
          CHECK(apart(ours.gresidual, theirs.gresidual) == 0);
          CHECK(apart(ours.mean, theirs.mean) < 1e-6);
          CHECK(apart(ours.var, theirs.var) < 1e-5);
        }
      }
    }
  }
}

TEST_CASE("batch_norm_act: what it cannot do well it does not take") {
  const torch::Tensor x = torch::randn({4, 8, 5, 5});
  CHECK_FALSE(takes_batch_norm_act(x, Activation::relu));  // NCHW
  const torch::Tensor last = x.contiguous(torch::MemoryFormat::ChannelsLast);
  CHECK(takes_batch_norm_act(last, Activation::relu));
  CHECK_FALSE(takes_batch_norm_act(last.to(torch::kFloat64), Activation::relu));
  CHECK_FALSE(takes_batch_norm_act(torch::randn({1, 8, 1, 1}), Activation::none));  // no variance
}

}  // namespace dsn
