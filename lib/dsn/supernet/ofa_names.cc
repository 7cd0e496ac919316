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

// Layers inside layers: an elastic layer wraps a plain one, and versions differ in which layers are elastic.
constexpr Rename kWrapped[] = {
    {".conv.conv.", ".conv."}, {".bn.bn.", ".bn."}, {".linear.linear.", ".linear."}};

constexpr std::string_view kParallel = "module.";
constexpr std::string_view kBlocks = "blocks.";
constexpr Rename kBlockBody[] = {{"mobile_inverted_conv", ""}, {"conv", ""}};

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

// "N.conv.REST": the index, and REST without its dot.
std::optional<std::string> rename_block(std::string_view name) {
  int index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || index < 0 || end == name.data() + name.size() || *end != '.')
    return std::nullopt;
  const auto body = rename_front(name.substr(static_cast<std::size_t>(end - name.data()) + 1), kBlockBody);
  if (!body || body->empty()) return std::nullopt;
  std::string rest = body->substr(1);
  unwrap(rest);
  const auto inner = rename_front(rest, kInner);
  if (!inner) return std::nullopt;
  return index == 0 ? fmt::format("first.{}", *inner) : fmt::format("blocks.{}.{}", index - 1, *inner);
}

}  // namespace

bool is_ofa_counter(const std::string& name) {
  return name.ends_with(".num_batches_tracked");
}

std::optional<std::string> ofa_to_dsn(std::string name, const SearchSpace& space) {
  while (name.starts_with(kParallel)) name.erase(0, kParallel.size());
  if (name.starts_with(kBlocks)) return rename_block(std::string_view(name).substr(kBlocks.size()));
  unwrap(name);
  return space.feature_channels() > 0 ? rename_front(name, kOuter) : rename_front(name, kOuterUnmixed);
}

}  // namespace dsn
