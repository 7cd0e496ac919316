// SPDX-License-Identifier: Apache-2.0
// "arrivals" of a trace: what belongs to which process, and what excludes what.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "dsn/core/error.h"
#include "dsn/replay/trace_parts.h"

namespace dsn {
namespace {

constexpr std::pair<ArrivalProcess, std::string_view> kProcesses[] = {
    {ArrivalProcess::periodic, "periodic"}, {ArrivalProcess::poisson, "poisson"},
    {ArrivalProcess::gamma, "gamma"},       {ArrivalProcess::mmpp, "mmpp"},
    {ArrivalProcess::ramp, "ramp"},         {ArrivalProcess::diurnal, "diurnal"},
    {ArrivalProcess::recorded, "recorded"}};
constexpr std::pair<OnOverrun, std::string_view> kOverruns[] = {{OnOverrun::skip, "skip"},
                                                                {OnOverrun::queue, "queue"},
                                                                {OnOverrun::late, "late"},
                                                                {OnOverrun::abort, "abort"}};

// Keys that only some processes have, beside period_s and rate_hz.
struct Owned {
  const char* key;
  std::initializer_list<ArrivalProcess> by;
};
const Owned kOwned[] = {{"jitter_s", {ArrivalProcess::periodic}},
                        {"cv2", {ArrivalProcess::gamma, ArrivalProcess::ramp, ArrivalProcess::diurnal}},
                        {"rates_hz", {ArrivalProcess::mmpp}},
                        {"dwell_s", {ArrivalProcess::mmpp}},
                        {"from_hz", {ArrivalProcess::ramp}},
                        {"to_hz", {ArrivalProcess::ramp}},
                        {"swing", {ArrivalProcess::diurnal}},
                        {"day_s", {ArrivalProcess::diurnal}},
                        {"peak_s", {ArrivalProcess::diurnal}},
                        {"times_s", {ArrivalProcess::recorded}},
                        {"factors", {ArrivalProcess::recorded}}};

void read_mmpp(const JsonView& v, double length_s, Arrivals& arrivals) {
  arrivals.rates_hz = v["rates_hz"].numbers();
  arrivals.dwell_s = v["dwell_s"].numbers();
  if (arrivals.dwell_s.size() != arrivals.rates_hz.size())
    v["dwell_s"].fail(fmt::format("as many as rates_hz ({})", arrivals.rates_hz.size()));
  double expected = 0, time = 0;
  for (std::size_t i = 0; i < arrivals.dwell_s.size(); ++i) {
    expected += arrivals.rates_hz[i] * arrivals.dwell_s[i];
    time += arrivals.dwell_s[i];
  }
  if (expected <= 0) v["rates_hz"].fail("a rate above 0");
  // A bound on the work of drawing them.
  const double shortest = length_s * 1e-7;
  if (time / static_cast<double>(arrivals.dwell_s.size()) < shortest)
    v["dwell_s"].fail(fmt::format("at least {} s on average for a phase of {} s", shortest, length_s));
  arrivals.period_s = time / expected;
}

void read_recorded(const JsonView& v, double length_s, Arrivals& arrivals) {
  arrivals.times_s = v["times_s"].numbers();
  const std::vector<double>& times = arrivals.times_s;
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (times[i] >= length_s)
      v["times_s"][i].fail(fmt::format("less than the phase's length ({} s)", length_s));
    if (i > 0 && times[i] < times[i - 1])
      v["times_s"][i].fail(fmt::format("at least {} s: times ascend", times[i - 1]));
  }
  if (v.has("factors")) {
    arrivals.factors = v["factors"].numbers();
    if (arrivals.factors.size() != times.size())
      v["factors"].fail(fmt::format("as many as times_s ({})", times.size()));
  }
  arrivals.period_s = times.empty() ? length_s : length_s / static_cast<double>(times.size());
}

}  // namespace

void refuse(const JsonView& v, std::initializer_list<const char*> keys, std::string_view why) {
  for (const char* key : keys) {
    if (v.json().contains(key)) v[key].fail(fmt::format("no {} {}", key, why));
  }
}

std::string optional_text(const JsonView& v, std::string_view key) {
  return v.has(key) ? v[key].text() : std::string();
}

std::optional<double> optional_number(const JsonView& v, std::string_view key) {
  return v.has(key) ? std::optional(v[key].number()) : std::nullopt;
}

std::string_view to_string(ArrivalProcess process) noexcept {
  for (const auto& [value, name] : kProcesses) {
    if (value == process) return name;
  }
  return "?";
}

std::string_view to_string(OnOverrun overrun) noexcept {
  for (const auto& [value, name] : kOverruns) {
    if (value == overrun) return name;
  }
  return "?";
}

ArrivalProcess parse_process(const JsonView& v) {
  for (const auto& [value, name] : kProcesses) {
    if (v.text() == name) return value;
  }
  v.fail("periodic, poisson, gamma, mmpp, ramp, diurnal or recorded");
}

OnOverrun parse_overrun(const JsonView& v) {
  for (const auto& [value, name] : kOverruns) {
    if (v.text() == name) return value;
  }
  v.fail("skip, queue, late or abort");
}

Arrivals read_arrivals(const JsonView& v, double length_s) {
  Arrivals arrivals;
  if (v.has("process")) arrivals.process = parse_process(v["process"]);
  const ArrivalProcess process = arrivals.process;
  for (const Owned& owned : kOwned) {
    if (std::find(owned.by.begin(), owned.by.end(), process) == owned.by.end())
      refuse(v, {owned.key}, fmt::format("in {} arrivals", to_string(process)));
  }
  if (process == ArrivalProcess::mmpp || process == ArrivalProcess::ramp ||
      process == ArrivalProcess::recorded) {
    refuse(v, {"period_s", "rate_hz"}, fmt::format("in {} arrivals", to_string(process)));
  } else {
    if (v.has("period_s") == v.has("rate_hz")) v.fail("either period_s or rate_hz");
    arrivals.period_s = v.has("period_s") ? v["period_s"].number() : 1.0 / v["rate_hz"].number();
  }
  // More would let arrivals overtake each other.
  if (v.has("jitter_s")) arrivals.jitter_s = v["jitter_s"].number(0, arrivals.period_s);
  if (process == ArrivalProcess::gamma) arrivals.cv2 = v["cv2"].number(1e-3, 1e3);
  if (process == ArrivalProcess::mmpp) read_mmpp(v, length_s, arrivals);
  if (process == ArrivalProcess::recorded) read_recorded(v, length_s, arrivals);
  if (process == ArrivalProcess::ramp || process == ArrivalProcess::diurnal)
    arrivals.cv2 = optional_number(v, "cv2").value_or(1);
  if (arrivals.cv2 > 0 && arrivals.cv2 < 1e-3) v["cv2"].fail("0 or at least 0.001");
  if (process == ArrivalProcess::ramp) {
    arrivals.from_hz = v["from_hz"].number();
    arrivals.to_hz = v["to_hz"].number();
    if (arrivals.from_hz + arrivals.to_hz <= 0) v["to_hz"].fail("a rate above 0 at one end");
    arrivals.period_s = 2 / (arrivals.from_hz + arrivals.to_hz);
  }
  if (process == ArrivalProcess::diurnal) {
    arrivals.swing = v["swing"].number(0, 1);
    arrivals.day_s = v["day_s"].number();
    arrivals.peak_s = optional_number(v, "peak_s").value_or(arrivals.day_s / 2);
  }
  return arrivals;
}

double Arrivals::period_at(double t_s, double length_s) const noexcept {
  double rate = 0;
  if (process == ArrivalProcess::ramp) {
    rate = from_hz + (to_hz - from_hz) * t_s / length_s;
  } else if (process == ArrivalProcess::diurnal) {
    rate = (1 + swing * std::cos(2 * std::numbers::pi * (t_s - peak_s) / day_s)) / period_s;
  } else {
    return period_s;
  }
  return rate > 1e-6 ? 1 / rate : 1e6;
}

}  // namespace dsn
