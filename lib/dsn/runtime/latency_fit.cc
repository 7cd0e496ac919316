// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/latency_fit.h"

#include <algorithm>
#include <cmath>

namespace dsn {

LatencyFit fit_latency(std::span<const double> freq_hz, std::span<const double> latency_s) noexcept {
  // Minimises sum((A u + B v - 1)^2) with u = 1/(f T) and v = 1/T: the normal equations are 2x2.
  double uu = 0, uv = 0, vv = 0, su = 0, sv = 0;
  for (std::size_t i = 0; i < freq_hz.size(); ++i) {
    const double v = 1 / latency_s[i], u = v / freq_hz[i];
    uu += u * u;
    uv += u * v;
    vv += v * v;
    su += u;
    sv += v;
  }
  LatencyFit fit;
  const double determinant = uu * vv - uv * uv;
  if (determinant > 1e-12 * uu * vv) {
    fit.cycles = (su * vv - sv * uv) / determinant;
    fit.fixed_s = (sv * uu - su * uv) / determinant;
  }
  // The constrained optimum of a convex problem in two variables lies on the edge that was crossed.
  if (fit.fixed_s < 0 || determinant <= 1e-12 * uu * vv) {
    fit.fixed_s = 0;
    fit.cycles = su / uu;
  } else if (fit.cycles < 0) {
    fit.cycles = 0;
    fit.fixed_s = sv / vv;
  }
  for (std::size_t i = 0; i < freq_hz.size(); ++i)
    fit.largest_error = std::max(fit.largest_error, std::abs(fit.at(freq_hz[i]) / latency_s[i] - 1));
  return fit;
}

}  // namespace dsn
