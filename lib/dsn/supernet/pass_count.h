// SPDX-License-Identifier: Apache-2.0
// What a pass really computes, counted from the tensors that LibTorch's operations are given, to be held
// against what the sub-network should cost. An activation that does nothing, or another sub-network's, shows
// here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dsn/space/network.h"

namespace dsn {

class Supernet;

struct PassCount {
  std::int64_t macs = 0;    // of convolutions and linear layers, per image
  std::int64_t params = 0;  // weights and biases of those, scale and shift of batch norms
  std::size_t norms = 0;    // batch norms
};

// Counts the operations of the thread that made it, as long as it lives: one pass, in evaluation mode. It
// listens to LibTorch's dispatcher (at::RecordFunction), so that the code that is checked does not count
// itself, and passes without a counter pay nothing. thread-bound.
class PassCounter {
 public:
  // Nothing is left out: for a network whose weights are ready.
  PassCounter();
  // Leaves out what computes a weight from `net`'s kernel transforms.
  explicit PassCounter(const Supernet& net);
  ~PassCounter();
  PassCounter(const PassCounter&) = delete;
  PassCounter& operator=(const PassCounter&) = delete;

  [[nodiscard]] const PassCount& count() const noexcept;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

// Throws Error{mismatch} naming `what` ("level 2"), found and expected, unless `found` is what `network`
// costs.
void require_count(const PassCount& found, const Network& network, const std::string& what);

}  // namespace dsn
