// SPDX-License-Identifier: Apache-2.0
// The dsn tool: finds the subcommand, runs it, and turns what goes wrong into one line and an exit status.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/console_job.h"
#include "cli/failure.h"
#include "cli/signals.h"
#include "cli/version.h"
#include "commands.h"
#ifdef DSN_HAVE_TORCH
#include "dsn/engine/torch_executor.h"
#endif

namespace {

int work(int argc, char** argv) {
  using namespace dsn::cli;  // NOLINT(google-build-using-namespace)
  CLI::App root(
      "One super-network, many sub-networks: search them, export them, run them under a latency target.",
      "dsn");
  root.footer("Start with: dsn COMMAND --help");
  root.get_formatter()->column_width(34);

  root.option_defaults()
      ->take_last();  // the last of a repeated flag counts, as scripts that add to others' flags expect

  root.require_subcommand(0, 1);  // what follows a command is its own: a file may be called "run"

  CommonFlags common;
  root.add_flag("--json", common.json, "With --version: as JSON");
  root.set_version_flag(
      "--version", [] { return std::string(); }, "Version, commit and what is in this build");
  const std::vector<Command> commands{
      add_train(root, common),      add_import(root, common),   add_eval(root, common),
      add_profile(root, common),    add_search(root, common),   add_compare(root, common),
      add_export(root, common),     add_run(root, common),      add_ctl(root, common),
      add_replay(root, common),     add_trace(root, common),    add_inspect(root, common),
      add_doctor(root, common),     add_platform(root, common), add_restore(root, common),
      add_completion(root, common), add_man(root, common)};
  const auto chosen = [&]() -> const Command* {
    for (const auto& command : commands) {
      if (command.app->parsed()) return &command;
    }
    return nullptr;
  };
  std::string name = "dsn";
  try {
    root.parse(argc, argv);
    const Command* command = chosen();
    if (command == nullptr) {
      fmt::print(stderr, "{}", root.help());
      return dsn::exit_status(dsn::ErrorCode::bad_usage);
    }
    name = fmt::format("dsn {}", command->app->get_name());
    ConsoleJob job(name, common.quiet);
    return command->run(Session{common, job});
  } catch (const CLI::CallForVersion&) {
    ConsoleJob job(name, true);
    Session{common, job}.result(version_json(), version_text());
    return 0;
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", root.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    const Command* command = chosen();
    if (command != nullptr) name = fmt::format("dsn {}", command->app->get_name());
    return report_usage(error, command != nullptr ? *command->app : root, name);
  } catch (...) {
    if (const Command* command = chosen()) name = fmt::format("dsn {}", command->app->get_name());
    return report(std::current_exception(), name);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    dsn::cli::install_signal_handlers();
    dsn::set_process_argv(std::vector<std::string>(argv, argv + argc));
#ifdef DSN_HAVE_TORCH
    dsn::register_torch_executor();
#endif
    return work(argc, argv);
  } catch (...) {
    return dsn::cli::report(std::current_exception(), "dsn");
  }
}
