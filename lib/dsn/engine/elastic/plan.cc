// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/elastic/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/core/error.h"

namespace dsn::elastic {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr const char* kHint = "they are of another sub-network: calibrate this one (dsn search does)";

Epilogue epilogue_of(Activation act) {
  switch (act) {
    case Activation::none:
      return {-kInfinity, kInfinity};
    case Activation::relu:
      return {0, kInfinity};
    case Activation::relu6:
      return {0, 6};
    case Activation::hswish:
      return {0, 0, true};
  }
  return {};
}

// Builds a plan twice: first to count its constants, then to write them.
class Planner {
 public:
  Planner(const SearchSpace& space, const Weights& weights, const BnStats& bn, LevelPlan& plan)
      : space_(space), weights_(weights), bn_(bn), plan_(plan) {}

  void build(const std::string& name) {
    for (const bool writing : {false, true}) {
      if (writing) plan_.constants = Floats(used_);
      writing_ = writing;
      used_ = norms_ = 0;
      params_ = 0;
      plan_.units.clear();
      bool pooled = false;
      for (const Unit& unit : plan_.network.units) {
        plan_.units.push_back(unit_of(unit));
        plan_.units.back().from_vector = pooled;
        pooled = unit.kind == UnitKind::feature_mix;
      }
    }
    if (!bn_.empty() && bn_.size() != norms_) {
      throw Error(ErrorCode::mismatch,
                  fmt::format("{}: found statistics of {} batch norms, expected those of its {}", name,
                              bn_.size(), norms_),
                  kHint);
    }
    require("multiply-accumulates", name, plan_.macs(), plan_.network.macs());
    require("parameters", name, params_, plan_.network.params());
  }

 private:
  static void require(const char* what, const std::string& name, std::int64_t found, std::int64_t expected) {
    if (found == expected) return;
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: the activated network has {} {}, expected {} for its configuration", name,
                            found, what, expected),
                "another sub-network would run than the one that was asked for");
  }

  // Room for `count` values, padded with zeros to whole blocks: what is beyond the last channel stays zero.
  float* constants(int count) {
    float* at = writing_ ? plan_.constants.data() + used_ : nullptr;
    used_ += static_cast<std::size_t>(blocks_of(count) * kBlock);
    return at;
  }

  struct Affine {
    const float *scale, *bias;
  };

  Affine norm(const std::string& name, int channels) {
    float *scale = constants(channels), *bias = constants(channels);
    ++norms_;
    params_ += 2 * std::int64_t{channels};
    std::span<const float> mean, variance;
    if (bn_.empty()) {
      mean = weights_.vector(name + ".running_mean");
      variance = weights_.vector(name + ".running_var");
    } else {
      const BnLayerStats& own = statistics(name, channels);
      mean = own.mean;
      variance = own.variance;
    }
    if (!writing_) return {};
    const auto gamma = weights_.vector(name + ".weight"), beta = weights_.vector(name + ".bias");
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const double by = gamma[c] / std::sqrt(variance[c] + space_.bn_eps());
      scale[c] = static_cast<float>(by);
      bias[c] = static_cast<float>(beta[c] - mean[c] * by);
    }
    return {scale, bias};
  }

  const BnLayerStats& statistics(const std::string& name, int channels) const {
    const auto it = bn_.find(name);
    const auto wanted = static_cast<std::size_t>(channels);
    const std::size_t found = it == bn_.end() ? 0 : it->second.mean.size();
    if (found == wanted && it->second.variance.size() == wanted) return it->second;
    throw Error(ErrorCode::mismatch,
                fmt::format("batch-norm statistics of {}: found {}, expected {} channels", name,
                            it == bn_.end() ? "none" : fmt::format("{} channels", found), channels),
                kHint);
  }

  // y = sum * scale + bias * bias_by + offset: `bias` of the file, or none.
  Affine plain(int channels, const std::string& bias, float scale_by, float bias_by = 1, float offset = 0) {
    float *scale = constants(channels), *shift = constants(channels);
    if (!bias.empty()) params_ += channels;
    if (!writing_) return {};
    const std::span<const float> values = bias.empty() ? std::span<const float>() : weights_.vector(bias);
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      scale[c] = scale_by;
      shift[c] = (values.empty() ? 0 : values[c] * bias_by) + offset;
    }
    return {scale, shift};
  }

  ConvStep step(const std::string& weight, Affine affine, int out, int in, Activation act, int kernel = 1,
                int stride = 1) {
    ConvStep s{weights_.conv(weight), affine.scale, affine.bias, in, out, kernel, stride, epilogue_of(act)};
    params_ += std::int64_t{in} * out * kernel * kernel;
    return s;
  }

  ConvStep layer(const std::string& name, int out, int in, Activation act, int kernel = 1, int stride = 1) {
    return step(name + ".conv", norm(name + ".bn", out), out, in, act, kernel, stride);
  }

  UnitPlan unit_of(const Unit& unit) {
    UnitPlan p;
    const std::string name = unit.name();
    const int in = unit.in_channels, mid = unit.mid_channels, out = unit.out_channels;
    switch (unit.kind) {
      case UnitKind::stem:
      case UnitKind::stem_residual:
      case UnitKind::stem_pool:
        p.project = layer(name, out, in, unit.act, unit.kernel, unit.stride);
        p.project.epilogue.add_after = unit.kind == UnitKind::stem_residual;
        break;
      case UnitKind::final_expand:
        p.project = layer(name, out, in, unit.act);
        break;
      case UnitKind::feature_mix:
        p.project = step(name, plain(out, "", averaging(unit)), out, in, unit.act);
        break;
      case UnitKind::classifier:
        p.project = step(name, plain(out, name + ".bias", averaging(unit)), out, in, Activation::none);
        break;
      case UnitKind::bottleneck:
        p.expand = layer(name + ".conv1", mid, in, unit.act);
        p.middle = layer(name + ".conv2", mid, mid, unit.act, unit.kernel, unit.stride);
        p.project = layer(name + ".conv3", out, mid, unit.act);
        if (!unit.residual) p.shortcut = layer(name + ".shortcut", out, in, Activation::none);
        break;
      case UnitKind::mbconv:
        mbconv(p, unit, name);
        break;
    }
    return p;
  }

  void mbconv(UnitPlan& p, const Unit& unit, const std::string& name) {
    const int in = unit.in_channels, mid = unit.mid_channels, out = unit.out_channels, se = unit.se_channels;
    if (unit.expands) p.expand = layer(name + ".expand", mid, in, unit.act);
    const Affine depth = norm(name + ".depth.bn", mid);
    p.depth = {weights_.depthwise(name, unit.kernel),
               depth.scale,
               depth.bias,
               mid,
               unit.kernel,
               unit.stride,
               epilogue_of(unit.act)};
    params_ += std::int64_t{mid} * unit.kernel * unit.kernel;
    if (se > 0) {
      const auto pixels = static_cast<float>(unit.out_size * unit.out_size);
      p.se_reduce = step(name + ".se.reduce", plain(se, name + ".se.reduce.bias", 1 / pixels), se, mid,
                         Activation::relu);
      // Hard sigmoid: clamp(x / 6 + 1/2, 0, 1).
      p.se_expand = step(name + ".se.expand", plain(mid, name + ".se.expand.bias", 1.0F / 6, 1.0F / 6, 0.5F),
                         mid, se, Activation::none);
      p.se_expand.epilogue = {0, 1};
    }
    p.project = layer(name + ".project", out, mid, Activation::none);
  }

  // Pooling gives sums; the layer after it divides.
  static float averaging(const Unit& unit) { return 1.0F / static_cast<float>(unit.in_size * unit.in_size); }

  const SearchSpace& space_;
  const Weights& weights_;
  const BnStats& bn_;
  LevelPlan& plan_;
  bool writing_ = false;
  std::size_t used_ = 0, norms_ = 0;
  std::int64_t params_ = 0;
};

std::size_t map_floats(int channels, int size) {
  return static_cast<std::size_t>(blocks_of(channels) * kBlock) * static_cast<std::size_t>(size * size);
}

int strided(int size, int stride) {
  return (size + stride - 1) / stride;
}

std::size_t padded_floats(int size, const ConvStep& step) {
  const PaddedShape shape(size, step.kernel, step.stride);
  const auto channels = static_cast<std::size_t>(blocks_of(step.in) * kBlock);
  return channels * static_cast<std::size_t>(shape.rows) * static_cast<std::size_t>(shape.row);
}

}  // namespace

PaddedShape::PaddedShape(int size, int kernel, int stride)
    : pad(kernel / 2),
      rows(size + 2 * pad),
      part(strided(size + 2 * pad, stride)),
      row(std::ptrdiff_t{part} * stride) {}

RingShape::RingShape(int size, int kernel, int stride)
    : rows(std::min(size, kernel + stride)), row(size + 2 * (kernel / 2)) {}

std::int64_t LevelPlan::macs() const noexcept {
  std::int64_t total = 0;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const UnitPlan& p = units[i];
    const std::int64_t in = network.units[i].in_size;
    const auto add = [&](const ConvStep& s, std::int64_t size) {
      total += std::int64_t{s.in} * s.out * s.kernel * s.kernel * size * size;
    };
    const UnitKind kind = network.units[i].kind;
    const bool block = kind == UnitKind::mbconv || kind == UnitKind::bottleneck;
    const bool head = kind == UnitKind::feature_mix || kind == UnitKind::classifier;
    const int stride = p.depth.channels > 0 ? p.depth.stride : block ? p.middle.stride : p.project.stride;
    const std::int64_t out = strided(static_cast<int>(in), stride);
    add(p.expand, in);
    total += std::int64_t{p.depth.channels} * p.depth.kernel * p.depth.kernel * out * out;
    add(p.middle, out);
    add(p.se_reduce, 1);
    add(p.se_expand, 1);
    add(p.shortcut, out);
    add(p.project, head ? 1 : out);
  }
  return total;
}

std::size_t LevelPlan::bytes() const noexcept {
  return constants.bytes() + units.capacity() * sizeof(UnitPlan) + network.units.capacity() * sizeof(Unit);
}

LevelPlan make_plan(const SearchSpace& space, const Weights& weights, const LevelSpec& spec,
                    const std::string& name) {
  LevelPlan plan{make_network(space, spec.config), {}, {}};
  Planner(space, weights, spec.bn, plan).build(name);
  return plan;
}

Needs needs_of(const LevelPlan& plan) {
  Needs n;
  const auto grow = [](std::size_t& value, std::size_t to) { value = std::max(value, to); };
  for (std::size_t i = 0; i < plan.units.size(); ++i) {
    const Unit& unit = plan.network.units[i];
    const UnitPlan& p = plan.units[i];
    const int full = unit.kind == UnitKind::stem_pool ? unit.in_size : unit.out_size;  // before a pool
    grow(n.plane, map_floats(unit.out_channels, unit.out_size));
    for (const ConvStep* s : {&p.expand, &p.middle, &p.project, &p.shortcut, &p.se_reduce, &p.se_expand})
      grow(n.vector, static_cast<std::size_t>(blocks_of(std::max(s->in, s->out)) * kBlock));
    switch (unit.kind) {
      case UnitKind::mbconv: {
        const RingShape ring(unit.in_size, unit.kernel, unit.stride);
        const auto rows = static_cast<std::size_t>((kRingPanels * ring.rows + 1) * ring.row * kBlock);
        grow(n.ring, rows + (unit.expands ? 0
                                          : map_floats(unit.mid_channels, 1) *
                                                static_cast<std::size_t>(kBandRows * unit.out_size)));
        grow(n.middle, map_floats(unit.mid_channels, unit.out_size));
        break;
      }
      case UnitKind::bottleneck:
        grow(n.middle, map_floats(unit.mid_channels, unit.in_size));
        grow(n.middle, map_floats(unit.in_channels, unit.out_size));
        grow(n.padded, padded_floats(unit.in_size, p.middle));
        break;
      case UnitKind::stem:
        grow(n.ring, static_cast<std::size_t>(p.project.in * band_rows_in(p.project)) *
                         static_cast<std::size_t>(PaddedShape(unit.in_size, unit.kernel, unit.stride).row));
        break;
      case UnitKind::stem_residual:
      case UnitKind::stem_pool:
        grow(n.middle, map_floats(unit.out_channels, full));
        grow(n.padded, padded_floats(unit.in_size, p.project));
        break;
      default:
        break;
    }
  }
  return n;
}

}  // namespace dsn::elastic
