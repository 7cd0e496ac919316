// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/ofa_names.h"

#include <fmt/format.h>

#include <charconv>
#include <span>
#include <string_view>

namespace dsn {
namespace {

struct Rename {
  std::string_view from, to;  // whole dotted parts at the front of a name
};

// The parts of a network around its blocks.
constexpr Rename kOuter[] = {
    {"first_conv", "stem"},
    {"final_expand_layer", "final_expand"},
    {"feature_mix_layer.conv", "feature_mix"},  // 1x1 after pooling: no batch norm
    {"classifier.linear", "classifier"},
};
// Networks without a layer after pooling (ProxylessNAS) call what dsn calls final_expand the feature mix.
constexpr Rename kOuterUnmixed[] = {
    {"first_conv", "stem"},
    {"feature_mix_layer", "final_expand"},
    {"classifier.linear", "classifier"},
};
// The parts of a block. The first that fits counts.
constexpr Rename kInner[] = {
    {"inverted_bottleneck", "expand"},
    {"depth_conv.se.fc", "se"},
    {"depth_conv.conv.7to5_matrix", "depth.transform_7to5"},
    {"depth_conv.conv.5to3_matrix", "depth.transform_5to3"},
    {"depth_conv", "depth"},
    {"point_linear", "project"},
};

// ResNet-D: no kernel transforms, no fixed first block.
constexpr Rename kOuterBottleneck[] = {
    {"input_stem.0", "stem"}, {"input_stem.2", "stem.out"}, {"classifier.linear", "classifier"}};
constexpr Rename kInnerBottleneck[] = {
    {"conv1", "conv1"}, {"conv2", "conv2"}, {"conv3", "conv3"}, {"downsample", "shortcut"}};

// Layers inside layers: an elastic layer wraps a plain one, and versions differ in which layers are elastic.
constexpr Rename kWrapped[] = {
    {".conv.conv.", ".conv."}, {".bn.bn.", ".bn."}, {".linear.linear.", ".linear."}};

constexpr std::string_view kParallel = "module.";
constexpr std::string_view kBlocks = "blocks.";
constexpr std::string_view kStemResidual = "input_stem.1.";
// What a residual block calls the path that is not its shortcut, in both generations.
constexpr Rename kBody[] = {{"mobile_inverted_conv", ""}, {"conv", ""}};

// `name` with the front that one of `renames` fits replaced; nothing if none does.
std::optional<std::string> rename_front(std::string_view name, std::span<const Rename> renames) {
  for (const Rename& rename : renames) {
    if (!name.starts_with(rename.from)) continue;
    const std::string_view rest = name.substr(rename.from.size());
    if (!rest.empty() && rest.front() != '.') continue;
    return fmt::format("{}{}", rename.to, rest);
  }
  return std::nullopt;
}

void unwrap(std::string& name) {
  for (const Rename& wrapped : kWrapped) {
    for (std::size_t at = 0; (at = name.find(wrapped.from)) != std::string::npos;)
      name.replace(at, wrapped.from.size(), wrapped.to);
  }
}

// What follows the body's name, unwrapped, with its dot in front: ".depth_conv.bn.weight".
std::optional<std::string> body_of(std::string_view name) {
  auto rest = rename_front(name, kBody);
  if (!rest || rest->empty()) return std::nullopt;
  unwrap(*rest);
  return rest;
}

// `name` is "N.REST" of a block: with N the block's index in Once-for-All.
std::optional<std::string> rename_block(std::string_view name, BlockKind kind) {
  int index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || index < 0 || end == name.data() + name.size() || *end != '.')
    return std::nullopt;
  const std::string_view rest = name.substr(static_cast<std::size_t>(end - name.data()) + 1);
  if (kind == BlockKind::bottleneck) {
    std::string plain(rest);
    unwrap(plain);
    const auto inner = rename_front(plain, kInnerBottleneck);
    return inner ? std::optional(fmt::format("blocks.{}.{}", index, *inner)) : std::nullopt;
  }
  const auto body = body_of(rest);
  const auto inner = body ? rename_front(std::string_view(*body).substr(1), kInner) : std::nullopt;
  if (!inner) return std::nullopt;
  return index == 0 ? fmt::format("first.{}", *inner) : fmt::format("blocks.{}.{}", index - 1, *inner);
}

}  // namespace

bool is_ofa_counter(const std::string& name) {
  return name.ends_with(".num_batches_tracked");
}

std::optional<std::string> ofa_to_dsn(std::string name, const SearchSpace& space) {
  while (name.starts_with(kParallel)) name.erase(0, kParallel.size());
  const BlockKind kind = space.block_kind();
  if (name.starts_with(kBlocks)) return rename_block(std::string_view(name).substr(kBlocks.size()), kind);
  if (kind == BlockKind::bottleneck && name.starts_with(kStemResidual)) {
    const auto body = body_of(std::string_view(name).substr(kStemResidual.size()));
    return body ? std::optional("stem.residual" + *body) : std::nullopt;
  }
  unwrap(name);
  if (kind == BlockKind::bottleneck) return rename_front(name, kOuterBottleneck);
  return space.feature_channels() > 0 ? rename_front(name, kOuter) : rename_front(name, kOuterUnmixed);
}

}  // namespace dsn
