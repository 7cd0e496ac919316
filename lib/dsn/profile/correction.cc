// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/correction.h"

#include <algorithm>
#include <cmath>

#include "dsn/core/stats.h"

namespace dsn {
namespace {

struct Line {
  double scale = 1, offset = 0;
};

// Minimises sum(((scale x + offset - y) / y)^2) over all but `skip`.
Line fit_line(std::span<const double> x, std::span<const double> y, std::size_t skip) {
  double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0, smallest_x = 0, smallest_y = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i == skip) continue;
    const double a = x[i] / y[i], b = 1 / y[i];
    aa += a * a;
    ab += a * b;
    bb += b * b;
    a1 += a;
    b1 += b;
    if (count == 0 || x[i] < smallest_x) {
      smallest_x = x[i];
      smallest_y = y[i];
    }
    ++count;
  }
  if (count == 0) return {};
  const Line through_origin{a1 / aa, 0};
  const double determinant = aa * bb - ab * ab;
  if (count < 3 || determinant <= 1e-9 * aa * bb) return through_origin;
  const Line line{(a1 * bb - b1 * ab) / determinant, (b1 * aa - a1 * ab) / determinant};
  const bool sane = line.scale > 0 && line.scale * smallest_x + line.offset > 0.5 * smallest_y;
  return sane ? line : through_origin;
}

}  // namespace

CorrectionFit fit_correction(std::span<const double> sums, std::span<const double> measured) {
  CorrectionFit fit;
  const Line line = fit_line(sums, measured, sums.size());
  fit.correction.scale = line.scale;
  fit.correction.offset_s = line.offset;
  fit.correction.count = static_cast<int>(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const Line others = fit_line(sums, measured, i);
    fit.held_out_s.push_back(others.scale * sums[i] + others.offset);
  }
  if (!sums.empty()) {
    fit.correction.mape = mape(fit.held_out_s, measured);
    fit.kendall_tau = kendall_tau(fit.held_out_s, measured);
  }
  return fit;
}

std::optional<double> common_drift(std::span<const double> predicted, std::span<const double> measured,
                                   double tolerance) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < predicted.size(); ++i) ratios.push_back(measured[i] / predicted[i]);
  if (ratios.size() < 2) return std::nullopt;
  const double middle = median(ratios);
  const auto fits = [&](double ratio) { return std::abs(ratio / middle - 1) <= tolerance; };
  if (std::abs(middle - 1) <= tolerance || !std::ranges::all_of(ratios, fits)) return std::nullopt;
  return middle;
}

}  // namespace dsn
