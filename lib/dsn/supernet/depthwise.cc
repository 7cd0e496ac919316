// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/depthwise.h"

#include "dsn/supernet/depthwise_kernels.h"

namespace dsn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = torch::MemoryFormat::ChannelsLast;

torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight, std::int64_t stride) {
  return torch::conv2d(x, weight, {}, stride, weight.size(2) / 2, 1, x.size(1));
}

struct Depthwise : torch::autograd::Function<Depthwise> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const torch::Tensor& weight,
                               std::int64_t stride) {
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    return convolve(x, weight, stride);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const std::int64_t stride = context->saved_data["stride"].toInt(), pad = weight.size(2) / 2;
    const torch::Tensor gy = gradients[0].contiguous(kChannelsLast);
    const torch::Tensor gx =
        std::get<0>(at::convolution_backward(gy, x, weight, c10::nullopt, {stride, stride}, {pad, pad},
                                             {1, 1}, false, {0, 0}, x.size(1), {true, false, false}));
    kernels::Depthwise d;
    d.n = static_cast<std::size_t>(x.size(0));
    d.c = static_cast<std::size_t>(x.size(1));
    d.h = static_cast<std::size_t>(x.size(2));
    d.w = static_cast<std::size_t>(x.size(3));
    d.out_h = static_cast<std::size_t>(gy.size(2));
    d.out_w = static_cast<std::size_t>(gy.size(3));
    d.kernel = static_cast<int>(weight.size(2));
    d.stride = static_cast<int>(stride);
    const torch::Tensor gw = torch::empty(weight.sizes());
    kernels::depthwise_weight_gradient(x.data_ptr<float>(), gy.data_ptr<float>(), d, gw.data_ptr<float>());
    return {gx, gw, torch::Tensor()};
  }
};

}  // namespace

torch::Tensor depthwise_conv2d(const torch::Tensor& x, const torch::Tensor& weight, int stride) {
  const bool ours = x.is_cpu() && x.scalar_type() == torch::kFloat32 && x.is_contiguous(kChannelsLast) &&
                    (weight.size(2) == 5 || weight.size(2) == 7) && torch::GradMode::is_enabled() &&
                    weight.requires_grad();
  return ours ? Depthwise::apply(x, weight, stride) : convolve(x, weight, stride);
}

}  // namespace dsn
