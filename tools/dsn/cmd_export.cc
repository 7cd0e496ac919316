// SPDX-License-Identifier: Apache-2.0
// dsn export: what a device needs, in one folder; or sub-networks for other runtimes.
#include <fmt/format.h>

#include <memory>

#include "cli/export_networks.h"
#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"
#include "dsn/deploy/bundle.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string format = "bundle", model, supernet, bundle, lut;
  NetworkExport networks;  // its choice.family and out are the bundle's too
};

// The LUT that dsn search measured the levels into, unless another one was given.
fs::path lut_of(const Flags& flags) {
  if (!flags.lut.empty()) return flags.lut;
  const Family family = Family::load(flags.networks.choice.family);
  if (family.lut_file.empty()) {
    throw Error(ErrorCode::bad_usage, fmt::format("{} has no measured levels", flags.networks.choice.family),
                "give their look-up table with --lut (dsn profile --levels makes one)");
  }
  return fs::path(flags.networks.choice.family).parent_path() / family.lut_file;
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

void refuse(bool given, const char* flag, const std::string& format) {
  if (given) throw Error(ErrorCode::bad_usage, fmt::format("{} does not go with --format {}", flag, format));
}

int export_bundle(const Flags& flags, const Session& session) {
  const NetworkExport& networks = flags.networks;
  refuse(!networks.choice.subnet.empty(), "--subnet", flags.format);
  refuse(networks.choice.level.has_value(), "--level", flags.format);
  refuse(!flags.model.empty(), "a model without --supernet", flags.format);
  refuse(!flags.bundle.empty(), "--bundle", flags.format);
  refuse(networks.opset.has_value(), "--opset", flags.format);
  refuse(networks.dynamic_batch, "--dynamic-batch", flags.format);
  refuse(networks.samples, "--samples", flags.format);
  for (const auto& [flag, value] :
       {std::pair{"--supernet", flags.supernet}, {"--family", networks.choice.family}}) {
    if (value.empty()) throw Error(ErrorCode::bad_usage, fmt::format("{} is required for a bundle", flag));
  }
  session.job.begin("export", 1);
  write_bundle({flags.supernet, flags.networks.choice.family, {lut_of(flags)}}, flags.networks.out);
  session.job.end();
  const Bundle bundle =
      Bundle::open(flags.networks.out);  // read back: what was written is what a device will accept
  for (const auto& doubt : bundle.family.calibration_doubts()) session.job.warn(doubt);
  session.result(bundle.manifest, describe(bundle));
  return done_status();
}

int run(const Flags& flags, const Session& session) {
  if (flags.format == "bundle") return export_bundle(flags, session);
  if (flags.format != "onnx" && flags.format != "torchscript" && flags.format != "safetensors") {
    throw Error(ErrorCode::bad_usage,
                fmt::format("--format: found '{}', expected: bundle, onnx, torchscript or safetensors",
                            flags.format));
  }
  refuse(!flags.lut.empty(), "--lut", flags.format);
  NetworkExport asked = flags.networks;
  asked.format = flags.format;
  int given = 0;
  for (const std::string& source : {flags.model, flags.supernet, flags.bundle}) {
    if (source.empty()) continue;
    asked.choice.model = source;
    ++given;
  }
  if (given != 1) {
    throw Error(ErrorCode::bad_usage, fmt::format("found {} models to export from, expected one", given),
                "give --supernet CHECKPOINT, or a bundle's folder");
  }
  return export_networks(asked, session);
}

void add_networks(CLI::App& app, NetworkExport& networks) {
  const std::string group = "Sub-networks for other runtimes (onnx, torchscript, safetensors)";
  app.add_option("--level", networks.choice.level,
                 "Only this level; default: every level of the family or bundle")
      ->group(group);
  app.add_option("--subnet", networks.choice.subnet,
                 "largest, smallest, or a file {\"r\", \"d\", \"e\", \"k\"}; batch norm is calibrated on "
                 "training images")
      ->type_name("FILE|NAME")
      ->group(group);
  app.add_option("--opset", networks.opset, "ONNX operator set, 10 to 17; default: 14")
      ->type_name("N")
      ->group(group);
  app.add_flag("--dynamic-batch", networks.dynamic_batch, "ONNX: any batch size instead of 1")->group(group);
  app.add_option("--data", networks.data,
                 "Images to verify and calibrate on; default: the data set that the weights were trained on")
      ->type_name("SPEC")
      ->group(group);
  app.add_option("--verify-images", networks.verify_images, "Images that each file is run on after writing")
      ->check(in_range(1, 1 << 20))
      ->capture_default_str()
      ->group(group);
  app.add_option("--calib-images", networks.calib_images, "Training images that batch norm is calibrated on")
      ->check(in_range(1, 1 << 30))
      ->capture_default_str()
      ->group(group);
  app.add_option("--val-count", networks.val_count,
                 "Training images kept back to validate on, as in training")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--samples", networks.samples,
               "Also write samples.safetensors: the images of the verification and dsn's own logits")
      ->group(group);
}

}  // namespace

Command add_export(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  flags->networks.threads = default_threads();
  CLI::App& app = *root.add_subcommand(
      "export",
      "Put a family into the folder that a device needs, or sub-networks into files for other runtimes");
  add_path(app, "MODEL", flags->model, "Bundle (folder), or super-network as --supernet");
  app.add_option("--format", flags->format,
                 "bundle, onnx, torchscript, or safetensors (with a JSON list of layers)")
      ->capture_default_str();
  add_path(app, "--supernet", flags->supernet, "Checkpoint of dsn train, or folder of dsn import");
  add_path(app, "--bundle", flags->bundle, "Bundle whose levels go into files for other runtimes");
  add_path(app, "--family", flags->networks.choice.family,
           "Family of dsn search, with its batch-norm file beside it");
  add_path(app, "--lut", flags->lut,
           "Look-up table with the levels' rows, for a bundle; default: the one beside the family");
  add_path(app, "-o,--out", flags->networks.out,
           "Folder to write; an older bundle or export there is replaced")
      ->required();
  add_networks(app, flags->networks);
  add_threads(app, flags->networks.threads);
  add_common(app, common, "dsn export --supernet fmnist.safetensors --family family.json --out bundle",
             "dsn export bundle --format onnx --out onnx");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
