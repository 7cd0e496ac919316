// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/plain_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// What a layer gives for one image: [channels, size, size].
struct Plane {
  int channels = 0, size = 0;
  std::vector<float> values;

  Plane(int c, int s)
      : channels(c),
        size(s),
        values(static_cast<std::size_t>(c) * static_cast<std::size_t>(s) * static_cast<std::size_t>(s)) {}
  [[nodiscard]] const float* row(int c, int y) const { return values.data() + offset(c, y); }
  [[nodiscard]] float* row(int c, int y) { return values.data() + offset(c, y); }
  [[nodiscard]] std::size_t offset(int c, int y) const {
    return (static_cast<std::size_t>(c) * static_cast<std::size_t>(size) + static_cast<std::size_t>(y)) *
           static_cast<std::size_t>(size);
  }
};

// Outputs x in [first, last) for which x * stride + shift lies in [0, size).
struct Reach {
  int first, last;
  Reach(int shift, int stride, int size, int out)
      : first(shift >= 0 ? 0 : (-shift + stride - 1) / stride),
        last(std::min(out, size - 1 - shift < 0 ? 0 : (size - 1 - shift) / stride + 1)) {}
};

void conv(const Layer& layer, const Plane& in, Plane& out) {
  const int per_group = layer.channels / layer.groups, in_group = in.channels / layer.groups,
            k = layer.kernel;
  const float* weight = layer.weight.data();
  for (int o = 0; o < out.channels; ++o) {
    std::fill_n(out.row(o, 0), out.size * out.size, layer.bias[static_cast<std::size_t>(o)]);
    for (int i = 0; i < in_group; ++i) {
      const int channel = o / per_group * in_group + i;
      for (int ky = 0; ky < k; ++ky) {
        const Reach rows(ky - layer.padding, layer.stride, in.size, out.size);
        for (int kx = 0; kx < k; ++kx) {
          const float w = *weight++;
          const int shift = kx - layer.padding;
          const Reach columns(shift, layer.stride, in.size, out.size);
          for (int y = rows.first; y < rows.last; ++y) {
            const float* from = in.row(channel, y * layer.stride + ky - layer.padding);
            float* to = out.row(o, y);
            for (int x = columns.first; x < columns.last; ++x) to[x] += w * from[x * layer.stride + shift];
          }
        }
      }
    }
  }
}

void linear(const Layer& layer, const Plane& in, Plane& out) {
  for (std::size_t o = 0; o < out.values.size(); ++o) {
    const auto row = layer.weight.begin() + static_cast<std::ptrdiff_t>(o * in.values.size());
    out.values[o] = std::inner_product(in.values.begin(), in.values.end(), row, layer.bias[o]);
  }
}

// window(largest, sum, count of the values inside the image) of each window.
template <typename Window>
void pool(const Layer& layer, const Plane& in, Plane& out, const Window& window) {
  for (int c = 0; c < out.channels; ++c) {
    for (int y = 0; y < out.size; ++y) {
      for (int x = 0; x < out.size; ++x) {
        const int top = y * layer.stride - layer.padding, left = x * layer.stride - layer.padding;
        float largest = -std::numeric_limits<float>::infinity(), sum = 0;
        int count = 0;
        for (int yy = std::max(0, top); yy < std::min(in.size, top + layer.kernel); ++yy) {
          for (int xx = std::max(0, left); xx < std::min(in.size, left + layer.kernel); ++xx) {
            largest = std::max(largest, in.row(c, yy)[xx]);
            sum += in.row(c, yy)[xx];
            ++count;
          }
        }
        out.row(c, y)[x] = window(largest, sum, count);
      }
    }
  }
}

template <typename F>
void each(const Plane& in, Plane& out, const F& f) {
  std::transform(in.values.begin(), in.values.end(), out.values.begin(), f);
}

float hsigmoid(float x) {
  return std::min(std::max(x / 6.F + 0.5F, 0.F), 1.F);
}

Plane run_layer(const Layer& layer, const Plane& in, const Plane* second) {
  Plane out(layer.channels, layer.size);
  switch (layer.kind) {
    case LayerKind::conv:
      conv(layer, in, out);
      break;
    case LayerKind::linear:
      linear(layer, in, out);
      break;
    case LayerKind::relu:
      each(in, out, [](float x) { return std::max(x, 0.F); });
      break;
    case LayerKind::relu6:
      each(in, out, [](float x) { return std::min(std::max(x, 0.F), 6.F); });
      break;
    case LayerKind::hswish:
      each(in, out, [](float x) { return x * hsigmoid(x); });
      break;
    case LayerKind::hsigmoid:
      each(in, out, hsigmoid);
      break;
    case LayerKind::add:
      std::transform(in.values.begin(), in.values.end(), second->values.begin(), out.values.begin(),
                     std::plus<>());
      break;
    case LayerKind::multiply:
      for (int c = 0; c < out.channels; ++c) {
        const float factor = second->values[static_cast<std::size_t>(c)];
        std::transform(in.row(c, 0), in.row(c, 0) + in.size * in.size, out.row(c, 0),
                       [factor](float x) { return x * factor; });
      }
      break;
    case LayerKind::max_pool:
      pool(layer, in, out, [](float largest, float, int) { return largest; });
      break;
    case LayerKind::avg_pool:
      pool(layer, in, out, [](float, float sum, int count) { return sum / static_cast<float>(count); });
      break;
    case LayerKind::global_avg_pool:
      for (int c = 0; c < out.channels; ++c) {
        const double sum = std::accumulate(in.row(c, 0), in.row(c, 0) + in.size * in.size, 0.0);
        *out.row(c, 0) = static_cast<float>(sum / (in.size * in.size));
      }
      break;
  }
  return out;
}

struct Shape {
  int channels, size;
};

// Throws unless `layer` fits what its inputs give.
void check_layer(const Layer& layer, const std::map<std::string, Shape>& known) {
  const auto require = [&](bool fits, const std::string& what) {
    if (!fits) throw Error(ErrorCode::bad_input, fmt::format("layer {}: {}", layer.name, what));
  };
  const bool two = layer.kind == LayerKind::add || layer.kind == LayerKind::multiply;
  require(layer.inputs.size() == (two ? 2U : 1U),
          fmt::format("found {} inputs, expected {}", layer.inputs.size(), two ? 2 : 1));
  for (const std::string& input : layer.inputs)
    require(known.count(input) != 0, fmt::format("found input {}, expected a layer before it", input));
  require(known.count(layer.name) == 0, "found the name twice");
  require(layer.channels > 0 && layer.size > 0 && layer.kernel > 0 && layer.stride > 0 &&
              layer.padding >= 0 && layer.groups > 0,
          "found a shape that is not positive");
  const Shape in = known.at(layer.inputs[0]);
  int channels = in.channels, size = in.size;
  std::vector<std::int64_t> weight_shape;
  switch (layer.kind) {
    case LayerKind::conv:
      require(in.channels % layer.groups == 0 && layer.channels % layer.groups == 0,
              fmt::format("found {} groups, expected a divisor of its channels", layer.groups));
      channels = layer.channels;
      size = (in.size + 2 * layer.padding - layer.kernel) / layer.stride + 1;
      weight_shape = {layer.channels, in.channels / layer.groups, layer.kernel, layer.kernel};
      break;
    case LayerKind::linear:
      channels = layer.channels;
      size = 1;
      weight_shape = {layer.channels, std::int64_t{in.channels} * in.size * in.size};
      break;
    case LayerKind::max_pool:
      size = (in.size + 2 * layer.padding - layer.kernel) / layer.stride + 1;
      break;
    case LayerKind::avg_pool:
      size = (in.size - layer.kernel + layer.stride - 1) / layer.stride + 1;
      break;
    case LayerKind::global_avg_pool:
      size = 1;
      break;
    case LayerKind::add:
    case LayerKind::multiply: {
      const Shape other = known.at(layer.inputs[1]);
      const int wanted = layer.kind == LayerKind::add ? in.size : 1;
      require(other.channels == in.channels && other.size == wanted, "found inputs of different shapes");
      break;
    }
    default:
      break;
  }
  require(layer.channels == channels && layer.size == size,
          fmt::format("found output [{}, {}, {}], expected [{}, {}, {}]", layer.channels, layer.size,
                      layer.size, channels, size, size));
  std::size_t values = weight_shape.empty() ? 0 : 1;
  for (const std::int64_t n : weight_shape) values *= static_cast<std::size_t>(n);
  require(layer.weight_shape == weight_shape && layer.weight.size() == values,
          "found weights of another shape");
  require(layer.bias.size() == (weight_shape.empty() ? 0U : static_cast<std::size_t>(channels)),
          "found a bias of another size");
}

std::vector<float> run_image(const FoldedNetwork& net, std::span<const float> image) {
  std::map<std::string, Plane> given;
  Plane input(net.in_channels, net.resolution);
  std::copy(image.begin(), image.end(), input.values.begin());
  given.emplace(FoldedNetwork::kInput, std::move(input));
  for (const Layer& layer : net.layers) {
    const Plane* second = layer.inputs.size() > 1 ? &given.at(layer.inputs[1]) : nullptr;
    given.emplace(layer.name, run_layer(layer, given.at(layer.inputs[0]), second));
  }
  return std::move(given.at(net.layers.back().name).values);
}

}  // namespace

void check_layers(const FoldedNetwork& net) {
  std::map<std::string, Shape> known{{FoldedNetwork::kInput, {net.in_channels, net.resolution}}};
  for (const Layer& layer : net.layers) {
    check_layer(layer, known);
    known[layer.name] = {layer.channels, layer.size};
  }
  if (net.layers.empty() || net.layers.back().channels != net.classes || net.layers.back().size != 1) {
    throw Error(ErrorCode::bad_input,
                fmt::format("layers: found no last one that gives {} logits", net.classes));
  }
}

std::vector<float> run_plain(const FoldedNetwork& net, std::span<const float> input, int batch) {
  check_layers(net);
  const auto image = static_cast<std::size_t>(net.in_channels) * static_cast<std::size_t>(net.resolution) *
                     static_cast<std::size_t>(net.resolution);
  if (batch < 1 || input.size() != image * static_cast<std::size_t>(batch)) {
    throw Error(ErrorCode::bad_usage, fmt::format("found {} inputs, expected {} for batch {}", input.size(),
                                                  image * static_cast<std::size_t>(batch), batch));
  }
  std::vector<float> logits;
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i) {
    const auto one = run_image(net, input.subspan(i * image, image));
    logits.insert(logits.end(), one.begin(), one.end());
  }
  return logits;
}

}  // namespace dsn
