// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/own_statistics.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr const char* kHint = "they are of another sub-network: calibrate this one (dsn search does)";

}  // namespace

const BnTensors& require_statistics(const BnTensorMap& stats, const std::string& norm,
                                    std::int64_t channels) {
  const auto it = stats.find(norm);
  const std::int64_t found = it == stats.end() ? 0 : it->second.mean.numel();
  if (found == channels && it->second.variance.numel() == channels) return it->second;
  throw Error(ErrorCode::mismatch,
              fmt::format("batch-norm statistics of {}: found {}, expected {} channels", norm,
                          it == stats.end() ? "none" : fmt::format("{} channels", found), channels),
              kHint);
}

void require_all_used(const BnTensorMap& stats, std::size_t norms, const std::string& what) {
  if (stats.size() == norms) return;
  throw Error(ErrorCode::mismatch,
              fmt::format("{}: found statistics of {} batch norms, expected those of its {}", what,
                          stats.size(), norms),
              kHint);
}

}  // namespace dsn
