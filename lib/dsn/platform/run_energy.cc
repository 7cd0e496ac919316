// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/run_energy.h"

#include <fmt/format.h>

#include <algorithm>

namespace dsn {
namespace {

constexpr double kAnyWindow = 1e9;

// Of a cluster at an OPP, above what it draws idle there.
double active_power(const Cluster& cluster, const Opp& opp, int threads) {
  const auto cores = static_cast<double>(cluster.cpus.size());
  const double share = cluster.kind == ClusterKind::gpu || cores == 0 ? 1.0 : std::min(1.0, threads / cores);
  return share * std::max(0.0, *opp.busy_power_w - *opp.idle_power_w);
}

}  // namespace

std::optional<double> modelled_energy(const Platform& platform, std::span<const ClusterUse> use,
                                      double seconds) {
  if (!platform.power_known) return std::nullopt;
  double energy_j = platform.base_power_w * seconds;
  for (std::size_t c = 0; c < platform.clusters.size(); ++c) {
    const Cluster& cluster = platform.clusters[c];
    double left_s = seconds, rest_w = *cluster.opps.front().idle_power_w;
    for (const ClusterUse& part : use) {
      if (part.cluster != c || part.opp >= cluster.opps.size()) continue;
      const Opp& opp = cluster.opps[part.opp];
      const double at_s = std::max(part.seconds, part.busy_s);
      energy_j += *opp.idle_power_w * at_s + active_power(cluster, opp, part.threads) * part.busy_s;
      left_s -= at_s;
      rest_w = *opp.idle_power_w;
    }
    energy_j += rest_w * std::max(0.0, left_s);
  }
  return energy_j;
}

RunEnergyMeter::RunEnergyMeter(const Platform& platform, const std::string& meter, const fs::path& root)
    : platform_(platform) {
  try {
    if (meter == "off") {
      reason_ = "meters were not to be read";
    } else if (meter_ = open_meter(meter, root, kAnyWindow); meter_ == nullptr) {
      reason_ = "this machine has no energy meter that can be used";
    } else {
      meter_->start();
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) throw;
    meter_.reset();
    reason_ = error.message();
  }
  started_ = std::chrono::steady_clock::now();
}

RunEnergy RunEnergyMeter::stop(std::span<const ClusterUse> use) {
  RunEnergy energy;
  if (meter_ != nullptr) {
    const MeterInfo& info = meter_->info();
    try {
      const EnergyReading reading = meter_->stop();
      energy.energy_j = reading.energy_j;
      energy.seconds = reading.seconds;
      energy.samples = reading.samples;
      energy.resolution_j = reading.resolution_j;
      energy.source = fmt::format("{}: {}", info.covers,
                                  info.counter ? "energy counter" : "power, sampled and integrated");
      return energy;
    } catch (const Error& error) {
      reason_ = error.message();
    }
  }
  energy.reason = reason_;
  energy.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  energy.origin = Origin::modelled;
  energy.energy_j = modelled_energy(platform_, use, energy.seconds);
  if (energy.energy_j) {
    energy.source = fmt::format("modelled: power model of {} ({})", platform_.name, platform_.power_rail);
  } else {
    energy.reason += ", and the platform has no power model";
  }
  return energy;
}

Json to_json(const RunEnergy& energy) {
  Json json = {{"energy_seconds", energy.seconds}};
  if (!energy.energy_j) {
    json["energy_j"] = nullptr;
    json["energy_j_reason"] = energy.reason;
    return json;
  }
  json["energy_j"] = *energy.energy_j;
  json["mean_power_w"] = energy.power_w();
  json["energy_origin"] = to_string(energy.origin);
  json["energy_source"] = energy.source;
  if (energy.origin == Origin::measured) {
    json["energy_samples"] = energy.samples;
    json["energy_resolution_j"] = energy.resolution_j;
  } else if (!energy.reason.empty()) {
    json["energy_modelled_because"] = energy.reason;
  }
  return json;
}

}  // namespace dsn
