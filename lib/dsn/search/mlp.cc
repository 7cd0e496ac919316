// SPDX-License-Identifier: Apache-2.0
// A linear layer over rows is a 1x1 convolution over pixels: the engine's loop for those is used as it is.
#include "dsn/search/mlp.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {
namespace {

using elastic::blocks_of;
using elastic::Floats;
using elastic::kBlock;

constexpr std::int64_t kMostWidth = 1 << 16;

std::size_t padded(int channels) {
  return static_cast<std::size_t>(blocks_of(channels)) * kBlock;
}

// "12.weight" -> 12; nothing for other names.
std::optional<int> layer_number(const std::string& name) {
  const auto dot = name.find('.');
  int number = 0;
  const bool is_number = dot != std::string::npos &&
                         std::from_chars(name.data(), name.data() + dot, number).ptr == name.data() + dot;
  return is_number && number >= 0 && name.substr(dot) == ".weight" ? std::optional<int>(number)
                                                                   : std::nullopt;
}

[[noreturn]] void refuse(const std::string& file, const std::string& tensor, const TensorView& view,
                         const std::string& expected) {
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: {}: found {} [{}], expected {}", file, tensor, dtype_name(view.dtype),
                          fmt::join(view.shape, ", "), expected));
}

}  // namespace

Mlp Mlp::read(const std::map<std::string, TensorView>& tensors, const std::string& file) {
  std::map<int, std::string> names;
  for (const auto& [name, view] : tensors) {
    if (const auto number = layer_number(name)) names[*number] = name;
  }
  if (names.empty()) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found no linear layers, expected tensors 0.weight, 0.bias and so on", file));
  }
  Mlp mlp;
  mlp.kernels_ = &elastic::kernels_for();
  for (const auto& [number, name] : names) {
    const TensorView& weight = tensors.at(name);
    const std::string bias_name = fmt::format("{}.bias", number);
    if (tensors.count(bias_name) == 0)
      throw Error(ErrorCode::bad_input, fmt::format("{}: found no tensor {}, expected one", file, bias_name));
    const TensorView& bias = tensors.at(bias_name);
    const bool matrix = weight.dtype == DType::f32 && weight.shape.size() == 2 && weight.shape[0] > 0 &&
                        weight.shape[1] > 0 && weight.shape[0] <= kMostWidth && weight.shape[1] <= kMostWidth;
    if (!matrix) refuse(file, name, weight, "F32 [out, in]");
    if (!mlp.layers_.empty() && weight.shape[1] != mlp.layers_.back().out)
      refuse(file, name, weight, fmt::format("{} inputs, as the layer before gives", mlp.layers_.back().out));
    if (bias.dtype != DType::f32 || bias.shape != std::vector<std::int64_t>{weight.shape[0]})
      refuse(file, bias_name, bias, fmt::format("F32 [{}]", weight.shape[0]));
    Layer layer;
    layer.out = static_cast<int>(weight.shape[0]);
    layer.in = static_cast<int>(weight.shape[1]);
    const std::size_t panel = padded(layer.in) * kBlock;
    layer.weights = Floats(padded(layer.out) / kBlock * panel + elastic::kSlack);
    layer.scale = Floats(padded(layer.out));
    layer.bias = Floats(padded(layer.out));
    const auto values = weight.floats();
    for (std::size_t n = 0; n < static_cast<std::size_t>(layer.out); ++n) {
      for (std::size_t k = 0; k < static_cast<std::size_t>(layer.in); ++k) {
        layer.weights.data()[n / kBlock * panel + k * kBlock + n % kBlock] =
            values[n * static_cast<std::size_t>(layer.in) + k];
      }
      layer.scale.data()[n] = 1;
      layer.bias.data()[n] = bias.floats()[n];
    }
    mlp.layers_.push_back(std::move(layer));
  }
  return mlp;
}

Mlp::Work::Work(const Mlp& mlp, int rows) : rows_(rows) {
  const auto floats = [&](int width) {
    return padded(width) * static_cast<std::size_t>(rows) + elastic::kSlack;
  };
  input_ = Floats(floats(mlp.inputs()));
  int widest = 1;
  for (const Layer& layer : mlp.layers_) widest = std::max(widest, layer.out);
  first_ = Floats(floats(widest));
  second_ = Floats(floats(widest));
}

void Mlp::forward(Work& work, float* output, int outputs) const noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::ptrdiff_t block = std::ptrdiff_t{work.rows_} * kBlock;
  const std::ptrdiff_t tap = 0;
  const float* x = work.input_.data();
  float* y = work.first_.data();
  float* other = work.second_.data();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    elastic::ConvCall call;
    call.x = x;
    call.x_block = call.x_row = block;
    call.x_tap = &tap;
    call.in = layer.in;
    call.w = layer.weights.data();
    call.w_panel = static_cast<std::ptrdiff_t>(padded(layer.in)) * kBlock;
    call.scale = layer.scale.data();
    call.bias = layer.bias.data();
    call.y = y;
    call.y_block = call.residual_block = block;
    call.pixels = work.rows_;
    call.out = layer.out;
    call.epilogue.low = i + 1 < layers_.size() ? 0 : -kInfinity;
    call.epilogue.high = kInfinity;
    kernels_->conv(call);
    x = y;
    std::swap(y, other);
  }
  for (int n = 0; n < work.rows_; ++n) {
    for (int o = 0; o < outputs; ++o)
      output[n * outputs + o] = x[o / kBlock * block + n * kBlock + o % kBlock];
  }
}

}  // namespace dsn
