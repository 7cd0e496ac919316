// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/network.h"

#include <fmt/format.h>

#include <numeric>

namespace dsn {
namespace {

int conv_output(int size, int stride) {
  return (size + stride - 1) / stride;
}  // "same" padding, odd kernel

std::string_view to_string(UnitKind kind) {
  switch (kind) {
    case UnitKind::stem:
      return "stem";
    case UnitKind::mbconv:
      return "mbconv";
    case UnitKind::final_expand:
      return "final_expand";
    case UnitKind::feature_mix:
      return "feature_mix";
    case UnitKind::classifier:
      return "classifier";
  }
  return "?";
}

Unit mbconv(int block, int in, int mid, int out, int kernel, int stride, Activation act, bool se,
            bool expands, int in_size) {
  Unit u;
  u.kind = UnitKind::mbconv;
  u.block = block;
  u.in_channels = in;
  u.mid_channels = mid;
  u.out_channels = out;
  u.kernel = kernel;
  u.stride = stride;
  u.act = act;
  u.se_channels = se ? se_channels(mid) : 0;
  u.expands = expands;
  u.residual = stride == 1 && in == out;
  u.in_size = in_size;
  u.out_size = conv_output(in_size, stride);
  return u;
}

Unit pointwise(UnitKind kind, int in, int out, Activation act, int in_size, int out_size) {
  Unit u;
  u.kind = kind;
  u.in_channels = u.mid_channels = in;
  u.out_channels = out;
  u.act = act;
  u.in_size = in_size;
  u.out_size = out_size;
  return u;
}

}  // namespace

std::int64_t Unit::macs() const noexcept {
  const std::int64_t in = in_channels, mid = mid_channels, out = out_channels,
                     k2 = std::int64_t{kernel} * kernel;
  const std::int64_t in_px = std::int64_t{in_size} * in_size, out_px = std::int64_t{out_size} * out_size;
  switch (kind) {
    case UnitKind::stem:
      return in * out * k2 * out_px;
    case UnitKind::final_expand:
      return in * out * out_px;
    case UnitKind::feature_mix:
    case UnitKind::classifier:
      return in * out;
    case UnitKind::mbconv:
      return (expands ? in * mid * in_px : 0) + mid * k2 * out_px + 2 * mid * se_channels +
             mid * out * out_px;
  }
  return 0;
}

std::int64_t Unit::params() const noexcept {
  const std::int64_t in = in_channels, mid = mid_channels, out = out_channels,
                     k2 = std::int64_t{kernel} * kernel;
  switch (kind) {
    case UnitKind::stem:
      return in * out * k2 + 2 * out;
    case UnitKind::final_expand:
      return in * out + 2 * out;
    case UnitKind::feature_mix:
      return in * out;
    case UnitKind::classifier:
      return in * out + out;
    case UnitKind::mbconv:
      return (expands ? in * mid + 2 * mid : 0) + mid * k2 + 2 * mid +
             (se_channels ? 2 * mid * se_channels + se_channels + mid : 0) + mid * out + 2 * out;
  }
  return 0;
}

std::string Unit::key() const {
  const std::string shape = fmt::format("{}-{}x{}x{}-{}x{}x{}", to_string(kind), in_size, in_size,
                                        in_channels, out_size, out_size, out_channels);
  switch (kind) {
    case UnitKind::stem:
      return fmt::format("{}-k{}-s{}-{}", shape, kernel, stride, dsn::to_string(act));
    case UnitKind::mbconv:
      return fmt::format("{}-mid{}-k{}-s{}-{}-se{}-exp{}-res{}", shape, mid_channels, kernel, stride,
                         dsn::to_string(act), se_channels, int{expands}, int{residual});
    case UnitKind::final_expand:
    case UnitKind::feature_mix:
      return fmt::format("{}-{}", shape, dsn::to_string(act));
    case UnitKind::classifier:
      return shape;
  }
  return shape;
}

std::int64_t Network::macs() const noexcept {
  return std::accumulate(units.begin(), units.end(), std::int64_t{0},
                         [](auto sum, const Unit& u) { return sum + u.macs(); });
}

std::int64_t Network::params() const noexcept {
  return std::accumulate(units.begin(), units.end(), std::int64_t{0},
                         [](auto sum, const Unit& u) { return sum + u.params(); });
}

Network make_network(const SearchSpace& space, const SubnetConfig& config) {
  space.validate(config);
  Network net;
  net.resolution = config.r;
  net.in_channels = space.in_channels();
  net.classes = space.classes();

  Unit stem = pointwise(UnitKind::stem, space.in_channels(), space.stem_channels(), space.stem_act(),
                        config.r, conv_output(config.r, space.stem_stride()));
  stem.kernel = 3;
  stem.stride = space.stem_stride();
  net.units.push_back(stem);

  int channels = space.stem_channels(), size = stem.out_size;
  net.units.push_back(mbconv(-1, channels, channels, space.first_channels(), 3, space.first_stride(),
                             space.first_act(), false, false, size));
  channels = space.first_channels();
  size = net.units.back().out_size;
  for (int s = 0; s < space.stage_count(); ++s) {
    const StageSpace& stage = space.stages()[static_cast<std::size_t>(s)];
    for (int i = 0; i < config.d[static_cast<std::size_t>(s)]; ++i) {
      const auto b = static_cast<std::size_t>(space.first_block(s) + i);
      net.units.push_back(mbconv(static_cast<int>(b), channels, expanded_channels(channels, config.e[b]),
                                 stage.channels, config.k[b], i == 0 ? stage.stride : 1, stage.act, stage.se,
                                 true, size));
      channels = stage.channels;
      size = net.units.back().out_size;
    }
  }
  net.units.push_back(pointwise(UnitKind::final_expand, channels, space.final_expand_channels(),
                                space.head_act(), size, size));
  channels = space.final_expand_channels();
  if (space.feature_channels() > 0) {
    net.units.push_back(
        pointwise(UnitKind::feature_mix, channels, space.feature_channels(), space.head_act(), size, 1));
    channels = space.feature_channels();
    size = 1;
  }
  net.units.push_back(pointwise(UnitKind::classifier, channels, space.classes(), Activation::none, size, 1));
  return net;
}

}  // namespace dsn
