// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/folded_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/supernet/tensor_shapes.h"

namespace dsn {
namespace {

// The first `out` x `in` channels of a weight [O, I, k, k] or [O, I].
std::vector<float> slice(const TensorView& view, int out, int in) {
  const auto all = view.floats();
  const auto shared_in = static_cast<std::size_t>(view.shape[1]);
  const std::size_t area =
      view.shape.size() == 4 ? static_cast<std::size_t>(view.shape[2] * view.shape[3]) : 1;
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(out) * static_cast<std::size_t>(in) * area);
  for (std::size_t o = 0; o < static_cast<std::size_t>(out); ++o) {
    const auto row = all.subspan(o * shared_in * area, static_cast<std::size_t>(in) * area);
    values.insert(values.end(), row.begin(), row.end());
  }
  return values;
}

void require_shapes(const SearchSpace& space, const TensorFile& weights) {
  for (const auto& [name, shape] : tensor_shapes(space)) {
    const TensorView& view = weights.at(name);
    if (view.dtype == DType::f32 && view.shape == shape) continue;
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: {}: found shape [{}], expected float32 [{}] for space {}", weights.file(),
                            name, fmt::join(view.shape, ", "), fmt::join(shape, ", "), space.name()),
                "the weights are of another search space or width multiplier");
  }
}

class Folder {
 public:
  Folder(const SearchSpace& space, const TensorFile& weights, const LevelSpec& level)
      : space_(space), weights_(weights), level_(level) {}

  FoldedNetwork fold() {
    const Network network = make_network(space_, level_.config);
    net_.resolution = network.resolution;
    net_.in_channels = channels_ = network.in_channels;
    net_.classes = network.classes;
    size_ = network.resolution;
    last_ = FoldedNetwork::kInput;
    for (const Unit& unit : network.units) add(unit);
    if (!level_.bn.empty() && level_.bn.size() != norms_) {
      throw Error(ErrorCode::mismatch,
                  fmt::format("found statistics of {} batch norms, expected those of the {} of {}",
                              level_.bn.size(), norms_, space_.describe(level_.config)),
                  "they are of another sub-network: calibrate this one (dsn search does)");
    }
    return std::move(net_);
  }

 private:
  [[nodiscard]] std::span<const float> floats(const std::string& name) const {
    return weights_.at(name).floats();
  }

  // Appends a layer after the last one; it keeps the last one's shape until told otherwise.
  Layer& append(LayerKind kind, std::string name) {
    Layer layer;
    layer.kind = kind;
    layer.name = std::move(name);
    layer.inputs = {last_};
    layer.channels = channels_;
    layer.size = size_;
    last_ = layer.name;
    return net_.layers.emplace_back(std::move(layer));
  }

  void activate(Activation act) {
    const std::string name = fmt::format("{}.{}", last_, to_string(act));
    switch (act) {
      case Activation::none:
        return;
      case Activation::relu:
        append(LayerKind::relu, name);
        return;
      case Activation::relu6:
        append(LayerKind::relu6, name);
        return;
      case Activation::hswish:
        append(LayerKind::hswish, name);
        return;
    }
  }

  struct Conv {
    int out = 0, kernel = 1, stride = 1, groups = 1;
  };

  Layer& append_conv(const std::string& name, const Conv& conv, std::vector<float> weight) {
    const int in = channels_ / conv.groups;
    Layer& layer = append(LayerKind::conv, name);
    layer.channels = channels_ = conv.out;
    layer.size = size_ = (size_ + conv.stride - 1) / conv.stride;
    layer.kernel = conv.kernel;
    layer.stride = conv.stride;
    layer.padding = conv.kernel / 2;
    layer.groups = conv.groups;
    layer.weight_shape = {conv.out, in, conv.kernel, conv.kernel};
    layer.weight = std::move(weight);
    layer.bias.assign(static_cast<std::size_t>(conv.out), 0.F);
    return layer;
  }

  // A convolution with its batch norm folded in.
  void conv_norm(const std::string& name, const Conv& conv, std::vector<float> weight,
                 const std::string& bn) {
    Layer& layer = append_conv(name, conv, std::move(weight));
    std::span<const float> mean, variance;
    const auto channels = static_cast<std::size_t>(conv.out);
    if (level_.bn.empty()) {
      mean = floats(bn + ".running_mean").first(channels);
      variance = floats(bn + ".running_var").first(channels);
    } else {
      const auto own = level_.bn.find(bn);
      const std::size_t found = own == level_.bn.end() ? 0 : own->second.mean.size();
      if (found != channels || own->second.variance.size() != channels) {
        throw Error(
            ErrorCode::mismatch,
            fmt::format("batch-norm statistics of {}: found {} channels, expected {}", bn, found, channels),
            "they are of another sub-network: calibrate this one (dsn search does)");
      }
      mean = own->second.mean;
      variance = own->second.variance;
    }
    ++norms_;
    const auto gamma = floats(bn + ".weight"), beta = floats(bn + ".bias");
    const std::size_t per_channel = layer.weight.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
      const double scale = gamma[c] / std::sqrt(static_cast<double>(variance[c]) + space_.bn_eps());
      for (std::size_t i = 0; i < per_channel; ++i) {
        float& w = layer.weight[c * per_channel + i];
        w = static_cast<float>(w * scale);
      }
      layer.bias[c] = static_cast<float>(beta[c] - mean[c] * scale);
    }
  }

  void layer_norm_act(const std::string& name, const Conv& conv, Activation act) {
    conv_norm(name, conv, slice(weights_.at(name + ".conv.weight"), conv.out, channels_), name + ".bn");
    activate(act);
  }

  // A 1x1 convolution with a bias of its own, or none.
  void plain_conv(const std::string& name, int out, bool bias) {
    Layer& layer = append_conv(name, {out}, slice(weights_.at(name + ".weight"), out, channels_));
    if (!bias) return;
    const auto values = floats(name + ".bias").first(static_cast<std::size_t>(out));
    layer.bias.assign(values.begin(), values.end());
  }

  void add_to(const std::string& other, const std::string& name) {
    append(LayerKind::add, name).inputs.push_back(other);
  }

  void global_pool(const std::string& name) { append(LayerKind::global_avg_pool, name).size = size_ = 1; }

  // Depthwise weight of a unit: the first channels, then the centre of each larger kernel through its learned
  // transform, as Supernet::depthwise_weight().
  [[nodiscard]] std::vector<float> depthwise_weight(const Unit& unit) const {
    const TensorView& shared = weights_.at(unit.name() + ".depth.conv.weight");
    std::vector<float> weight = slice(shared, unit.mid_channels, 1);
    if (unit.block < 0) return weight;
    const auto& kernels = space_.stages()[static_cast<std::size_t>(space_.stage_of(unit.block))].kernel;
    for (std::size_t i = kernels.size(); i-- > 1 && kernels[i] > unit.kernel;) {
      const auto from = static_cast<std::size_t>(kernels[i]), to = static_cast<std::size_t>(kernels[i - 1]);
      const auto transform = floats(fmt::format("{}.depth.transform_{}to{}", unit.name(), from, to));
      const std::size_t margin = (from - to) / 2, area = to * to;
      std::vector<float> smaller(static_cast<std::size_t>(unit.mid_channels) * area);
      for (std::size_t c = 0; c < static_cast<std::size_t>(unit.mid_channels); ++c) {
        for (std::size_t o = 0; o < area; ++o) {
          double sum = 0;
          for (std::size_t y = 0; y < to; ++y) {
            for (std::size_t x = 0; x < to; ++x) {
              sum += static_cast<double>(weight[(c * from + y + margin) * from + x + margin]) *
                     transform[o * area + y * to + x];
            }
          }
          smaller[c * area + o] = static_cast<float>(sum);
        }
      }
      weight = std::move(smaller);
    }
    return weight;
  }

  void squeeze_excite(const std::string& name, const Unit& unit) {
    const std::string input = last_;
    const int size = size_;
    global_pool(name + ".se.pool");
    plain_conv(name + ".se.reduce", unit.se_channels, true);
    append(LayerKind::relu, name + ".se.relu");
    plain_conv(name + ".se.expand", unit.mid_channels, true);
    const std::string gate = append(LayerKind::hsigmoid, name + ".se.gate").name;
    last_ = input;
    size_ = size;
    append(LayerKind::multiply, name + ".se").inputs.push_back(gate);
  }

  void mbconv(const Unit& unit) {
    const std::string input = last_, name = unit.name();
    if (unit.expands) layer_norm_act(name + ".expand", {unit.mid_channels}, unit.act);
    conv_norm(name + ".depth", {unit.mid_channels, unit.kernel, unit.stride, unit.mid_channels},
              depthwise_weight(unit), name + ".depth.bn");
    activate(unit.act);
    if (unit.se_channels > 0) squeeze_excite(name, unit);
    layer_norm_act(name + ".project", {unit.out_channels}, Activation::none);
    if (unit.residual) add_to(input, name + ".add");
  }

  void bottleneck(const Unit& unit) {
    const std::string input = last_, name = unit.name();
    const int in_channels = channels_, in_size = size_;
    layer_norm_act(name + ".conv1", {unit.mid_channels}, unit.act);
    layer_norm_act(name + ".conv2", {unit.mid_channels, unit.kernel, unit.stride}, unit.act);
    layer_norm_act(name + ".conv3", {unit.out_channels}, Activation::none);
    std::string other = input;
    if (!unit.residual) {
      const std::string main = last_;
      last_ = input;
      channels_ = in_channels;
      size_ = in_size;
      if (unit.stride > 1) {
        Layer& pool = append(LayerKind::avg_pool, name + ".shortcut.pool");
        pool.kernel = pool.stride = unit.stride;
        pool.size = size_ = (size_ + unit.stride - 1) / unit.stride;
      }
      layer_norm_act(name + ".shortcut", {unit.out_channels}, Activation::none);
      other = std::exchange(last_, main);
    }
    add_to(other, name + ".add");
    activate(unit.act);
  }

  void add(const Unit& unit) {
    const std::string input = last_, name = unit.name();
    switch (unit.kind) {
      case UnitKind::stem:
      case UnitKind::final_expand:
        layer_norm_act(name, {unit.out_channels, unit.kernel, unit.stride}, unit.act);
        break;
      case UnitKind::stem_residual:
        layer_norm_act(name, {unit.out_channels, unit.kernel, unit.stride}, unit.act);
        add_to(input, name + ".add");
        break;
      case UnitKind::stem_pool: {
        layer_norm_act(name, {unit.out_channels, unit.kernel, unit.stride}, unit.act);
        Layer& pool = append(LayerKind::max_pool, name + ".pool");
        pool.kernel = 3;
        pool.stride = 2;
        pool.padding = 1;
        pool.size = size_ = (size_ + 1) / 2;
        break;
      }
      case UnitKind::mbconv:
        mbconv(unit);
        break;
      case UnitKind::bottleneck:
        bottleneck(unit);
        break;
      case UnitKind::feature_mix:
        global_pool(name + ".pool");
        plain_conv(name, unit.out_channels, false);
        activate(unit.act);
        break;
      case UnitKind::classifier: {
        if (unit.in_size > 1) global_pool(name + ".pool");
        Layer& linear = append(LayerKind::linear, name);
        linear.weight = slice(weights_.at(name + ".weight"), unit.out_channels, channels_);
        linear.weight_shape = {unit.out_channels, channels_};
        const auto bias = floats(name + ".bias");
        linear.bias.assign(bias.begin(), bias.end());
        linear.channels = channels_ = unit.out_channels;
        linear.size = 1;
        break;
      }
    }
  }

  const SearchSpace& space_;
  const TensorFile& weights_;
  const LevelSpec& level_;
  FoldedNetwork net_;
  std::string last_;             // the layer that gives what comes next takes
  int channels_ = 0, size_ = 0;  // of it
  std::size_t norms_ = 0;        // batch norms folded
};

}  // namespace

std::string_view to_string(LayerKind kind) noexcept {
  switch (kind) {
    case LayerKind::conv:
      return "conv";
    case LayerKind::linear:
      return "linear";
    case LayerKind::relu:
      return "relu";
    case LayerKind::relu6:
      return "relu6";
    case LayerKind::hswish:
      return "hswish";
    case LayerKind::hsigmoid:
      return "hsigmoid";
    case LayerKind::add:
      return "add";
    case LayerKind::multiply:
      return "multiply";
    case LayerKind::max_pool:
      return "max_pool";
    case LayerKind::avg_pool:
      return "avg_pool";
    case LayerKind::global_avg_pool:
      return "global_avg_pool";
  }
  return "";
}

std::int64_t FoldedNetwork::weight_bytes() const noexcept {
  std::size_t values = 0;
  for (const Layer& layer : layers) values += layer.weight.size() + layer.bias.size();
  return static_cast<std::int64_t>(values * sizeof(float));
}

FoldedNetwork fold_network(const SearchSpace& space, const TensorFile& weights, const LevelSpec& level) {
  require_shapes(space, weights);
  return Folder(space, weights, level).fold();
}

}  // namespace dsn
