// SPDX-License-Identifier: Apache-2.0
// --dvfs and what belongs to it, for the subcommands that measure and run.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "cli/session.h"
#include "cli/signals.h"
#include "dsn/platform/dvfs.h"

namespace dsn::cli {

struct FrequencyFlags {
  std::string mode = "off", root, state;
};

// Adds --dvfs (control_help: what "control" does here), --state and --sysfs-root.
void add_frequency_flags(CLI::App& app, FrequencyFlags& flags, const std::string& control_help);
// --sysfs-root alone.
CLI::Option* add_sysfs_root(CLI::App& app, std::string& root);

// The frequencies of a machine while a subcommand works: nothing with --dvfs off, read with observe, set with
// control. Put back when it is destroyed and before a second signal ends the process; what cannot be put back
// is a warning.
class HeldFrequencies {
 public:
  // Throws Error{unsupported | permission} at once when they shall be set and those of `cluster` cannot be.
  HeldFrequencies(const FrequencyFlags& flags, const Platform& platform, std::size_t cluster, Job& job);
  ~HeldFrequencies();
  HeldFrequencies(const HeldFrequencies&) = delete;
  HeldFrequencies& operator=(const HeldFrequencies&) = delete;

  [[nodiscard]] FrequencyControl* control() const noexcept { return control_.get(); }
  [[nodiscard]] bool moves() const noexcept { return moves_; }
  // Of each cluster that was moved: how often, how long it took, what was asked for and what came of it last.
  [[nodiscard]] Json transitions() const;
  // One line for people; empty when nothing was moved.
  [[nodiscard]] std::string summary() const;

 private:
  const Platform& platform_;
  Job& job_;
  bool moves_;
  std::unique_ptr<FrequencyControl> control_;
  OnForcedExit forced_;
};

}  // namespace dsn::cli
