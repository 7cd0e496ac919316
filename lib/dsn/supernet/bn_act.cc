// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/bn_act.h"

#include <cmath>
#include <vector>

#include "dsn/supernet/bn_kernels.h"

namespace dsn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kLast = torch::MemoryFormat::ChannelsLast;

kernels::Rows rows_of(const torch::Tensor& x) {
  const auto channels = static_cast<std::size_t>(x.size(1));
  return {static_cast<std::size_t>(x.numel()) / channels, channels};
}

// What forward and backward know of each channel. [4][C]: mean, 1 / deviation, scale and shift of the whole
// operation.
struct Channels {
  explicit Channels(const torch::Tensor& t) : count(t.size(1)), data(t.data_ptr<float>()) {}
  std::int64_t count;
  float* data;
  [[nodiscard]] float* mean() const { return data; }
  [[nodiscard]] float* inv_std() const { return data + count; }
  [[nodiscard]] float* scale() const { return data + 2 * count; }
  [[nodiscard]] float* shift() const { return data + 3 * count; }
};

void follow(const torch::Tensor& running, const std::vector<double>& now, double factor, double momentum) {
  float* values = running.data_ptr<float>();
  for (std::size_t c = 0; c < now.size(); ++c)
    values[c] = static_cast<float>((1 - momentum) * values[c] + momentum * now[c] * factor);
}

struct Function : torch::autograd::Function<Function> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const torch::Tensor& gamma,
                               const torch::Tensor& beta, const c10::optional<torch::Tensor>& residual,
                               const BnActSettings& s) {
    const kernels::Rows n = rows_of(x);
    std::vector<double> mean, variance;
    kernels::statistics(x.data_ptr<float>(), n, mean, variance);
    const torch::Tensor channels = torch::empty({4, x.size(1)});
    const Channels k(channels);
    const float *g = gamma.data_ptr<float>(), *b = beta.data_ptr<float>();
    for (std::size_t c = 0; c < n.channels; ++c) {
      const double inv_std = 1 / std::sqrt(variance[c] + s.eps);
      k.mean()[c] = static_cast<float>(mean[c]);
      k.inv_std()[c] = static_cast<float>(inv_std);
      k.scale()[c] = static_cast<float>(g[c] * inv_std);
      k.shift()[c] = static_cast<float>(b[c] - mean[c] * g[c] * inv_std);
    }
    if (s.running_mean.defined()) {
      const auto rows = static_cast<double>(n.rows);
      follow(s.running_mean, mean, 1, s.momentum);
      follow(s.running_var, variance, rows / (rows - 1), s.momentum);
    }
    torch::Tensor y = torch::empty_like(x);
    const torch::Tensor added = residual ? residual->contiguous(kLast) : torch::Tensor();
    kernels::scale_shift_act(x.data_ptr<float>(), n, k.scale(), k.shift(), s.act,
                             added.defined() ? added.data_ptr<float>() : nullptr, y.data_ptr<float>());
    context->save_for_backward({x, channels});
    context->saved_data["act"] = static_cast<std::int64_t>(s.act);
    context->saved_data["residual"] = residual.has_value();
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& x = saved[0];
    const Channels k(saved[1]);
    const auto act = static_cast<Activation>(context->saved_data["act"].toInt());
    const kernels::Rows n = rows_of(x);
    const torch::Tensor gy = gradients[0].contiguous(kLast);
    std::vector<double> sum_g, sum_gx;
    kernels::backward_sums(x.data_ptr<float>(), gy.data_ptr<float>(), n, k.scale(), k.shift(), act, sum_g,
                           sum_gx);
    torch::Tensor g_gamma = torch::empty({x.size(1)}), g_beta = torch::empty({x.size(1)}),
                  gx = torch::empty_like(x);
    std::vector<float> slope(n.channels), offset(n.channels);
    const auto rows = static_cast<double>(n.rows);
    for (std::size_t c = 0; c < n.channels; ++c) {
      const double mean = k.mean()[c], inv_std = k.inv_std()[c], scale = k.scale()[c];
      const double g_hat = (sum_gx[c] - mean * sum_g[c]) * inv_std;  // sum of g times the normalised input
      g_gamma.data_ptr<float>()[c] = static_cast<float>(g_hat);
      g_beta.data_ptr<float>()[c] = static_cast<float>(sum_g[c]);
      // gx = scale (g - mean(g) - x^ mean(g x^)), with x^ = (x - mean) inv_std, as a line in x.
      const double along = scale * inv_std * g_hat / rows;
      slope[c] = static_cast<float>(-along);
      offset[c] = static_cast<float>(along * mean - scale * sum_g[c] / rows);
    }
    kernels::backward_input(x.data_ptr<float>(), gy.data_ptr<float>(), n, k.scale(), k.shift(), act,
                            slope.data(), offset.data(), gx.data_ptr<float>());
    const bool added = context->saved_data["residual"].toBool();
    return {gx, g_gamma, g_beta, added ? gy : torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

bool takes_batch_norm_act(const torch::Tensor& x, Activation act) {
  const bool known = act == Activation::none || act == Activation::relu || act == Activation::hswish;
  return known && x.is_cpu() && x.scalar_type() == torch::kFloat32 && x.dim() == 4 &&
         x.is_contiguous(kLast) && x.numel() > x.size(1);
}

torch::Tensor batch_norm_act(const torch::Tensor& x, const torch::Tensor& gamma, const torch::Tensor& beta,
                             const torch::Tensor& residual, const BnActSettings& settings) {
  // An undefined tensor is no argument of a function, an absent one is.
  const auto added = residual.defined() ? c10::make_optional(residual) : c10::nullopt;
  return Function::apply(x, gamma, beta, added, settings);
}

}  // namespace dsn
