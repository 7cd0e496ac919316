// SPDX-License-Identifier: Apache-2.0
// Reading and writing the state file. Inner header of platform: see frequency_state.h.
#pragma once

#include <optional>
#include <vector>

#include "dsn/platform/frequency_knob.h"
#include "dsn/platform/frequency_state.h"

namespace dsn {

// The process that moves frequencies: its number, when it was started, and which start of the machine that
// was.
struct StateOwner {
  std::int64_t pid = 0, start_ticks = 0;
  std::string boot_id;
};

struct FrequencyState {
  StateOwner owner;
  std::vector<KnobSettings> knobs;
  Json document;
};

[[nodiscard]] StateOwner this_process();
// Whether that very process still runs here.
[[nodiscard]] bool is_running(const StateOwner& owner);

// Nothing where there is no such file. Throws Error{bad_input}.
[[nodiscard]] std::optional<FrequencyState> read_state(const fs::path& path);
// Makes missing folders. Throws what write_file_atomic() throws.
void write_state(const fs::path& path, const std::vector<KnobSettings>& knobs);

// "schedutil, 400 MHz to 1.20 GHz".
[[nodiscard]] std::string describe(const KnobSettings& settings);

}  // namespace dsn
