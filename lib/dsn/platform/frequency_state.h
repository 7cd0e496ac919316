// SPDX-License-Identifier: Apache-2.0
// What frequencies were before dsn moved them, in a file that outlives the process: SIGKILL and power loss
// leave it behind, and `dsn restore` puts back what it says. A `dsn.frequencies` document.
#pragma once

#include <string>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/core/json.h"

namespace dsn {

// /var/lib/dsn/frequencies.json for root, else below $XDG_STATE_HOME or ~/.local/state; with `root` (a folder
// that looks like /) the first of these below it.
[[nodiscard]] fs::path default_frequency_state(const fs::path& root = {});

// What became of one knob.
struct KnobRestored {
  std::string knob;     // "policy0"
  std::string was;      // "schedutil, 400 MHz to 1.20 GHz"
  std::string problem;  // empty: it is as it was
  std::string hint;
};

struct FrequencyRestoration {
  bool found = false;       // there was a state file
  bool other_boot = false;  // it was written before the machine was started last
  Json document;            // what the file says; null when there is none
  std::vector<KnobRestored> knobs;
  [[nodiscard]] bool complete() const noexcept;
};

// Puts back what `state` says, and removes it once everything is back; what is as it was already is not
// written. dry_run: writes nothing. Throws Error{unsupported} when the process that wrote it is still
// running, unless `force`, and Error{bad_input} for a file that is none of these.
[[nodiscard]] FrequencyRestoration restore_frequencies(const fs::path& state, const fs::path& root = {},
                                                       bool force = false, bool dry_run = false);

}  // namespace dsn
