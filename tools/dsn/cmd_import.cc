// SPDX-License-Identifier: Apache-2.0
// dsn import: super-networks and latency tables of other tools.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "cli/flags.h"
#include "cli/import_lut.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/core/staged_folder.h"
#include "dsn/core/units.h"
#include "dsn/space/network.h"
#include "dsn/supernet/ofa_import.h"

namespace dsn::cli {
namespace {

constexpr const char* kWeightsFile = "supernet.safetensors";
constexpr const char* kSpaceFile = "space.json";

struct Flags {
  std::string format, checkpoint, space = "ofa-mbv3", out;
  double width_mult = 0;  // 0: the space's own
  int classes = 0;        // 0: the space's own
  std::string platform, cluster;
};

// Only what an import wrote, or an empty folder, may be replaced: --out must not cost anyone their files.
void require_replaceable(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(folder, ignored))) return;
  if (fs::is_directory(folder, ignored)) {
    const fs::directory_iterator entries(folder);
    if (std::all_of(begin(entries), end(entries), [](const fs::directory_entry& entry) {
          return entry.path().filename() == kWeightsFile || entry.path().filename() == kSpaceFile;
        })) {
      return;
    }
  }
  throw Error(ErrorCode::bad_usage,
              fmt::format("{} exists and is not an imported super-network", folder.string()),
              "name a folder that does not exist yet");
}

std::size_t count_values(const OfaImport& import) {
  std::size_t count = 0;
  for (const auto& [name, values] : import.tensors) count += values.size();
  return count;
}

Json cost(const SearchSpace& space, const SubnetConfig& config) {
  const Network network = make_network(space, config);
  return {{"config", space.to_json(config)}, {"macs", network.macs()}, {"params", network.params()}};
}

Json result_of(const OfaImport& import, const fs::path& folder) {
  const SearchSpace& space = import.info.space;
  return {{"supernet", (folder / kWeightsFile).string()},
          {"space", (folder / kSpaceFile).string()},
          {"space_name", space.name()},
          {"width_mult", space.width_mult()},
          {"classes", space.classes()},
          {"tensors", import.tensors.size()},
          {"values", count_values(import)},
          {"weights_sha256", import.weights_sha256()},
          {"space_sha256", space.sha256()},
          {"record", import.info.record},
          {"largest", cost(space, space.largest())},
          {"smallest", cost(space, space.smallest())}};
}

std::string describe(const OfaImport& import, const fs::path& folder) {
  const SearchSpace& space = import.info.space;
  Table table;
  table.column("sub-network", Table::Align::left);
  table.column("MMACs");
  table.column("k params");
  table.column("configuration", Table::Align::left);
  const std::array rows{std::pair{"largest", space.largest()}, std::pair{"smallest", space.smallest()}};
  for (const auto& [name, config] : rows) {
    const Network network = make_network(space, config);
    table.row({name, fmt::format("{:.2f}", static_cast<double>(network.macs()) / 1e6),
               fmt::format("{:.0f}", static_cast<double>(network.params()) / 1e3), space.describe(config)});
  }
  const std::string weights = (folder / kWeightsFile).string();
  return fmt::format(
      "{}{} tensors of {} values into space {} at width {} with {} classes\n"
      "wrote {} ({})\nnext: dsn profile --supernet {} --out lut.json\n",
      table.str(), import.tensors.size(), format_count(static_cast<double>(count_values(import))),
      space.name(), space.width_mult(), space.classes(), weights,
      format_bytes(static_cast<double>(fs::file_size(weights))), weights);
}

int run(const Flags& flags, const Session& session) {
  if (flags.format == "lut") {
    return import_lut({flags.checkpoint, flags.space, flags.platform, flags.cluster, flags.out,
                       flags.width_mult, flags.classes},
                      session);
  }
  if (flags.format != "ofa")
    throw Error(ErrorCode::bad_usage, fmt::format("FORMAT: found '{}', expected ofa or lut", flags.format));
  if (!flags.platform.empty() || !flags.cluster.empty())
    throw Error(ErrorCode::bad_usage, "--platform, --cluster: found with ofa, expected with lut");
  const fs::path folder = normal_folder(flags.out);
  require_replaceable(folder);
  const SearchSpace space = SearchSpace::load(flags.space, flags.width_mult, flags.classes);
  const OfaImport import = import_ofa(flags.checkpoint, space);
  StagedFolder staging(folder);
  write_checkpoint(staging.path() / kWeightsFile, import.info, import.views());
  write_file_atomic(staging.path() / kSpaceFile, dump_json(space.document()));
  staging.put_in_place();
  session.result(result_of(import, folder), describe(import, folder));
  return done_status();
}

}  // namespace

Command add_import(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app =
      *root.add_subcommand("import", "Take a super-network of Once-for-All, or published latency tables");
  app.add_option("FORMAT", flags->format, "ofa: a PyTorch checkpoint; lut: latency tables of its blocks")
      ->required();
  add_path(app, "FILE", flags->checkpoint,
           "ofa: file of torch.save(), legacy or zip; nothing in it is executed. lut: JSON")
      ->required();
  app.add_option(
         "--width-mult", flags->width_mult,
         "Width multiplier it was trained with; default: the space's own, 1 of ofa-mbv3; of tables the one "
         "whose rows they have")
      ->check(in_range(0.01, 16.0));
  app.add_option("--classes", flags->classes,
                 "Classes it tells apart; default: the space's own, 1000 of ofa-mbv3")
      ->check(in_range(1, 1 << 20));
  app.add_option("--space", flags->space, "A shipped search space or a dsn.space file")
      ->type_name("NAME|FILE")
      ->capture_default_str();
  add_path(
      app, "-o,--out", flags->out,
      "ofa: folder to write supernet.safetensors and space.json into; an older import there is replaced. "
      "lut: file to write")
      ->required();
  add_path(app, "--platform", flags->platform, "lut: description of the device they were measured on");
  app.add_option("--cluster", flags->cluster,
                 "lut: its cluster they were measured on; needed where it has several");
  add_common(
      app, common,
      "dsn import ofa ofa_mbv3_d234_e346_k357_w1.2 --width-mult 1.2 --classes 1000 --out ofa-w1.2 --json",
      "dsn import lut lut_xavier_nx_gpu.json --out xavier-gpu.lut.json");
  suggest(app, "FORMAT", {"ofa", "lut"});
  suggest(app, "--space", SearchSpace::shipped());
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
