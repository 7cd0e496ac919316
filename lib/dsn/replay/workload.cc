// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"
#include "dsn/replay/bind.h"

namespace dsn {
namespace {

AppModel load_model(const TraceApp& app, const Trace& trace, const std::string& platform_sha256,
                    const BundleReader& read_bundle) {
  if (app.bundle.empty()) {
    AppModel model{Family::load(app.family), Lut::load(app.lut), {}};
    model.inputs = {{"family", sha256_file(app.family)}, {"lut", sha256_file(app.lut)}};
    return model;
  }
  if (!read_bundle) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{}: {}/bundle: bundles cannot be read here", trace.file, app.pointer),
                "name the family and its lut instead");
  }
  return read_bundle(app.bundle, platform_sha256);
}

// Keeps the LUT's rows of the placements that the trace allows.
void restrict_placements(const TraceApp& app, const Trace& trace, const Platform& platform, Lut& lut) {
  if (!app.cluster) return;
  const std::string& cluster = platform.clusters[bind_cluster(trace, *app.cluster, platform)].name;
  bool any = false;
  for (LutLevel& level : lut.levels) {
    std::erase_if(level.at, [&](const auto& row) {
      return row.first.cluster != cluster || (app.threads > 0 && row.first.threads != app.threads);
    });
    any = any || !level.at.empty();
  }
  if (any) return;
  const std::string threads = app.threads > 0 ? fmt::format(" with {} threads", app.threads) : std::string();
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: {}/placement: found cluster {}{}, expected one that the LUT has levels for",
                          trace.file, app.pointer, cluster, threads));
}

std::vector<CostTable> cost_tables(const std::vector<AppModel>& models, const Platform& platform) {
  std::vector<CostTable> tables;
  tables.reserve(models.size());
  for (const AppModel& model : models) tables.emplace_back(model.family, model.lut, platform);
  return tables;
}

// The highest frequency at which `lut` has levels on `cluster`.
double measured_frequency(const Lut& lut, const std::string& cluster) {
  double freq_hz = 0;
  for (const LutLevel& level : lut.levels) {
    for (const auto& [point, entry] : level.at) {
      if (point.cluster == cluster) freq_hz = std::max(freq_hz, point.freq_hz);
    }
  }
  return freq_hz;
}

// Clusters with a placement of one known frequency lose their other OPPs. Returns a warning for each.
std::vector<std::string> hold_unmeasured(const Trace& trace, const std::vector<AppModel>& models,
                                         const std::vector<CostTable>& costs, Platform& platform) {
  std::vector<std::string> warnings;
  for (std::size_t a = 0; a < costs.size(); ++a) {
    for (std::size_t p = 0; p < costs[a].placements().size(); ++p) {
      Cluster& cluster = platform.clusters[static_cast<std::size_t>(costs[a].placements()[p].cluster)];
      if (costs[a].opps(static_cast<int>(p)) != 1 || cluster.opps.size() == 1) continue;
      const double freq_hz = measured_frequency(models[a].lut, cluster.name);
      const Opp held =
          freq_hz == 0
              ? cluster.opps.back()
              : *std::min_element(cluster.opps.begin(), cluster.opps.end(), [&](const Opp& x, const Opp& y) {
                  return std::abs(x.freq_hz - freq_hz) < std::abs(y.freq_hz - freq_hz);
                });
      cluster.opps = {held};
      warnings.push_back(fmt::format(
          "cluster {} is held at {}: task {} was measured there only, so governors and policies have "
          "nothing to choose",
          cluster.name, format_frequency(held.freq_hz), trace.apps[a].name));
    }
  }
  return warnings;
}

}  // namespace

LoadedWorkload load_workload(const fs::path& trace_path, const fs::path& platform_path,
                             const BundleReader& read_bundle) {
  Trace trace = load_trace(trace_path);
  const fs::path path = platform_path.empty() ? trace.platform : platform_path;
  std::optional<Platform> given;
  if (!path.empty()) given = load_platform(path);
  std::vector<AppModel> models;
  for (const TraceApp& app : trace.apps) {
    // Without a platform the first task's is everybody's.
    const std::string wanted =
        given ? given->sha256 : (models.empty() ? std::string() : models.front().lut.platform_sha256);
    models.push_back(load_model(app, trace, wanted, read_bundle));
  }
  if (given) return bind_workload(std::move(trace), std::move(*given), std::move(models));
  const Json& document = models.front().lut.platform_document;
  if (document.empty()) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: no platform: neither the trace nor its first look-up table has one", trace.file),
        "give --platform, or \"platform\" in the trace");
  }
  Platform platform =
      parse_platform(document, fmt::format("platform in the LUT of task {}", trace.apps.front().name));
  return bind_workload(std::move(trace), std::move(platform), std::move(models));
}

LoadedWorkload bind_workload(Trace trace, Platform platform, std::vector<AppModel> models) {
  LoadedWorkload loaded;
  loaded.inputs = {{"trace", trace.sha256}, {"platform", sha256_hex(dump_json(platform.document))}};
  for (std::size_t a = 0; a < models.size(); ++a) {
    Lut& lut = models[a].lut;
    const std::string& name = trace.apps.at(a).name;
    if (!lut.platform_sha256.empty() && lut.platform_sha256 != platform.sha256) {
      throw Error(
          ErrorCode::mismatch,
          fmt::format("{}: the LUT of task {} is of platform {}, the trace runs on {} ({})", trace.file, name,
                      lut.platform_sha256.substr(0, 12), platform.sha256.substr(0, 12), platform.name),
          "profile on that platform, or name no platform to use the one in the LUT");
    }
    restrict_placements(trace.apps[a], trace, platform, lut);
    for (const InputHash& input : models[a].inputs) {
      loaded.inputs.push_back({fmt::format("{}/{}", name, input.role), input.sha256});
    }
  }
  std::vector<CostTable> costs = cost_tables(models, platform);
  loaded.warnings = hold_unmeasured(trace, models, costs, platform);
  if (!loaded.warnings.empty()) costs = cost_tables(models, platform);
  loaded.workload = {std::move(trace), std::move(platform), std::move(costs)};
  check_workload(loaded.workload);
  return loaded;
}

}  // namespace dsn
