// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/bn_stats.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr std::string_view kMean = ".mean";
constexpr std::string_view kVariance = ".variance";

TensorView view(const std::vector<float>& values) {
  return {DType::f32, {static_cast<std::int64_t>(values.size())}, std::as_bytes(std::span(values))};
}

}  // namespace

BnStats load_bn_stats(const TensorFile& file, const std::string& prefix) {
  BnStats stats;
  const std::string start = prefix + "/";
  for (auto it = file.tensors().lower_bound(start);
       it != file.tensors().end() && it->first.starts_with(start); ++it) {
    const std::string_view name = it->first;
    const auto values = it->second.floats();
    if (name.ends_with(kMean)) {
      stats[std::string(name.substr(start.size(), name.size() - start.size() - kMean.size()))].mean.assign(
          values.begin(), values.end());
    } else if (name.ends_with(kVariance)) {
      stats[std::string(name.substr(start.size(), name.size() - start.size() - kVariance.size()))]
          .variance.assign(values.begin(), values.end());
    } else {
      throw Error(
          ErrorCode::bad_input,
          fmt::format("{}: {}: found another suffix, expected .mean or .variance", file.file(), name));
    }
  }
  if (stats.empty()) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found no batch-norm statistics named {}*", file.file(), start));
  }
  for (const auto& [layer, layer_stats] : stats) {
    if (layer_stats.mean.size() != layer_stats.variance.size()) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: {}{}: found {} means and {} variances, expected as many", file.file(),
                              start, layer, layer_stats.mean.size(), layer_stats.variance.size()));
    }
  }
  return stats;
}

void append_bn_stats(const BnStats& stats, const std::string& prefix,
                     std::map<std::string, TensorView>& out) {
  for (const auto& [layer, layer_stats] : stats) {
    out[fmt::format("{}/{}{}", prefix, layer, kMean)] = view(layer_stats.mean);
    out[fmt::format("{}/{}{}", prefix, layer, kVariance)] = view(layer_stats.variance);
  }
}

}  // namespace dsn
