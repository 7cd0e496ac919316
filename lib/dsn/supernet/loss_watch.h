// SPDX-License-Identifier: Apache-2.0
// Tells a loss that has left its course from the ordinary noise of training. No LibTorch.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "dsn/supernet/train_options.h"

namespace dsn {

// thread-compatible. Looks at the losses of the last GuardOptions::window steps. Before a fifth of the window
// (20 at least) is filled only an explosion counts, ten times the highest so far: a young loss moves fast.
class LossWatch {
 public:
  explicit LossWatch(const GuardOptions& options) : options_(options) {}

  // Why this step must not be applied ("loss nan", "loss 9.1 is 31 robust deviations above ..."); empty when
  // it may, and only then does the loss join the window.
  [[nodiscard]] std::string check(double loss, double gradient_norm);

  // The window, oldest first; for state files.
  [[nodiscard]] std::vector<double> recent() const { return {recent_.begin(), recent_.end()}; }
  void set_recent(const std::vector<double>& losses) { recent_ = {losses.begin(), losses.end()}; }

 private:
  GuardOptions options_;
  std::deque<double> recent_;
};

}  // namespace dsn
