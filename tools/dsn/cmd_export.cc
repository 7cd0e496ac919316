// SPDX-License-Identifier: Apache-2.0
// dsn export: what a device needs, in one folder.
#include <fmt/format.h>

#include <memory>

#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"
#include "dsn/deploy/bundle.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string format = "bundle", supernet, family, lut, out;
};

// The LUT that dsn search measured the levels into, unless another one was given.
fs::path lut_of(const Flags& flags) {
  if (!flags.lut.empty()) return flags.lut;
  const Family family = Family::load(flags.family);
  if (family.lut_file.empty()) {
    throw Error(ErrorCode::bad_usage, fmt::format("{} has no measured levels", flags.family),
                "give their look-up table with --lut (dsn profile --levels makes one)");
  }
  return fs::path(flags.family).parent_path() / family.lut_file;
}

std::string describe(const Bundle& bundle) {
  Table table;
  table.column("level");
  table.column("MMACs");
  table.column("k params");
  table.column("accuracy %");
  table.column("sub-network", Table::Align::left);
  for (const Level& level : bundle.family.levels) {
    table.row({std::to_string(level.id), fmt::format("{:.2f}", static_cast<double>(level.macs) / 1e6),
               fmt::format("{:.0f}", static_cast<double>(level.params) / 1e3),
               fmt::format("{:.2f}", level.accuracy * 100), bundle.space.describe(level.config)});
  }
  return fmt::format("{}wrote {} ({})\n", table.str(), bundle.path.string(),
                     format_bytes(static_cast<double>(bundle.size_bytes)));
}

int run(const Flags& flags, const Session& session) {
  if (flags.format != "bundle") {
    throw Error(ErrorCode::bad_usage, fmt::format("--format: found '{}', expected: bundle", flags.format));
  }
  session.job.begin("export", 1);
  write_bundle({flags.supernet, flags.family, {lut_of(flags)}}, flags.out);
  session.job.end();
  const Bundle bundle = Bundle::open(flags.out);  // read back: what was written is what a device will accept
  for (const auto& doubt : bundle.family.calibration_doubts()) session.job.warn(doubt);
  session.result(bundle.manifest, describe(bundle));
  return done_status();
}

}  // namespace

Command add_export(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app =
      *root.add_subcommand("export", "Put a family and its weights into the folder that a device needs");
  app.add_option("--format", flags->format, "bundle")->capture_default_str();
  add_path(app, "--supernet", flags->supernet, "Checkpoint of dsn train")->required();
  add_path(app, "--family", flags->family, "Family of dsn search, with its batch-norm file beside it")
      ->required();
  add_path(app, "--lut", flags->lut,
           "Look-up table with the levels' rows; default: the one beside the family");
  add_path(app, "-o,--out", flags->out, "Folder to write; an older bundle there is replaced")->required();
  add_common(app, common, "dsn export --supernet fmnist.safetensors --family family.json --out bundle",
             "dsn export --supernet fmnist.safetensors --family family.json --lut board.lut.json --out "
             "bundle-board");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
