// SPDX-License-Identifier: Apache-2.0
// Runs a level's plan.
#pragma once

#include <vector>

#include "dsn/engine/elastic/plan.h"
#include "dsn/engine/elastic/task_pool.h"

namespace dsn::elastic {

// Memory that inferences work in, for levels up to `needs` and batches up to `images`.
struct Workspace {
  Floats planes[2], middle[2], padded, pooled, hidden, gates, logits;
  std::vector<Floats> rings;  // one per thread
  int images = 0;

  // Grows to fit; nothing shrinks.
  void fit(const Needs& needs, int batch, int threads);
  [[nodiscard]] std::size_t bytes() const noexcept;
};

// What of a call is the same for all pixels. x_tap: as in ConvCall.
[[nodiscard]] ConvCall call_of(const ConvStep& step, const std::ptrdiff_t* x_tap);
[[nodiscard]] ConvCall pointwise_call(const ConvStep& step);

// thread-bound; everything it is given must outlive it.
class Runner {
 public:
  Runner(const Kernels& kernels, TaskPool& pool, Workspace& work, int batch)
      : kernels_(kernels), pool_(pool), work_(work), batch_(batch) {}

  // input: float32 [batch, C, r, r]; logits: float32 [batch, classes]. No allocation.
  void run(const LevelPlan& plan, const float* input, float* logits, const UnitObserver* observer);

 private:
  struct Map {  // [image][C/16][size * size][16]
    float* data;
    int channels, size;
    [[nodiscard]] std::ptrdiff_t block() const { return std::ptrdiff_t{size} * size * kBlock; }
    [[nodiscard]] std::ptrdiff_t image() const { return blocks_of(channels) * block(); }
  };

  void run_unit(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y);
  // blocks.cc
  void mbconv(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y);
  void expand_and_depthwise(const Unit& unit, const UnitPlan& p, const Map& x, const Map& middle);
  void depthwise_and_project(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y);
  struct Part {
    int image = 0, first = 0, panels = 0, top = 0, bottom = 0;  // blocks of channels, and rows of the output
    float* to = nullptr;                                        // row `top` of block 0
    std::ptrdiff_t to_block = 0;
  };
  void depthwise_part(const Unit& unit, const UnitPlan& p, const Map& x, const Part& part, float* ring) const;
  void squeeze_excite(const UnitPlan& p, const Map& middle);
  void bottleneck(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y);
  // dense.cc
  void stem(const Unit& unit, const ConvStep& step, const float* input, const Map& y);
  void dense(const ConvStep& step, const Map& x, const Map& y, const float* residual);
  void max_pool(const Map& x, const Map& y);
  void average(const Map& x, const Map& y, int stride);
  // pointwise.cc
  void pointwise(const ConvStep& step, const Map& x, const Map& y, const float* residual);
  // One pixel per image: [C/16][batch][16] to the same form.
  void vector(const ConvStep& step, const float* x, float* y);
  void pool_map(const Map& x, float* y);

  const Kernels& kernels_;
  TaskPool& pool_;
  Workspace& work_;
  int batch_;
  const float* vector_ = nullptr;  // what the head passes on
};

}  // namespace dsn::elastic
