// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/units.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <span>

#include "dsn/core/error.h"

namespace dsn {
namespace {

struct Unit {
  std::string_view name;
  double factor;  // to SI
};

constexpr Unit kDurations[] = {{"ns", 1e-9}, {"us", 1e-6}, {"µs", 1e-6}, {"ms", 1e-3},
                               {"s", 1},     {"min", 60},  {"h", 3600}};
constexpr Unit kFrequencies[] = {{"Hz", 1}, {"kHz", 1e3}, {"MHz", 1e6}, {"GHz", 1e9}};
constexpr Unit kFractions[] = {{"", 1}, {"%", 0.01}};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// A quantity that someone typed; std::from_chars, since what a number looks like must not depend on the
// locale.
struct Quantity {
  std::string_view text;
  std::string_view what;
  std::string_view hint;

  [[noreturn]] void fail(std::string_view expected) const {
    throw Error(ErrorCode::bad_usage, fmt::format("{}: found \"{}\", expected {}", what, text, expected),
                std::string(hint));
  }

  [[nodiscard]] double parse(std::span<const Unit> units, std::string_view expected) const {
    const std::string_view body = trimmed(text);
    double value = 0;
    const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value);
    if (error != std::errc{} || !std::isfinite(value)) fail(expected);
    const std::string_view name = trimmed(body.substr(static_cast<std::size_t>(end - body.data())));
    for (const Unit& unit : units) {
      if (unit.name != name) continue;
      // Dividing keeps decimal inputs exact where multiplying by 1e-3 would not: 20ms is 0.02.
      const double scaled = unit.factor < 1 ? value / std::round(1 / unit.factor) : value * unit.factor;
      if (!std::isfinite(scaled) || std::signbit(value)) fail(expected);
      return scaled;
    }
    fail(expected);
  }
};

struct Scale {
  double factor;
  std::string_view unit;
};

// Three significant digits in the largest unit of which there is at least one. `scales` ascends.
std::string format_scaled(double value, std::span<const Scale> scales, bool countable) {
  const std::string_view base_unit = [&] {
    for (const Scale& scale : scales) {
      if (scale.factor == 1) return scale.unit;
    }
    return scales.front().unit;
  }();
  const auto with_unit = [](const std::string& number, std::string_view unit) {
    return unit.empty() ? number : fmt::format("{} {}", number, unit);
  };
  if (!std::isfinite(value)) return "n/a";
  if (value == 0) return with_unit("0", base_unit);
  const double magnitude = std::abs(value);
  for (std::size_t i = scales.size(); i-- > 0;) {
    const double scaled = magnitude / scales[i].factor;
    // 0.9995 would be shown as 1.00: it belongs to this unit already.
    if (scaled < 0.9995 && i > 0) continue;
    if (countable && scales[i].factor == 1 && scaled == std::floor(scaled) && scaled < 1000)
      return with_unit(fmt::format("{:.0f}", value), scales[i].unit);
    if (scaled < 0.9995) return with_unit(fmt::format("{:.3g}", value / scales[i].factor), scales[i].unit);
    const int decimals = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
    return with_unit(fmt::format("{:.{}f}", value / scales[i].factor, decimals), scales[i].unit);
  }
  return "n/a";
}

}  // namespace

double parse_duration(std::string_view text, std::string_view what) {
  const Quantity quantity{text, what, "give a number with a unit: ns, us, ms, s, min or h, as in 20ms"};
  return quantity.parse(kDurations, "a duration with its unit");
}

double parse_frequency(std::string_view text, std::string_view what) {
  const Quantity quantity{text, what, "give a number with a unit: Hz, kHz, MHz or GHz, as in 1.5GHz"};
  const double hertz = quantity.parse(kFrequencies, "a frequency with its unit");
  if (hertz == 0) quantity.fail("a frequency above 0");
  return hertz;
}

double parse_fraction(std::string_view text, std::string_view what) {
  const Quantity quantity{text, what, "give a fraction from 0 to 1 or a percentage, as in 0.91 or 91%"};
  const double fraction = quantity.parse(kFractions, "a fraction from 0 to 1");
  if (fraction > 1) quantity.fail("a fraction from 0 to 1");
  return fraction;
}

std::string format_duration(double seconds) {
  constexpr Scale kScales[] = {{1e-9, "ns"}, {1e-6, "us"}, {1e-3, "ms"}, {1, "s"}, {60, "min"}, {3600, "h"}};
  return format_scaled(seconds, kScales, false);
}

std::string format_energy(double joules) {
  constexpr Scale kScales[] = {{1e-9, "nJ"}, {1e-6, "uJ"}, {1e-3, "mJ"}, {1, "J"}, {1e3, "kJ"}, {1e6, "MJ"}};
  return format_scaled(joules, kScales, false);
}

std::string format_power(double watts) {
  constexpr Scale kScales[] = {{1e-6, "uW"}, {1e-3, "mW"}, {1, "W"}, {1e3, "kW"}};
  return format_scaled(watts, kScales, false);
}

std::string format_frequency(double hertz) {
  constexpr Scale kScales[] = {{1, "Hz"}, {1e3, "kHz"}, {1e6, "MHz"}, {1e9, "GHz"}};
  return format_scaled(hertz, kScales, false);
}

std::string format_bytes(double bytes) {
  constexpr Scale kScales[] = {{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}};
  return format_scaled(bytes, kScales, true);
}

std::string format_count(double count) {
  constexpr Scale kScales[] = {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}};
  return format_scaled(count, kScales, true);
}

std::string format_percent(double fraction) {
  if (!std::isfinite(fraction)) return "n/a";
  // A share that is not all, or not nothing, must not be rounded to it.
  if (fraction < 1 && fraction >= 0.9995) return ">99.9 %";
  if (fraction > 0 && fraction < 0.0005) return "<0.1 %";
  return fmt::format("{:.1f} %", 100 * fraction);
}

}  // namespace dsn
