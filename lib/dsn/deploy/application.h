// SPDX-License-Identifier: Apache-2.0
// A bundle under management, inside a program of yours: you bring frames and a goal, the manager switches
// levels (and threads) under you. No LibTorch; what `dsn run` does, without its arrivals. dsn.h is the same
// for other languages.
//
//   dsn::Application app("cam.dsnb", {.goal = {.target_s = 0.020}});
//   const dsn::Answer answer = app.classify(image);   // app.class_name(answer.class_index), answer.level,
//   ...
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "dsn/deploy/bundle.h"
#include "dsn/platform/platform.h"
#include "dsn/runtime/managed.h"

namespace dsn {

// The bundle's costs on this device: of `engine`, or with "auto" of the best executor that has some. Throws
// Error{mismatch} saying what it was measured on, Error{unsupported} in a build without executors.
[[nodiscard]] const Lut& costs_here(const Bundle& bundle, const Platform& platform,
                                    const std::string& engine);

struct ApplicationOptions {
  Goal goal;
  std::string policy = "dsn";   // of make_policy()
  std::string engine = "auto";  // executor
  std::string device = "cpu";   // or "cuda[:N]", with the torch executor
  int threads = 0;              // only this thread count of the look-up table; 0: the policy chooses
  fs::path platform;            // description of this machine; empty: discovered
  int warmup = 3;               // inferences per level and thread count before the first answer
};

struct Answer {
  int class_index = 0;
  float confidence = 0;  // softmax of the logits at class_index
  int level = 0;         // that answered
  double latency_s = 0;  // from the frame's arrival to now
  double slowdown = 1;   // the policy's estimate of this moment's over the undisturbed latency
  bool met = false;      // latency_s is within the target
  bool feasible = true;  // the policy expected to meet it
};

// thread-bound. Leaves frequencies alone; the process's affinity may move with the placement, and is put back
// at the end.
class Application {
 public:
  // Opens, prepares and warms up. Throws as Bundle::open(), costs_here() and make_executor();
  // Error{infeasible} when no level meets the goal even undisturbed; Error{bad_usage} for options that make
  // no sense.
  explicit Application(const fs::path& bundle, const ApplicationOptions& options);
  Application(Application&&) noexcept;
  Application& operator=(Application&&) noexcept;
  ~Application();

  // From the next frame on. Throws Error{bad_usage | infeasible} and keeps the goal that there was.
  void set_goal(const Goal& goal);
  [[nodiscard]] const Goal& goal() const noexcept;

  // image: 8 bit, any size, grey or RGB (converted to what the network takes). age_s: how long ago the frame
  // arrived; it counts. Throws Error{bad_input} for an empty image, Error{bad_usage} for an age below 0.
  Answer classify(const Image& image, double age_s = 0);

  // Logits of the last answer, float32 [classes]; empty before the first.
  [[nodiscard]] std::span<const float> logits() const noexcept;
  [[nodiscard]] const Bundle& bundle() const noexcept;
  [[nodiscard]] const std::string& class_name(int class_index) const;  // throws Error{bad_usage}

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dsn
