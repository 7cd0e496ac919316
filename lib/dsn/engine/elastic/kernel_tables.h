// SPDX-License-Identifier: Apache-2.0
// What the files that are compiled per instruction set give; targets.cc puts it together. No other includes:
// nothing that those compile may be shared with the rest of the program.
#pragma once

#include "dsn/engine/elastic/kernels.h"

namespace dsn::elastic {

enum class Target { avx3, avx2, sse4, neon, generic };
inline constexpr Target kTargets[] = {Target::avx3, Target::avx2, Target::sse4, Target::neon,
                                      Target::generic};

struct ConvKernels {
  void (*conv)(const ConvCall&) noexcept = nullptr;
  void (*stem)(const ConvCall&) noexcept = nullptr;
};
struct DepthwiseKernels {
  void (*row)(const DepthwiseCall&) noexcept = nullptr;
  void (*sum)(const float*, int, float*) noexcept = nullptr;
  void (*scale)(float*, int, const float*) noexcept = nullptr;
  void (*split)(const float*, int, float*, float*) noexcept = nullptr;
};

// Null members: not compiled for this target.
[[nodiscard]] ConvKernels conv_kernels(Target target) noexcept;
[[nodiscard]] DepthwiseKernels depthwise_kernels(Target target) noexcept;

}  // namespace dsn::elastic
