// SPDX-License-Identifier: Apache-2.0
#include "cli/import_lut.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/profile/ofa_tables.h"

namespace dsn::cli {
namespace {

constexpr double kPublishedWidths[] = {1.0, 1.2};
constexpr std::size_t kMostNamed = 8;  // missing rows on the terminal; the file names all

struct Imported {
  SearchSpace space;
  OfaTables tables;
};

// Without --width-mult the shapes in the tables say which of the published widths they are of.
Imported read_tables(const ImportLutFlags& flags, const Platform& platform, const OperatingPoint& point) {
  const Json document = read_json(flags.tables);
  std::vector<double> widths{flags.width_mult};
  if (flags.width_mult == 0)
    widths.insert(widths.end(), std::begin(kPublishedWidths), std::end(kPublishedWidths));
  std::optional<Imported> best;
  std::optional<Error> refused;
  for (const double width : widths) {
    SearchSpace space = SearchSpace::load(flags.space, width, flags.classes);
    try {
      OfaTables tables = import_ofa_tables(document, flags.tables, space, platform, point);
      if (!best || tables.missing.size() < best->tables.missing.size())
        best = Imported{std::move(space), std::move(tables)};
    } catch (const Error& error) {
      if (!refused) refused = error;
    }
  }
  if (!best) throw *refused;
  return std::move(*best);
}

std::string pick_cluster(const Platform& platform, const std::string& asked) {
  if (!asked.empty()) {
    static_cast<void>(platform.cluster_index(asked));
    return asked;
  }
  if (platform.clusters.size() == 1) return platform.clusters.front().name;
  std::vector<std::string> names;
  for (const Cluster& cluster : platform.clusters) names.push_back(cluster.name);
  throw Error(ErrorCode::bad_usage, fmt::format("--cluster is required: {} has several", platform.name),
              fmt::format("one of {}", fmt::join(names, ", ")));
}

}  // namespace

int import_lut(const ImportLutFlags& flags, const Session& session) {
  check_writable(flags.out);
  const std::string source = fs::path(flags.tables).filename().string();
  const Platform platform = flags.platform.empty()
                                ? bare_platform("not described; latencies of " + source, source)
                                : load_platform(flags.platform);
  // Published tables state neither frequency nor threads nor batch: one of each is what they are used as.
  const OperatingPoint point{pick_cluster(platform, flags.cluster), 1, 0, 1};
  const Imported imported = read_tables(flags, platform, point);
  const OfaTables& tables = imported.tables;

  Json settings = {{"space", imported.space.name()},
                   {"width_mult", imported.space.width_mult()},
                   {"cluster", point.cluster},
                   {"what", tables.what}};
  Json document = pure_envelope("dsn.lut", 0, {{"tables", sha256_file(flags.tables)}}, std::move(settings));
  Json& warnings = document["warnings"];
  warnings.push_back(
      "latency_s is the published mean, mad_s 0.6745 of the published standard deviation; frequency, threads "
      "and "
      "batch are not stated");
  for (const auto& row : tables.missing) warnings.push_back("missing: " + row);
  for (const auto& row : tables.unused) warnings.push_back("not used: " + row);
  document.update(tables.lut.to_json());
  write_file_atomic(flags.out, dump_json(document));

  std::size_t named = 0;
  for (const auto& row : tables.missing) {
    if (++named <= kMostNamed) session.job.warn("missing: " + row);
  }
  if (named > kMostNamed)
    session.job.warn(fmt::format("missing: {} more, all named in {}", named - kMostNamed, flags.out));
  session.result(
      document,
      fmt::format("{} units of space {} at width {}, published, at ({})\n{}{} missing, {} rows not "
                  "used\nwrote {}\nnext: dsn search --space {} --width-mult {} --predictor "
                  "P.safetensors --lut {}\n",
                  tables.lut.units.size(), imported.space.name(), imported.space.width_mult(),
                  describe(point), tables.what.empty() ? "" : tables.what + "\n", tables.missing.size(),
                  tables.unused.size(), flags.out, flags.space, imported.space.width_mult(), flags.out));
  return done_status();
}

}  // namespace dsn::cli
