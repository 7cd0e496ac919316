// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/power_limits.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dsn {
namespace {

constexpr double kSettle = 0.5;      // seconds that a measured power lags behind a change
constexpr double kLearnEvery = 0.1;  // seconds
constexpr double kLearn = 0.2;       // weight of one reading
constexpr double kMostWrong = 0.5;   // of the cap: beyond it, the reading is of something else

}  // namespace

int PowerLimits::highest_opp(std::size_t cluster, const ClusterView& view, double now_s) noexcept {
  Heat& heat = heat_[cluster];
  if (!view.max_temp_c || !view.temp_c || !std::isfinite(*view.temp_c)) {
    // A cap that has gone, or a sensor that has: what was lowered for it comes back at once.
    heat.highest = kNone;
    return view.max_opp;
  }
  const double over_c = *view.temp_c - *view.max_temp_c;
  const int highest = std::min(heat.highest, view.max_opp);
  if (now_s - heat.changed_s >= kStep) {
    if (over_c > 0) {
      const int steps = 1 + static_cast<int>(std::min(over_c / kDegrees, 8.0));
      heat.highest = std::max(std::min(highest, std::max(view.opp, view.min_opp)) - steps, view.min_opp);
      heat.changed_s = now_s;
    } else if (over_c < -kCool && heat.highest != kNone) {
      heat.highest = heat.highest >= view.max_opp ? kNone : heat.highest + 1;
      heat.changed_s = now_s;
    }
  }
  return std::clamp(heat.highest, view.min_opp, view.max_opp);
}

double PowerLimits::allowed_w(const SystemView& view) noexcept {
  if (view.power_cap_w <= 0) return std::numeric_limits<double>::infinity();
  const bool steady = view.now_s - since_s_ >= kSettle && view.now_s - learned_s_ >= kLearnEvery;
  if (view.power_w && std::isfinite(*view.power_w) && modelled_w_ > 0 && steady) {
    const double most_w = kMostWrong * view.power_cap_w;
    const double wrong_w = std::clamp(*view.power_w - modelled_w_, -most_w, most_w);
    unmodelled_w_ += kLearn * (wrong_w - unmodelled_w_);
    learned_s_ = view.now_s;
  }
  return view.power_cap_w - unmodelled_w_;
}

void PowerLimits::chosen(double modelled_w, bool changed, double now_s) noexcept {
  modelled_w_ = modelled_w;
  if (changed) since_s_ = now_s;
}

}  // namespace dsn
