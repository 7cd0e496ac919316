// SPDX-License-Identifier: Apache-2.0
// Accuracy by formula: grows with MACs and saturates, likes large kernels and large pictures, and wants the
// stages balanced.
#pragma once

#include <cmath>
#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "dsn/core/error.h"
#include "dsn/space/network.h"

namespace dsn::fakes {

inline double synthetic_accuracy(const SearchSpace& space, const SubnetConfig& config) {
  const double largest = static_cast<double>(make_network(space, space.largest()).macs());
  const double size = static_cast<double>(make_network(space, config).macs()) / largest;
  double accuracy = 0.93 - 0.04 * std::exp(-4 * size);
  for (int s = 0; s < space.stage_count(); ++s) {
    for (int i = 0; i < config.d[static_cast<std::size_t>(s)]; ++i) {
      const int kernel = config.k[static_cast<std::size_t>(space.first_block(s) + i)];
      accuracy += 0.0008 * (kernel - 3) / (1 + s);
    }
  }
  return accuracy - 0.01 * (1 - static_cast<double>(config.r) / space.resolutions().back());
}

// Runs `work`, which must throw a dsn::Error whose message has `part`.
inline ErrorCode code_of(const std::function<void()>& work, const std::string& part) {
  try {
    work();
  } catch (const Error& error) {
    CHECK_MESSAGE(error.message().find(part) != std::string::npos, error.message());
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::failed;
}

}  // namespace dsn::fakes
