// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/loss_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/stats.h"

namespace dsn {
namespace {

constexpr double kExplosion = 10;

}  // namespace

std::string LossWatch::check(double loss, double gradient_norm) {
  if (!std::isfinite(loss)) return fmt::format("loss {}", loss);
  if (!std::isfinite(gradient_norm)) return fmt::format("gradient norm {}", gradient_norm);
  const double highest = recent_.empty() ? loss : *std::max_element(recent_.begin(), recent_.end());
  if (options_.spike > 0 && loss > kExplosion * std::max(highest, 1.0))
    return fmt::format("loss {:.3g} is over {} times the highest of the last {} steps, {:.3g}", loss,
                       kExplosion, recent_.size(), highest);
  if (options_.spike > 0 && recent_.size() >= std::max<std::size_t>(20, options_.window / 5)) {
    const std::vector<double> losses = recent();
    const double centre = median(losses);
    // The floor keeps an almost constant loss from making a spike of every wobble.
    const double deviation = std::max(1.4826 * mad(losses), 0.02 * std::abs(centre));
    const double above = (loss - centre) / deviation;
    if (above > options_.spike) {
      return fmt::format(
          "loss {:.3g} is {:.0f} robust deviations above the median {:.3g} of the last {} steps", loss, above,
          centre, losses.size());
    }
  }
  recent_.push_back(loss);
  if (recent_.size() > options_.window) recent_.pop_front();
  return {};
}

}  // namespace dsn
