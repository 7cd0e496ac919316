// SPDX-License-Identifier: Apache-2.0
// Vectors for the training kernels; included by their .cc files only, after all other headers.
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

// Sixteen floats at a time, whatever vectors the processor has: GCC and Clang split them. Clones for wider
// vectors are chosen when the program is loaded; sanitizers do not bear code that early.
#pragma GCC diagnostic ignored "-Wpsabi"  // every function that takes a vector is inlined; Clang heeds this too
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define DSN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif
#ifndef DSN_CLONES
#define DSN_CLONES
#endif
#define DSN_INLINE __attribute__((always_inline)) inline

namespace dsn::kernels {
namespace {

constexpr std::size_t kLanes = 16;
typedef float V __attribute__((vector_size(kLanes * sizeof(float))));

DSN_INLINE V load(const float* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
DSN_INLINE void store(float* to, const V& v) {
  std::memcpy(to, &v, sizeof v);
}

// T: V or float, so that one body serves whole vectors and what is left over.
template <typename T>
DSN_INLINE T get(const float* from) {
  if constexpr (std::is_same_v<T, V>) {
    return load(from);
  } else {
    return *from;
  }
}
template <typename T>
DSN_INLINE void put(float* to, const T& value) {
  if constexpr (std::is_same_v<T, V>) {
    store(to, value);
  } else {
    *to = value;
  }
}

}  // namespace
}  // namespace dsn::kernels
