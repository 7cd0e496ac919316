// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/bn_kernels.h"

#include <algorithm>

#include "dsn/supernet/simd.h"

namespace dsn::kernels {
namespace {

// Few channels make short loops: several rows are then taken as one wide row, the channels' values repeated,
// so that it is a whole number of vectors where that can be.
struct Wide {
  std::size_t rows, width, repeat;  // and what is left over: fewer rows than `repeat`
  std::size_t left;
};

Wide widen(Rows n) {
  std::size_t repeat = n.channels >= 64 ? 1 : (64 + n.channels - 1) / n.channels;
  while (n.channels * repeat % kLanes != 0 && repeat < 2 * kLanes) ++repeat;
  return {n.rows / repeat, n.channels * repeat, repeat, n.rows % repeat};
}

std::vector<float> repeated(const float* values, std::size_t channels, std::size_t repeat) {
  std::vector<float> out(channels * repeat);
  for (std::size_t r = 0; r < repeat; ++r)
    std::copy(values, values + channels, out.begin() + static_cast<std::ptrdiff_t>(r * channels));
  return out;
}

// T: V or float.
template <Activation act, typename T>
DSN_INLINE T activated(const T& z) {
  const T zero{};
  if constexpr (act == Activation::relu) return z > 0.F ? z : zero;
  if constexpr (act == Activation::hswish) {
    T gate = z + 3.F;
    gate = gate > 0.F ? gate : zero;
    gate = gate < 6.F ? gate : zero + 6.F;
    return z * gate * (1.F / 6.F);
  }
  return z;
}

template <Activation act, typename T>
DSN_INLINE T slope_at(const T& z) {
  const T zero{}, one = zero + 1.F;
  if constexpr (act == Activation::relu) return z > 0.F ? one : zero;
  if constexpr (act == Activation::hswish) {
    const T middle = z * (1.F / 3.F) + 0.5F;
    const T up = z > 3.F ? one : middle;
    return z < -3.F ? zero : up;
  }
  return one;
}

// body(j, a vector or a single value at j) for all of a row.
#define DSN_FOR_ROW(WIDTH, BODY)                       \
  {                                                    \
    std::size_t j = 0;                                 \
    for (; j + kLanes <= (WIDTH); j += kLanes) BODY(V) \
    for (; j < (WIDTH); ++j) BODY(float)               \
  }

// Column by column, so that sums stay in registers: rows are few (a block).
DSN_CLONES void add_rows(const float* x, std::size_t rows, std::size_t width, float* sum){
#define DSN_BODY(T)                                                        \
  {                                                                        \
    T s = get<T>(sum + j);                                                 \
    for (std::size_t r = 0; r < rows; ++r) s += get<T>(x + r * width + j); \
    put<T>(sum + j, s);                                                    \
  }
    DSN_FOR_ROW(width, DSN_BODY)
#undef DSN_BODY
}

DSN_CLONES
    void add_squares(const float* x, std::size_t rows, std::size_t width, const float* mean, float* sum) {
#define DSN_BODY(T)                              \
  {                                              \
    const T m = get<T>(mean + j);                \
    T s = get<T>(sum + j);                       \
    for (std::size_t r = 0; r < rows; ++r) {     \
      const T d = get<T>(x + r * width + j) - m; \
      s += d * d;                                \
    }                                            \
    put<T>(sum + j, s);                          \
  }
  DSN_FOR_ROW(width, DSN_BODY)
#undef DSN_BODY
}

// A count, mean and sum of squared deviations; join() adds another.
struct Moments {
  double count = 0, mean = 0, squares = 0;
  void join(double n, double m, double s) {
    const double all = count + n, delta = m - mean;
    squares += s + delta * delta * count * n / all;
    mean += delta * n / all;
    count = all;
  }
};

// One function, and its clones, per activation.
#define DSN_PER_ACTIVATION(NAME, ARGS, CALL)             \
  DSN_CLONES void NAME##_none ARGS {                     \
    NAME<Activation::none> CALL;                         \
  }                                                      \
  DSN_CLONES void NAME##_relu ARGS {                     \
    NAME<Activation::relu> CALL;                         \
  }                                                      \
  DSN_CLONES void NAME##_hswish ARGS {                   \
    NAME<Activation::hswish> CALL;                       \
  }                                                      \
  void NAME##_any(Activation act, auto... args) {        \
    act == Activation::relu     ? NAME##_relu(args...)   \
    : act == Activation::hswish ? NAME##_hswish(args...) \
                                : NAME##_none(args...);  \
  }

template <Activation act>
DSN_INLINE void forward_rows(const float* x, std::size_t rows, std::size_t width, const float* scale,
                             const float* shift, const float* residual, float* y) {
#define DSN_PLAIN(T) put<T>(y + j, activated<act, T>(get<T>(scale + j) * get<T>(x + j) + get<T>(shift + j)));
#define DSN_ADDED(T) \
  put<T>(y + j,      \
         activated<act, T>(get<T>(scale + j) * get<T>(x + j) + get<T>(shift + j)) + get<T>(residual + j));
  for (std::size_t r = 0; r < rows; ++r, x += width, y += width) {
    if (residual != nullptr) {
      DSN_FOR_ROW(width, DSN_ADDED)
      residual += width;
    } else {
      DSN_FOR_ROW(width, DSN_PLAIN)
    }
  }
#undef DSN_PLAIN
#undef DSN_ADDED
}
DSN_PER_ACTIVATION(forward_rows,
                   (const float* x, std::size_t rows, std::size_t width, const float* scale,
                    const float* shift, const float* residual, float* y),
                   (x, rows, width, scale, shift, residual, y))

template <Activation act>
DSN_INLINE void sum_rows(const float* x, const float* gy, std::size_t rows, std::size_t width,
                         const float* scale, const float* shift, float* g_sum, float* gx_sum){
#define DSN_BODY(T)                                                          \
  {                                                                          \
    const T s = get<T>(scale + j), t = get<T>(shift + j);                    \
    T all_g = get<T>(g_sum + j), all_gx = get<T>(gx_sum + j);                \
    for (std::size_t r = 0; r < rows; ++r) {                                 \
      const T in = get<T>(x + r * width + j);                                \
      const T g = get<T>(gy + r * width + j) * slope_at<act, T>(s * in + t); \
      all_g += g;                                                            \
      all_gx += g * in;                                                      \
    }                                                                        \
    put<T>(g_sum + j, all_g);                                                \
    put<T>(gx_sum + j, all_gx);                                              \
  }
    DSN_FOR_ROW(width, DSN_BODY)
#undef DSN_BODY
} DSN_PER_ACTIVATION(sum_rows,
                     (const float* x, const float* gy, std::size_t rows, std::size_t width,
                      const float* scale, const float* shift, float* g_sum, float* gx_sum),
                     (x, gy, rows, width, scale, shift, g_sum, gx_sum))

    template <Activation act>
    DSN_INLINE
    void input_rows(const float* x, const float* gy, std::size_t rows, std::size_t width, const float* scale,
                    const float* shift, const float* slope, const float* offset, float* gx) {
#define DSN_BODY(T)                                                            \
  {                                                                            \
    const T in = get<T>(x + j), s = get<T>(scale + j);                         \
    const T g = get<T>(gy + j) * slope_at<act, T>(s * in + get<T>(shift + j)); \
    put<T>(gx + j, s * g + (get<T>(slope + j) * in + get<T>(offset + j)));     \
  }
  for (std::size_t r = 0; r < rows; ++r, x += width, gy += width, gx += width) DSN_FOR_ROW(width, DSN_BODY)
#undef DSN_BODY
}
DSN_PER_ACTIVATION(input_rows,
                   (const float* x, const float* gy, std::size_t rows, std::size_t width, const float* scale,
                    const float* shift, const float* slope, const float* offset, float* gx),
                   (x, gy, rows, width, scale, shift, slope, offset, gx))

constexpr std::size_t kBlockRows =
    32;  // wide rows that float sums may take: few, so that they stay exact enough

}  // namespace

void statistics(const float* x, Rows n, std::vector<double>& mean, std::vector<double>& variance) {
  const Wide w = widen(n);
  std::vector<Moments> moments(n.channels);
  std::vector<float> sum(w.width), squares(w.width);
  const auto block = [&](const float* from, std::size_t rows, std::size_t width) {
    std::fill(sum.begin(), sum.end(), 0.F);
    std::fill(squares.begin(), squares.end(), 0.F);
    add_rows(from, rows, width, sum.data());
    for (std::size_t j = 0; j < width; ++j) sum[j] /= static_cast<float>(rows);
    add_squares(from, rows, width, sum.data(), squares.data());
    for (std::size_t j = 0, c = 0; j < width; ++j, c = c + 1 == n.channels ? 0 : c + 1)
      moments[c].join(static_cast<double>(rows), sum[j], squares[j]);
  };
  for (std::size_t r = 0; r < w.rows; r += kBlockRows)
    block(x + r * w.width, std::min(kBlockRows, w.rows - r), w.width);
  if (w.left > 0) block(x + w.rows * w.width, w.left, n.channels);
  mean.resize(n.channels);
  variance.resize(n.channels);
  for (std::size_t c = 0; c < n.channels; ++c) {
    mean[c] = moments[c].mean;
    variance[c] = moments[c].squares / moments[c].count;
  }
}

void scale_shift_act(const float* x, Rows n, const float* scale, const float* shift, Activation act,
                     const float* residual, float* y) {
  const Wide w = widen(n);
  const auto scales = repeated(scale, n.channels, w.repeat), shifts = repeated(shift, n.channels, w.repeat);
  forward_rows_any(act, x, w.rows, w.width, scales.data(), shifts.data(), residual, y);
  const std::size_t done = w.rows * w.width;
  forward_rows_any(act, x + done, w.left, n.channels, scale, shift,
                   residual == nullptr ? nullptr : residual + done, y + done);
}

void backward_sums(const float* x, const float* gy, Rows n, const float* scale, const float* shift,
                   Activation act, std::vector<double>& sum_g, std::vector<double>& sum_gx) {
  const Wide w = widen(n);
  const auto scales = repeated(scale, n.channels, w.repeat), shifts = repeated(shift, n.channels, w.repeat);
  sum_g.assign(n.channels, 0);
  sum_gx.assign(n.channels, 0);
  std::vector<float> g(w.width), gx(w.width);
  const auto block = [&](std::size_t from, std::size_t rows, std::size_t width) {
    std::fill(g.begin(), g.end(), 0.F);
    std::fill(gx.begin(), gx.end(), 0.F);
    sum_rows_any(act, x + from, gy + from, rows, width, scales.data(), shifts.data(), g.data(), gx.data());
    for (std::size_t j = 0, c = 0; j < width; ++j, c = c + 1 == n.channels ? 0 : c + 1) {
      sum_g[c] += g[j];
      sum_gx[c] += gx[j];
    }
  };
  for (std::size_t r = 0; r < w.rows; r += kBlockRows)
    block(r * w.width, std::min(kBlockRows, w.rows - r), w.width);
  block(w.rows * w.width, w.left, n.channels);
}

void backward_input(const float* x, const float* gy, Rows n, const float* scale, const float* shift,
                    Activation act, const float* slope, const float* offset, float* gx) {
  const Wide w = widen(n);
  const auto scales = repeated(scale, n.channels, w.repeat), shifts = repeated(shift, n.channels, w.repeat),
             slopes = repeated(slope, n.channels, w.repeat), offsets = repeated(offset, n.channels, w.repeat);
  input_rows_any(act, x, gy, w.rows, w.width, scales.data(), shifts.data(), slopes.data(), offsets.data(),
                 gx);
  const std::size_t done = w.rows * w.width;
  input_rows_any(act, x + done, gy + done, w.left, n.channels, scale, shift, slope, offset, gx + done);
}

}  // namespace dsn::kernels
