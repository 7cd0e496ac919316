// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/depthwise_kernels.h"

#include <algorithm>

#include "dsn/supernet/simd.h"

namespace dsn::kernels {
namespace {

// One row of taps (ky) of one image and as many channels as T holds: adds to taps[kernel]. The sums of a row
// stay in registers.
template <int kernel, typename T>
DSN_INLINE void add_tap_row(const float* x, const float* gy, const Depthwise& d, int ky, T* taps) {
  const int pad = kernel / 2, stride = d.stride, w = static_cast<int>(d.w), h = static_cast<int>(d.h);
  const int out_w = static_cast<int>(d.out_w), out_h = static_cast<int>(d.out_h);
  T sums[kernel] = {};
  // Outputs whose taps all lie inside the row.
  const int first = std::min(out_w, (pad + stride - 1) / stride);
  const int last = std::max(first, std::min(out_w, (w - 1 - (kernel - 1 - pad)) / stride + 1));
  for (int oy = 0; oy < out_h; ++oy) {
    const int iy = oy * stride + ky - pad;
    if (iy < 0 || iy >= h) continue;
    const float* in = x + static_cast<std::size_t>(iy) * d.w * d.c;
    const float* out = gy + static_cast<std::size_t>(oy) * d.out_w * d.c;
    const auto edge = [&](int ox) __attribute__((always_inline)) {
      const T g = get<T>(out + static_cast<std::size_t>(ox) * d.c);
      for (int kx = 0; kx < kernel; ++kx) {
        const int ix = ox * stride + kx - pad;
        if (ix >= 0 && ix < w) sums[kx] += g * get<T>(in + static_cast<std::size_t>(ix) * d.c);
      }
    };
    for (int ox = 0; ox < first; ++ox) edge(ox);
    for (int ox = first; ox < last; ++ox) {
      const T g = get<T>(out + static_cast<std::size_t>(ox) * d.c);
      const float* from = in + static_cast<std::size_t>(ox * stride - pad) * d.c;
      for (int kx = 0; kx < kernel; ++kx) sums[kx] += g * get<T>(from + static_cast<std::size_t>(kx) * d.c);
    }
    for (int ox = last; ox < out_w; ++ox) edge(ox);
  }
  for (int kx = 0; kx < kernel; ++kx) taps[kx] += sums[kx];
}

template <int kernel, typename T>
DSN_INLINE void channels_at(const float* x, const float* gy, const Depthwise& d, std::size_t c, float* gw) {
  constexpr std::size_t kTaps = std::size_t{kernel} * kernel, kWidth = sizeof(T) / sizeof(float);
  T taps[kTaps] = {};
  for (std::size_t i = 0; i < d.n; ++i) {
    for (int ky = 0; ky < kernel; ++ky) {
      add_tap_row<kernel, T>(x + i * d.h * d.w * d.c + c, gy + i * d.out_h * d.out_w * d.c + c, d, ky,
                             taps + ky * kernel);
    }
  }
  for (std::size_t t = 0; t < kTaps; ++t) {
    float values[kWidth];
    put<T>(values, taps[t]);
    for (std::size_t lane = 0; lane < kWidth; ++lane) gw[(c + lane) * kTaps + t] = values[lane];
  }
}

template <int kernel>
DSN_INLINE void all_channels(const float* x, const float* gy, const Depthwise& d, float* gw) {
  std::size_t c = 0;
  for (; c + kLanes <= d.c; c += kLanes) channels_at<kernel, V>(x, gy, d, c, gw);
  for (; c < d.c; ++c) channels_at<kernel, float>(x, gy, d, c, gw);
}

DSN_CLONES void gradient3(const float* x, const float* gy, const Depthwise& d, float* gw) {
  all_channels<3>(x, gy, d, gw);
}
DSN_CLONES void gradient5(const float* x, const float* gy, const Depthwise& d, float* gw) {
  all_channels<5>(x, gy, d, gw);
}
DSN_CLONES void gradient7(const float* x, const float* gy, const Depthwise& d, float* gw) {
  all_channels<7>(x, gy, d, gw);
}

}  // namespace

void depthwise_weight_gradient(const float* x, const float* gy, const Depthwise& d, float* gw) {
  d.kernel == 3 ? gradient3(x, gy, d, gw) : d.kernel == 5 ? gradient5(x, gy, d, gw) : gradient7(x, gy, d, gw);
}

}  // namespace dsn::kernels
