// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/tensor_shapes.h"

#include <fmt/format.h>

#include "dsn/space/network.h"

namespace dsn {
namespace {

class Lister {
 public:
  explicit Lister(const SearchSpace& space) : space_(space) {}

  std::map<std::string, std::vector<std::int64_t>> list() {
    for (const Unit& unit : make_network(space_, space_.largest()).units) add(unit);
    return std::move(shapes_);
  }

 private:
  void add(const Unit& unit) {
    const std::string name = unit.name();
    const std::int64_t in = unit.in_channels, mid = unit.mid_channels, out = unit.out_channels,
                       k = unit.kernel;
    switch (unit.kind) {
      case UnitKind::stem:
      case UnitKind::stem_residual:
      case UnitKind::stem_pool:
        conv_bn(name, {out, in, k, k});
        break;
      case UnitKind::mbconv:
        mbconv(unit);
        break;
      case UnitKind::bottleneck:
        conv_bn(name + ".conv1", {mid, in, 1, 1});
        conv_bn(name + ".conv2", {mid, mid, k, k});
        conv_bn(name + ".conv3", {out, mid, 1, 1});
        if (!unit.residual) conv_bn(name + ".shortcut", {out, in, 1, 1});
        break;
      case UnitKind::final_expand:
        conv_bn(name, {out, in, 1, 1});
        break;
      case UnitKind::feature_mix:
        shapes_[name + ".weight"] = {out, in, 1, 1};
        break;
      case UnitKind::classifier:
        shapes_[name + ".weight"] = {out, in};
        shapes_[name + ".bias"] = {out};
        break;
    }
  }

  void mbconv(const Unit& unit) {
    const std::string name = unit.name();
    const std::int64_t in = unit.in_channels, mid = unit.mid_channels, out = unit.out_channels,
                       se = unit.se_channels;
    if (unit.expands) conv_bn(name + ".expand", {mid, in, 1, 1});
    conv_bn(name + ".depth", {mid, 1, unit.kernel, unit.kernel});
    if (unit.block >= 0) {
      const auto& kernels = space_.stages()[static_cast<std::size_t>(space_.stage_of(unit.block))].kernel;
      for (std::size_t i = kernels.size(); i-- > 1;) {
        const std::int64_t area = std::int64_t{kernels[i - 1]} * kernels[i - 1];
        shapes_[fmt::format("{}.depth.transform_{}to{}", name, kernels[i], kernels[i - 1])] = {area, area};
      }
    }
    if (se > 0) {
      shapes_[name + ".se.reduce.weight"] = {se, mid, 1, 1};
      shapes_[name + ".se.reduce.bias"] = {se};
      shapes_[name + ".se.expand.weight"] = {mid, se, 1, 1};
      shapes_[name + ".se.expand.bias"] = {mid};
    }
    conv_bn(name + ".project", {out, mid, 1, 1});
  }

  void conv_bn(const std::string& name, std::vector<std::int64_t> shape) {
    for (const char* part : {"weight", "bias", "running_mean", "running_var"})
      shapes_[fmt::format("{}.bn.{}", name, part)] = {shape[0]};
    shapes_[name + ".conv.weight"] = std::move(shape);
  }

  const SearchSpace& space_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
};

}  // namespace

std::map<std::string, std::vector<std::int64_t>> tensor_shapes(const SearchSpace& space) {
  return Lister(space).list();
}

}  // namespace dsn
