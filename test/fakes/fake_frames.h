// SPDX-License-Identifier: Apache-2.0
// Grey frames without content, for a given number of times.
#pragma once

#include <limits>
#include <optional>
#include <string>

#include "dsn/data/dataset.h"

namespace dsn::fakes {

class FakeFrames final : public FrameSource {
 public:
  explicit FakeFrames(long count = std::numeric_limits<long>::max()) : left_(count) {}
  std::optional<int> label = 1;
  long given = 0;
  std::optional<Frame> next() override {
    if (left_-- <= 0) return std::nullopt;
    ++given;
    return Frame{{4, 4, 1, std::vector<std::uint8_t>(16, 128)}, label};
  }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }

 private:
  long left_;
  std::string name_ = "fake";
};

}  // namespace dsn::fakes
