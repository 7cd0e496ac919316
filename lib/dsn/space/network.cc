// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/network.h"

#include <fmt/format.h>

#include <numeric>

namespace dsn {
namespace {

std::string_view to_string(UnitKind kind) {
  switch (kind) {
    case UnitKind::stem:
      return "stem";
    case UnitKind::stem_residual:
      return "stem_residual";
    case UnitKind::stem_pool:
      return "stem_pool";
    case UnitKind::mbconv:
      return "mbconv";
    case UnitKind::bottleneck:
      return "bottleneck";
    case UnitKind::final_expand:
      return "final_expand";
    case UnitKind::feature_mix:
      return "feature_mix";
    case UnitKind::classifier:
      return "classifier";
  }
  return "?";
}

}  // namespace

std::int64_t Unit::macs() const noexcept {
  const std::int64_t in = in_channels, mid = mid_channels, out = out_channels,
                     k2 = std::int64_t{kernel} * kernel;
  const std::int64_t in_px = std::int64_t{in_size} * in_size, out_px = std::int64_t{out_size} * out_size;
  switch (kind) {
    case UnitKind::stem:
      return in * out * k2 * out_px;
    case UnitKind::stem_residual:
    case UnitKind::stem_pool:
      return in * out * k2 * in_px;
    case UnitKind::final_expand:
      return in * out * out_px;
    case UnitKind::feature_mix:
    case UnitKind::classifier:
      return in * out;
    case UnitKind::mbconv:
      return (expands ? in * mid * in_px : 0) + mid * k2 * out_px + 2 * mid * se_channels +
             mid * out * out_px;
    case UnitKind::bottleneck:
      return in * mid * in_px + mid * mid * k2 * out_px + mid * out * out_px +
             (residual ? 0 : in * out * out_px);
  }
  return 0;
}

std::int64_t Unit::params() const noexcept {
  const std::int64_t in = in_channels, mid = mid_channels, out = out_channels,
                     k2 = std::int64_t{kernel} * kernel;
  switch (kind) {
    case UnitKind::stem:
    case UnitKind::stem_residual:
    case UnitKind::stem_pool:
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
    case UnitKind::bottleneck:
      return in * mid + 2 * mid + mid * mid * k2 + 2 * mid + mid * out + 2 * out +
             (residual ? 0 : in * out + 2 * out);
  }
  return 0;
}

std::string Unit::name() const {
  switch (kind) {
    case UnitKind::stem_residual:
      return "stem.residual";
    case UnitKind::stem_pool:
      return "stem.out";
    case UnitKind::mbconv:
    case UnitKind::bottleneck:
      return block < 0 ? "first" : fmt::format("blocks.{}", block);
    case UnitKind::stem:
    case UnitKind::final_expand:
    case UnitKind::feature_mix:
    case UnitKind::classifier:
      break;
  }
  return std::string(to_string(kind));
}

std::string Unit::key() const {
  const std::string shape = fmt::format("{}-{}x{}x{}-{}x{}x{}", to_string(kind), in_size, in_size,
                                        in_channels, out_size, out_size, out_channels);
  switch (kind) {
    case UnitKind::stem:
    case UnitKind::stem_residual:
    case UnitKind::stem_pool:
      return fmt::format("{}-k{}-s{}-{}", shape, kernel, stride, dsn::to_string(act));
    case UnitKind::mbconv:
      return fmt::format("{}-mid{}-k{}-s{}-{}-se{}-exp{}-res{}", shape, mid_channels, kernel, stride,
                         dsn::to_string(act), se_channels, int{expands}, int{residual});
    case UnitKind::bottleneck:
      return fmt::format("{}-mid{}-k{}-s{}-{}-res{}", shape, mid_channels, kernel, stride,
                         dsn::to_string(act), int{residual});
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

}  // namespace dsn
