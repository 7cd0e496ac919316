// SPDX-License-Identifier: Apache-2.0
// A sub-network computed the plainest way, in double precision, from the tensors of a super-network: what
// fast executors are held against where there is no LibTorch. Weight sharing and units as supernet.h and
// network.h say.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/space/bn_stats.h"
#include "dsn/space/network.h"

namespace dsn::test {

class PlainNetwork {
 public:
  PlainNetwork(const SearchSpace& space, const TensorFile& file) : space_(space), file_(file) {}

  // One image: float32 [C, r, r]; returns logits [classes].
  [[nodiscard]] std::vector<float> logits(const SubnetConfig& config, const BnStats& bn, const float* image) {
    bn_ = &bn;
    const Network net = make_network(space_, config);
    Map x{net.in_channels, net.resolution, {}};
    x.v.assign(image, image + x.c * x.size * x.size);
    for (const Unit& unit : net.units) x = run(unit, x);
    return {x.v.begin(), x.v.end()};
  }

 private:
  struct Map {
    int c, size;
    std::vector<double> v;
    [[nodiscard]] double at(int channel, int y, int x) const {
      return y < 0 || x < 0 || y >= size || x >= size
                 ? 0
                 : v[static_cast<std::size_t>((channel * size + y) * size + x)];
    }
  };
  // w(out, in, ky, kx)
  using Weight = std::function<double(int, int, int, int)>;

  [[nodiscard]] Weight weight(const std::string& name) const {
    const TensorView& view = file_.at(name + ".weight");
    const float* data = view.floats().data();
    const int in = static_cast<int>(view.shape[1]),
              k = view.shape.size() == 4 ? static_cast<int>(view.shape[2]) : 1;
    return [=](int o, int i, int ky, int kx) {
      return static_cast<double>(data[((o * in + i) * k + ky) * k + kx]);
    };
  }
  [[nodiscard]] double value(const std::string& name, int i) const {
    return file_.at(name).floats()[static_cast<std::size_t>(i)];
  }

  static Map convolve(const Map& x, const Weight& w, int out, int kernel, int stride,
                      bool depthwise = false) {
    Map y{out, (x.size + stride - 1) / stride, {}};
    for (int o = 0; o < out; ++o) {
      for (int oy = 0; oy < y.size; ++oy) {
        for (int ox = 0; ox < y.size; ++ox) {
          double sum = 0;
          for (int i = depthwise ? o : 0; i < (depthwise ? o + 1 : x.c); ++i) {
            for (int ky = 0; ky < kernel; ++ky) {
              for (int kx = 0; kx < kernel; ++kx)
                sum += x.at(i, oy * stride + ky - kernel / 2, ox * stride + kx - kernel / 2) *
                       w(o, depthwise ? 0 : i, ky, kx);
            }
          }
          y.v.push_back(sum);
        }
      }
    }
    return y;
  }

  Map normed(Map x, const std::string& name, Activation act) const {
    for (int c = 0; c < x.c; ++c) {
      const auto i = static_cast<std::size_t>(c);
      const double mean = bn_->empty() ? value(name + ".running_mean", c) : bn_->at(name).mean[i];
      const double variance = bn_->empty() ? value(name + ".running_var", c) : bn_->at(name).variance[i];
      const double by = value(name + ".weight", c) / std::sqrt(variance + space_.bn_eps());
      each(x, c, [&](double v) { return activated((v - mean) * by + value(name + ".bias", c), act); });
    }
    return x;
  }

  template <typename F>
  static void each(Map& x, int c, F f) {
    const auto area = static_cast<std::size_t>(x.size * x.size);
    for (std::size_t i = 0; i < area; ++i)
      x.v[static_cast<std::size_t>(c) * area + i] = f(x.v[static_cast<std::size_t>(c) * area + i]);
  }

  static double activated(double v, Activation act) {
    switch (act) {
      case Activation::none:
        return v;
      case Activation::relu:
        return std::max(v, 0.0);
      case Activation::relu6:
        return std::clamp(v, 0.0, 6.0);
      case Activation::hswish:
        return v * std::clamp(v + 3, 0.0, 6.0) / 6;
    }
    return v;
  }

  Map layer(const Map& x, const std::string& name, int out, Activation act, int kernel = 1,
            int stride = 1) const {
    return normed(convolve(x, weight(name + ".conv"), out, kernel, stride), name + ".bn", act);
  }

  static void add(Map& x, const Map& y) {
    for (std::size_t i = 0; i < x.v.size(); ++i) x.v[i] += y.v[i];
  }

  static Map mean(const Map& x) {
    Map y{x.c, 1, {}};
    const auto area = static_cast<std::size_t>(x.size * x.size);
    for (int c = 0; c < x.c; ++c) {
      double sum = 0;
      for (std::size_t i = 0; i < area; ++i) sum += x.v[static_cast<std::size_t>(c) * area + i];
      y.v.push_back(sum / static_cast<double>(area));
    }
    return y;
  }

  // Windows of size x size; `average` or the largest.
  static Map pool(const Map& x, int size, int stride, int pad, bool average) {
    Map y{x.c, (x.size + stride - 1) / stride, {}};
    for (int c = 0; c < x.c; ++c) {
      for (int oy = 0; oy < y.size; ++oy) {
        for (int ox = 0; ox < y.size; ++ox) {
          double sum = 0, largest = -INFINITY;
          int n = 0;
          for (int iy = oy * stride - pad; iy < oy * stride - pad + size; ++iy) {
            for (int ix = ox * stride - pad; ix < ox * stride - pad + size; ++ix) {
              if (iy < 0 || ix < 0 || iy >= x.size || ix >= x.size) continue;
              sum += x.at(c, iy, ix);
              largest = std::max(largest, x.at(c, iy, ix));
              ++n;
            }
          }
          y.v.push_back(average ? sum / n : largest);
        }
      }
    }
    return y;
  }

  // The filter of one channel at `kernel`, through the transforms from the largest one.
  Weight depthwise(const Unit& unit) const {
    const std::string name = unit.name() + ".depth";
    const TensorView& view = file_.at(name + ".conv.weight");
    int size = static_cast<int>(view.shape[2]);
    std::vector<double> filters(view.floats().begin(), view.floats().end());
    while (size > unit.kernel) {
      int next = unit.kernel;
      while (!file_.has(fmt::format("{}.transform_{}to{}", name, size, next))) ++next;
      const auto matrix = file_.at(fmt::format("{}.transform_{}to{}", name, size, next)).floats();
      std::vector<double> smaller;
      const int margin = (size - next) / 2, area = next * next;
      for (std::int64_t c = 0; c < view.shape[0]; ++c) {
        for (int to = 0; to < area; ++to) {
          double sum = 0;
          for (int from = 0; from < area; ++from)
            sum += filters[static_cast<std::size_t>((c * size + from / next + margin) * size + from % next +
                                                    margin)] *
                   matrix[static_cast<std::size_t>(to * area + from)];
          smaller.push_back(sum);
        }
      }
      filters = std::move(smaller);
      size = next;
    }
    return [=](int o, int, int ky, int kx) {
      return filters[static_cast<std::size_t>((o * size + ky) * size + kx)];
    };
  }

  Map biased(Map x, const std::string& name, const std::function<double(double)>& act) const {
    for (int c = 0; c < x.c; ++c) each(x, c, [&](double v) { return act(v + value(name + ".bias", c)); });
    return x;
  }

  Map mbconv(const Unit& unit, const Map& input) const {
    const std::string name = unit.name();
    Map x = unit.expands ? layer(input, name + ".expand", unit.mid_channels, unit.act) : input;
    x = normed(convolve(x, depthwise(unit), unit.mid_channels, unit.kernel, unit.stride, true),
               name + ".depth.bn", unit.act);
    if (unit.se_channels > 0) {
      Map gate = biased(convolve(mean(x), weight(name + ".se.reduce"), unit.se_channels, 1, 1),
                        name + ".se.reduce", [](double v) { return std::max(v, 0.0); });
      gate = biased(convolve(gate, weight(name + ".se.expand"), unit.mid_channels, 1, 1), name + ".se.expand",
                    [](double v) { return std::clamp(v / 6 + 0.5, 0.0, 1.0); });
      for (int c = 0; c < x.c; ++c)
        each(x, c, [&](double v) { return v * gate.v[static_cast<std::size_t>(c)]; });
    }
    x = layer(x, name + ".project", unit.out_channels, Activation::none);
    if (unit.residual) add(x, input);
    return x;
  }

  Map bottleneck(const Unit& unit, const Map& input) const {
    const std::string name = unit.name();
    Map x = layer(input, name + ".conv1", unit.mid_channels, unit.act);
    x = layer(x, name + ".conv2", unit.mid_channels, unit.act, unit.kernel, unit.stride);
    x = layer(x, name + ".conv3", unit.out_channels, Activation::none);
    add(x, unit.residual ? input
                         : layer(pool(input, unit.stride, unit.stride, 0, true), name + ".shortcut",
                                 unit.out_channels, Activation::none));
    for (double& v : x.v) v = activated(v, unit.act);
    return x;
  }

  Map run(const Unit& unit, const Map& input) const {
    const std::string name = unit.name();
    switch (unit.kind) {
      case UnitKind::stem:
      case UnitKind::final_expand:
        return layer(input, name, unit.out_channels, unit.act, unit.kernel, unit.stride);
      case UnitKind::stem_residual: {
        Map x = layer(input, name, unit.out_channels, unit.act, unit.kernel);
        add(x, input);
        return x;
      }
      case UnitKind::stem_pool:
        return pool(layer(input, name, unit.out_channels, unit.act, unit.kernel), 3, 2, 1, false);
      case UnitKind::mbconv:
        return mbconv(unit, input);
      case UnitKind::bottleneck:
        return bottleneck(unit, input);
      case UnitKind::feature_mix: {
        Map x = convolve(mean(input), weight(name), unit.out_channels, 1, 1);
        for (double& v : x.v) v = activated(v, unit.act);
        return x;
      }
      case UnitKind::classifier:
        return biased(convolve(mean(input), weight(name), unit.out_channels, 1, 1), name,
                      [](double v) { return v; });
    }
    return input;
  }

  const SearchSpace& space_;
  const TensorFile& file_;
  const BnStats* bn_ = nullptr;
};

}  // namespace dsn::test
