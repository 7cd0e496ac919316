// SPDX-License-Identifier: Apache-2.0
// dsn completion and dsn man: what shells and man(1) read, made from the definition of this very command
// line.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/completion.h"
#include "cli/definition.h"
#include "cli/flags.h"
#include "cli/man_page.h"
#include "commands.h"
#include "dsn/core/file.h"

namespace dsn::cli {
namespace {

std::vector<std::string> command_names(const CLI::App& root) {
  std::vector<std::string> names;
  for (const CLI::App* command : root.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

struct ManFlags {
  std::string command, folder;
};

// man(1) looks for a page by its name.
void write_pages(CLI::App& root, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(ErrorCode::io, fmt::format("cannot create {}: {}", folder.string(), error.message()));
  const auto commands = read_subcommands(root);
  write_file_atomic(folder / "dsn.1", man_page(read_definition(root), commands));
  for (const auto& command : commands)
    write_file_atomic(folder / fmt::format("dsn-{}.1", command.name), man_page(command));
}

int run_man(CLI::App& root, const ManFlags& flags, const Session& session) {
  if (!flags.folder.empty()) {
    if (!flags.command.empty())
      throw Error(ErrorCode::bad_usage, "COMMAND and --out exclude each other: --out writes all pages");
    write_pages(root, flags.folder);
  } else if (flags.command.empty()) {
    session.print(man_page(read_definition(root), read_subcommands(root)));
  } else {
    session.print(man_page(read_definition(*root.get_subcommand(flags.command))));
  }
  return 0;
}

}  // namespace

Command add_completion(CLI::App& root, CommonFlags& /*common*/) {
  auto shell = std::make_shared<std::string>();
  CLI::App& app =
      *root.add_subcommand("completion", "Print what makes a shell complete dsn's commands and options");
  app.add_option("SHELL", *shell, "Which shell")->check(CLI::IsMember({"bash", "zsh"}))->required();
  app.footer(
      "Examples:\n  dsn completion bash > ~/.local/share/bash-completion/completions/dsn\n"
      "  dsn completion zsh > ~/.zfunc/_dsn");
  return {&app, [&root, shell](const Session& session) {
            const auto make = *shell == "bash" ? bash_completion : zsh_completion;
            session.print(make(read_definition(root), read_subcommands(root)));
            return 0;
          }};
}

Command add_man(CLI::App& root, CommonFlags& /*common*/) {
  auto flags = std::make_shared<ManFlags>();
  CLI::App& app = *root.add_subcommand("man", "Print the manual page of dsn or of a command");
  app.add_option("COMMAND", flags->command, "Command to print the page of; without it dsn's own")
      ->check(CLI::IsMember(command_names(root)));
  add_path(app, "-o,--out", flags->folder, "Write all pages into this folder instead")->type_name("DIR");
  app.footer("Examples:\n  dsn man run | man -l -\n  dsn man --out ~/.local/share/man/man1");
  return {&app, [&root, flags](const Session& session) { return run_man(root, *flags, session); }};
}

}  // namespace dsn::cli
