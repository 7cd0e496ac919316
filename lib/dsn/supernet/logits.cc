// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/logits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/supernet/own_statistics.h"
#include "dsn/supernet/pass_count.h"

namespace dsn {
namespace {

constexpr std::int64_t kAtOnce = 64;  // images; bounds the memory of feature maps

torch::Tensor as_input(const TensorView& view, const std::string& name, const SearchSpace& space, int r) {
  const std::vector<std::int64_t> expected{space.in_channels(), r, r};
  const bool fits = view.dtype == DType::f32 && view.shape.size() == 4 && view.shape[0] >= 1 &&
                    std::equal(expected.begin(), expected.end(), view.shape.begin() + 1);
  if (!fits) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} [{}], expected F32 [N, {}]", name, dtype_name(view.dtype),
                            fmt::join(view.shape, ", "), fmt::join(expected, ", ")));
  }
  // Read only: what is computed from it is new memory.
  return torch::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape);
}

}  // namespace

std::vector<std::vector<float>> logits_of(Supernet& net, const SubnetConfig& config, const TensorView& input,
                                          const std::string& name, const BnTensorMap& bn) {
  torch::NoGradGuard no_grad;
  const torch::Tensor images = as_input(input, name, net.space(), config.r);
  std::vector<std::vector<float>> rows;
  for (std::int64_t first = 0; first < images.size(0); first += kAtOnce) {
    const torch::Tensor part = images.narrow(0, first, std::min(kAtOnce, images.size(0) - first));
    const PassCounter counter(net);
    const torch::Tensor logits =
        net.forward(part.to(net.device()), config, BnMode::stored, bn.empty() ? nullptr : &bn)
            .to(torch::kCPU)
            .contiguous();
    const std::string what = net.space().describe(config);
    require_count(counter.count(), make_network(net.space(), config), what);
    if (!bn.empty()) require_all_used(bn, counter.count().norms, what);
    const float* values = logits.data_ptr<float>();
    for (std::int64_t i = 0; i < logits.size(0); ++i, values += logits.size(1))
      rows.emplace_back(values, values + logits.size(1));
  }
  return rows;
}

BnTensorMap calibrate_on(Supernet& net, const SubnetConfig& config, const TensorView& batch,
                         const std::string& name) {
  return net.calibrate({as_input(batch, name, net.space(), config.r).to(net.device())}, config);
}

}  // namespace dsn
