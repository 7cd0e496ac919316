// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/frequency_state.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "dsn/core/error.h"
#include "dsn/platform/state_file.h"

namespace dsn {

fs::path default_frequency_state(const fs::path& root) {
  constexpr const char* kFile = "dsn/frequencies.json";
  if (!root.empty()) return root / "var/lib" / kFile;
  if (::geteuid() == 0) return fs::path("/var/lib") / kFile;
  // Read once, before anything else could set them.
  const char* const state = std::getenv("XDG_STATE_HOME");  // NOLINT(concurrency-mt-unsafe)
  if (state != nullptr && *state == '/') return fs::path(state) / kFile;
  const char* const home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe)
  if (home != nullptr && *home == '/') return fs::path(home) / ".local/state" / kFile;
  return fs::temp_directory_path() / kFile;
}

bool FrequencyRestoration::complete() const noexcept {
  return std::all_of(knobs.begin(), knobs.end(),
                     [](const KnobRestored& knob) { return knob.problem.empty(); });
}

FrequencyRestoration restore_frequencies(const fs::path& state, const fs::path& root, bool force,
                                         bool dry_run) {
  FrequencyRestoration done;
  const std::optional<FrequencyState> found = read_state(state);
  if (!found) return done;
  done.found = true;
  done.document = found->document;
  done.other_boot = found->owner.boot_id != this_process().boot_id;
  if (is_running(found->owner) && !force && !dry_run) {
    throw Error(ErrorCode::unsupported,
                fmt::format("the dsn that set these frequencies is still running: process {} ({})",
                            found->owner.pid, state.string()),
                "stop it, and it puts them back itself; --force puts them back under it");
  }
  for (const KnobSettings& settings : found->knobs) {
    KnobRestored& row = done.knobs.emplace_back();
    row.knob = settings.name;
    row.was = describe(settings);
    if (dry_run) continue;
    FrequencyKnob knob(root, settings.kind, settings.name);
    knob.adopt(settings);
    const KnobOutcome out = knob.restore();
    if (out.ok()) continue;
    const Error error = sysfs::knob_error(out.error, fmt::format("cannot put back {}", settings.name),
                                          out.file, settings.kind);
    row.problem = error.message();
    row.hint = error.hint();
  }
  if (!dry_run && done.complete()) {
    std::error_code error;
    if (!fs::remove(state, error) || error)
      throw Error(ErrorCode::io, fmt::format("everything is back, but {} cannot be removed: {}",
                                             state.string(), error.message()));
  }
  return done;
}

}  // namespace dsn
