// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/metrics.h"

#include <algorithm>
#include <cmath>

namespace dsn {
namespace {

enum class Whole { sum, worst_high, worst_low };

struct Source {
  const char* name;
  const char* pointer;  // in a policy, or in one of its apps
  Whole whole = Whole::worst_high;
};

constexpr Source kPlatform[] = {{"energy_j", "/energy/total_j"},
                                {"active_j", "/energy/above_idle_j"},
                                {"idle_j", "/energy/idle_j"},
                                {"static_j", "/energy/static_j"},
                                {"power_w", "/energy/mean_power_w"},
                                {"energy_per_inference_j", "/energy/per_inference_j"},
                                {"gap_to_oracle", "/energy/gap_to_oracle"},
                                {"gap_at_accuracy", "/energy/gap_at_accuracy"}};

constexpr Source kApp[] = {{"deadline_miss", "/deadlines/missed_share"},
                           {"deadline_met", "/deadlines/met_share", Whole::worst_low},
                           {"accuracy", "/accuracy/mean", Whole::worst_low},
                           {"latency_mean_s", "/latency/mean_s"},
                           {"latency_p50_s", "/latency/p50_s"},
                           {"latency_p95_s", "/latency/p95_s"},
                           {"latency_p99_s", "/latency/p99_s"},
                           {"latency_max_s", "/latency/max_s"},
                           {"active_per_inference_j", "/energy/above_idle_per_inference_j"},
                           {"level_switches", "/switches/level", Whole::sum},
                           {"arrivals", "/arrivals", Whole::sum},
                           {"completed", "/completed", Whole::sum},
                           {"skipped", "/skipped", Whole::sum},
                           {"infeasible", "/infeasible", Whole::sum}};

Figure read(const Json& object, const char* pointer) {
  const Json& value = object.at(Json::json_pointer(pointer));
  if (value.is_number()) return {value.get<double>(), {}};
  return {std::nullopt, object.at(Json::json_pointer(std::string(pointer) + "_reason")).get<std::string>()};
}

// Adds an application's figure to that of all.
void merge(Figure& whole, const Figure& one, Whole how, bool first) {
  if (first || !one.value) {
    whole = one;
  } else if (whole.value) {
    const double a = *whole.value, b = *one.value;
    whole.value = how == Whole::sum ? a + b : how == Whole::worst_high ? std::max(a, b) : std::min(a, b);
  }
}

}  // namespace

std::vector<std::string> figure_names() {
  std::vector<std::string> names;
  for (const Source& source : kPlatform) names.emplace_back(source.name);
  names.emplace_back("opp_switches");
  for (const Source& source : kApp) names.emplace_back(source.name);
  return names;
}

bool is_app_figure(const std::string& name) {
  return std::any_of(std::begin(kApp), std::end(kApp), [&](const Source& s) { return name == s.name; });
}

Figures figures_of(const Json& policy) {
  Figures figures;
  for (const Source& source : kPlatform) figures[source.name] = read(policy, source.pointer);
  double switches = 0;
  for (const Json& cluster : policy.at("clusters")) switches += cluster.at("opp_switches").get<double>();
  figures["opp_switches"] = {switches, {}};
  bool first = true;
  for (const Json& app : policy.at("apps")) {
    const std::string name = app.at("name").get<std::string>();
    for (const Source& source : kApp) {
      const Figure figure = read(app, source.pointer);
      merge(figures[source.name], figure, source.whole, first);
      figures[name + "." + source.name] = figure;
    }
    first = false;
  }
  return figures;
}

double student_t95(int degrees) noexcept {
  constexpr double kFew[] = {12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600};
  if (degrees <= static_cast<int>(std::size(kFew))) return kFew[std::max(degrees, 1) - 1];
  // Cornish and Fisher's expansion around the normal quantile (Abramowitz and Stegun 26.7.5).
  const double z = 1.959964, v = degrees;
  const double z3 = z * z * z, z5 = z3 * z * z;
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v);
}

Json over_seeds(const std::vector<Figures>& seeds) {
  Json json = Json::object();
  const auto n = static_cast<double>(seeds.size());
  for (const auto& [name, unused] : seeds.front()) {
    double sum = 0, low = 0, high = 0;
    const std::string* reason = nullptr;
    for (const Figures& figures : seeds) {
      const Figure& figure = figures.at(name);
      if (!figure.value) {
        reason = &figure.reason;
        break;
      }
      low = &figures == &seeds.front() ? *figure.value : std::min(low, *figure.value);
      high = &figures == &seeds.front() ? *figure.value : std::max(high, *figure.value);
      sum += *figure.value;
    }
    if (reason != nullptr) {
      json[name] = {{"mean", nullptr}, {"mean_reason", *reason}};
      continue;
    }
    const double mean = sum / n;
    Json& out = json[name] = {{"mean", mean}, {"min", low}, {"max", high}};
    if (seeds.size() < 2) {
      out["interval_95"] = nullptr;
      out["interval_95_reason"] = "one seed";
      continue;
    }
    double squares = 0;
    for (const Figures& figures : seeds) squares += std::pow(*figures.at(name).value - mean, 2);
    const double half = student_t95(static_cast<int>(seeds.size()) - 1) * std::sqrt(squares / (n - 1) / n);
    out["interval_95"] = {mean - half, mean + half};
  }
  return json;
}

}  // namespace dsn
