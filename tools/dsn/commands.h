// SPDX-License-Identifier: Apache-2.0
// The subcommands. Each puts its flags on a CLI11 subcommand and returns what runs it.
#pragma once

#include "cli/session.h"

namespace dsn::cli {

Command add_train(CLI::App& root, CommonFlags& common);
Command add_import(CLI::App& root, CommonFlags& common);
Command add_profile(CLI::App& root, CommonFlags& common);
Command add_search(CLI::App& root, CommonFlags& common);
Command add_compare(CLI::App& root, CommonFlags& common);
Command add_eval(CLI::App& root, CommonFlags& common);
Command add_export(CLI::App& root, CommonFlags& common);
Command add_run(CLI::App& root, CommonFlags& common);
Command add_ctl(CLI::App& root, CommonFlags& common);
Command add_replay(CLI::App& root, CommonFlags& common);
Command add_trace(CLI::App& root, CommonFlags& common);
Command add_inspect(CLI::App& root, CommonFlags& common);
Command add_doctor(CLI::App& root, CommonFlags& common);
Command add_platform(CLI::App& root, CommonFlags& common);
Command add_restore(CLI::App& root, CommonFlags& common);
Command add_completion(CLI::App& root, CommonFlags& common);
Command add_man(CLI::App& root, CommonFlags& common);  // after all others: it knows their names

}  // namespace dsn::cli
