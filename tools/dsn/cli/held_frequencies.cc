// SPDX-License-Identifier: Apache-2.0
#include "cli/held_frequencies.h"

#include <fmt/format.h>

#include "cli/flags.h"
#include "dsn/core/error.h"
#include "dsn/platform/frequency_state.h"

namespace dsn::cli {

CLI::Option* add_sysfs_root(CLI::App& app, std::string& root) {
  return add_path(app, "--sysfs-root", root,
                  "Read and write below this folder instead of / (tests; a copy of another machine's /sys)");
}

void add_frequency_flags(CLI::App& app, FrequencyFlags& flags, const std::string& control_help) {
  const std::string group = "Frequencies";
  app.add_option("--dvfs", flags.mode,
                 fmt::format("off: leave frequencies alone; observe: read them; control: {}", control_help))
      ->check(CLI::IsMember({"off", "observe", "control"}))
      ->capture_default_str()
      ->group(group);
  add_path(app, "--state", flags.state,
           "Where what was found is kept until it is put back (see dsn restore); default: below /var/lib")
      ->group(group);
  add_sysfs_root(app, flags.root)->group(group);
}

HeldFrequencies::HeldFrequencies(const FrequencyFlags& flags, const Platform& platform, std::size_t cluster,
                                 Job& job)
    : platform_(platform), job_(job), moves_(flags.mode == "control"), forced_([this] {
        if (control_) control_->restore_for_good();
      }) {
  if (flags.mode == "off") return;
  const fs::path state = flags.state.empty() ? default_frequency_state(flags.root) : fs::path(flags.state);
  control_ = make_frequency_control(platform, {flags.root, state});
  if (!moves_) return;
  if (auto obstacle = control_->obstacle(cluster)) throw std::move(*obstacle);
}

HeldFrequencies::~HeldFrequencies() {
  if (!control_) return;
  control_->restore();
  try {
    for (const std::string& line : control_->not_restored()) job_.warn(line);
  } catch (...) {  // a warning that cannot be printed
    return;
  }
}

Json HeldFrequencies::transitions() const {
  Json rows = Json::array();
  for (std::size_t c = 0; control_ && c < platform_.clusters.size(); ++c) {
    const Transitions done = control_->transitions(c);
    if (done.count == 0) continue;
    rows.push_back({{"cluster", platform_.clusters[c].name},
                    {"count", done.count},
                    {"missed", done.missed},
                    {"first_s", done.first_s},
                    {"mean_s", done.mean_s},
                    {"longest_s", done.longest_s},
                    {"requested_hz", done.requested_hz},
                    {"achieved_hz", done.achieved_hz}});
  }
  return rows;
}

std::string HeldFrequencies::summary() const {
  std::string text;
  for (std::size_t c = 0; control_ && c < platform_.clusters.size(); ++c) {
    const Transitions done = control_->transitions(c);
    if (done.count == 0) continue;
    text += fmt::format("{}: frequency set {} times", platform_.clusters[c].name, done.count);
    if (done.count > 1)
      text += fmt::format(", {} each (at most {})", format_duration(done.mean_s),
                          format_duration(done.longest_s));
    if (done.missed > 0) text += fmt::format("; {} ended at another frequency than asked for", done.missed);
    text += '\n';
  }
  return text;
}

}  // namespace dsn::cli
