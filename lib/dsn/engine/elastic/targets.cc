// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "dsn/core/error.h"
#include "dsn/engine/elastic/kernel_tables.h"

namespace dsn::elastic {
namespace {

constexpr std::string_view kNames[] = {"avx3", "avx2", "sse4", "neon", "generic"};

std::string_view name_of(Target target) {
  return kNames[static_cast<std::size_t>(target)];
}

bool compiled(Target target) {
  return conv_kernels(target).conv != nullptr && depthwise_kernels(target).row != nullptr;
}

// The compiler's own look at the CPU also asks whether the kernel saves the wide registers.
bool runs_here(Target target) {
#if defined(__x86_64__) || defined(__i386__)
  const bool sse4 = __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  switch (target) {
    case Target::avx3:
      return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    case Target::avx2:
      return avx2;
    case Target::sse4:
      return sse4;
    default:
      return true;
  }
#else
  (void)target;
  return true;  // one target is compiled, and the program was built for it
#endif
}

Kernels table(Target target) {
  const ConvKernels conv = conv_kernels(target);
  const DepthwiseKernels depthwise = depthwise_kernels(target);
  return {name_of(target), conv.conv,       conv.stem,      depthwise.row,
          depthwise.sum,   depthwise.scale, depthwise.split};
}

// Those that are compiled and run, best first; made once.
const std::vector<Kernels>& usable() {
  static const std::vector<Kernels> kernels = [] {
    std::vector<Kernels> found;
    for (const Target target : kTargets) {
      if (compiled(target) && runs_here(target)) found.push_back(table(target));
    }
    return found;
  }();
  return kernels;
}

}  // namespace

std::vector<std::string_view> kernel_targets() {
  std::vector<std::string_view> names;
  for (const Kernels& kernels : usable()) names.push_back(kernels.name);
  return names;
}

const Kernels& kernels_for(std::string_view name) {
  const bool asked = !name.empty();
  if (!asked) {
    const char* forced = std::getenv("DSN_ENGINE_TARGET");
    if (forced != nullptr) name = forced;
  }
  if (usable().empty()) {
    throw Error(ErrorCode::unsupported, "the elastic engine needs SSE4.2, which this CPU does not have",
                "use --engine torch");
  }
  if (name.empty()) return usable().front();
  for (const Kernels& kernels : usable()) {
    if (kernels.name == name) return kernels;
  }
  std::vector<std::string_view> known;
  bool exists = false;
  for (const Target target : kTargets) {
    if (!compiled(target)) continue;
    known.push_back(name_of(target));
    exists = exists || name_of(target) == name;
  }
  const char* where = asked ? "instruction set" : "DSN_ENGINE_TARGET";
  if (exists) {
    throw Error(ErrorCode::unsupported, fmt::format("{}: this CPU does not run '{}'", where, name),
                fmt::format("it runs {}", fmt::join(kernel_targets(), ", ")));
  }
  throw Error(ErrorCode::bad_usage,
              fmt::format("{}: found '{}', expected one of {}", where, name, fmt::join(known, ", ")));
}

}  // namespace dsn::elastic
