// SPDX-License-Identifier: Apache-2.0
// dsn platform: what this machine, or a described one, is made of.
#include <fmt/format.h>

#include <memory>

#include "cli/flags.h"
#include "cli/held_frequencies.h"
#include "cli/platform_text.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/platform/dvfs.h"
#include "dsn/platform/platform.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string file, root, out;
};

int run(const Flags& flags, const Session& session) {
  const bool described = !flags.file.empty();
  if (described && !flags.root.empty()) {
    throw Error(ErrorCode::bad_usage,
                "FILE and --sysfs-root exclude each other: --sysfs-root is for discovering");
  }
  if (!flags.out.empty()) check_writable(flags.out);
  const Platform platform =
      described ? load_platform(flags.file) : parse_platform(discover_platform(flags.root), "this machine");
  if (!described && platform.document.contains("warnings")) {
    for (const auto& warning : platform.document["warnings"]) session.job.warn(warning.get<std::string>());
  }
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(platform.document));
  // A described board is usually not this machine: nothing to say about its knobs.
  const auto control = described ? nullptr : make_frequency_control(platform, {flags.root, {}});
  session.result(platform.document, platform_text(platform, control.get()));
  return done_status();
}

}  // namespace

Command add_platform(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app = *root.add_subcommand(
      "platform", "Describe this machine (or a dsn.platform file): clusters, frequencies, power");
  add_path(app, "FILE", flags->file, "A dsn.platform file; without it this machine is discovered");
  add_sysfs_root(app, flags->root);
  add_path(app, "-o,--out", flags->out,
           "Write the description here, to edit or to give to profile and replay");
  add_common(app, common, "dsn platform --out this.platform.json",
             "dsn platform profiles/jetson-xavier-nx.platform.json");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
