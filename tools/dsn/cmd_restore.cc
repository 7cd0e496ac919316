// SPDX-License-Identifier: Apache-2.0
// dsn restore: puts back frequencies that a killed dsn left behind.
#include <fmt/format.h>

#include <memory>

#include "cli/flags.h"
#include "cli/held_frequencies.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/error.h"
#include "dsn/platform/frequency_state.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string state, root;
  bool force = false, dry_run = false;
};

Json document_of(const FrequencyRestoration& done) {
  Json document = done.document;
  document["restored"] = Json::array();
  for (const KnobRestored& knob : done.knobs) {
    Json row = {{"knob", knob.knob}, {"was", knob.was}};
    if (!knob.problem.empty()) {
      row["problem"] = knob.problem;
      row["hint"] = knob.hint;
    }
    document["restored"].push_back(std::move(row));
  }
  return document;
}

int run(const Flags& flags, const Session& session) {
  const fs::path state = flags.state.empty() ? default_frequency_state(flags.root) : fs::path(flags.state);
  if (!flags.state.empty() && !fs::exists(state))
    throw Error(ErrorCode::not_found, fmt::format("there is no {}", state.string()),
                "without a name the usual place is looked at");
  const FrequencyRestoration done = restore_frequencies(state, flags.root, flags.force, flags.dry_run);
  if (!done.found) {
    session.result(Json{{"restored", Json::array()}},
                   fmt::format("nothing to put back: there is no {}\n", state.string()));
    return 0;
  }
  if (done.other_boot)
    session.job.info("the machine has been started since: what it came up with is replaced");
  Table table;
  for (const char* heading : {"knob", "as it was", flags.dry_run ? "would be" : "is"})
    table.column(heading, Table::Align::left);
  const KnobRestored* failed = nullptr;
  for (const KnobRestored& knob : done.knobs) {
    table.row({knob.knob, knob.was, flags.dry_run ? "put back" : knob.problem.empty() ? "back" : "not back"});
    if (!knob.problem.empty() && failed == nullptr) failed = &knob;
  }
  session.result(document_of(done), table.str());
  if (failed != nullptr)
    throw Error(ErrorCode::unsupported, failed->problem,
                fmt::format("{}; then dsn restore again: {} is kept", failed->hint, state.string()));
  return done_status();
}

}  // namespace

Command add_restore(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app =
      *root.add_subcommand("restore", "Put back frequencies that a killed dsn left as it had set them");
  add_path(app, "STATE", flags->state,
           "State file that it left; default: /var/lib/dsn/frequencies.json, of a user without root "
           "~/.local/state/dsn/frequencies.json");
  app.add_flag("--force", flags->force, "Even if the dsn that wrote it is still running");
  app.add_flag("--dry-run", flags->dry_run, "Only show what would be put back");
  add_sysfs_root(app, flags->root);
  add_common(app, common, "sudo dsn restore", "dsn restore --dry-run");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
