// SPDX-License-Identifier: Apache-2.0
// Holds engines that are made in its scope to one instruction set.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

namespace dsn::fakes {

class ForcedTarget {
 public:
  explicit ForcedTarget(std::string_view name) {
    ::setenv("DSN_ENGINE_TARGET", std::string(name).c_str(), 1);
  }
  ~ForcedTarget() { ::unsetenv("DSN_ENGINE_TARGET"); }
  ForcedTarget(const ForcedTarget&) = delete;
  ForcedTarget& operator=(const ForcedTarget&) = delete;
};

}  // namespace dsn::fakes
