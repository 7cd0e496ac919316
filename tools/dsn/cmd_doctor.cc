// SPDX-License-Identifier: Apache-2.0
// dsn doctor: what this machine lets dsn measure and set.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <thread>

#include "cli/flags.h"
#include "cli/held_frequencies.h"
#include "cli/measuring.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "commands.h"
#include "dsn/platform/doctor.h"
#include "dsn/platform/frequency_state.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string root, platform;
  double measure_s = 0;
};

struct Measured {
  MeterInfo info;
  std::optional<EnergyReading> reading;
  std::string problem;
};

// All usable meters over the same time.
std::vector<Measured> measure(const Flags& flags, Job& job) {
  std::vector<Measured> rows;
  std::vector<std::unique_ptr<EnergyMeter>> meters;
  for (const FoundMeter& found : find_meters(flags.root)) {
    if (found.obstacle) continue;
    meters.push_back(open_meter(found.info.id, flags.root));
    rows.push_back({found.info, std::nullopt, ""});
  }
  if (meters.empty()) return rows;
  const auto attempt = [&](std::size_t i, const auto& work) {
    try {
      if (rows[i].problem.empty()) work();
    } catch (const Error& error) {
      rows[i].problem = error.message();
    }
  };
  for (std::size_t i = 0; i < meters.size(); ++i) attempt(i, [&] { meters[i]->start(); });
  job.begin("measuring", flags.measure_s);
  const auto started = std::chrono::steady_clock::now();
  for (double passed = 0; passed < flags.measure_s && !job.stop_requested();) {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(0.1, flags.measure_s - passed)));
    passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    job.advance(passed);
  }
  job.end();
  for (std::size_t i = 0; i < meters.size(); ++i) attempt(i, [&] { rows[i].reading = meters[i]->stop(); });
  return rows;
}

Json to_json(const Measured& row) {
  Json json = dsn::to_json(row.info);
  if (!row.reading) {
    json["energy_j"] = nullptr;
    json["energy_j_reason"] = row.problem;
    return json;
  }
  json["energy_j"] = row.reading->energy_j;
  json["power_w"] = row.reading->power_w();
  json["seconds"] = row.reading->seconds;
  json["samples"] = row.reading->samples;
  json["failed"] = row.reading->failed;
  json["resolution_j"] = row.reading->resolution_j;
  return json;
}

std::string findings_text(const std::string& name, const std::vector<Finding>& findings) {
  std::string text = name + "\n\n";
  std::string area;
  for (const Finding& finding : findings) {
    if (finding.area != area) text += paint(Stream::out, Paint::bold, finding.area) + "\n";
    area = finding.area;
    const Paint colour = finding.able == Able::yes      ? Paint::green
                         : finding.able == Able::partly ? Paint::yellow
                                                        : Paint::red;
    text +=
        fmt::format("  {} {}: {}\n", paint(Stream::out, colour, fmt::format("{:6}", to_string(finding.able))),
                    finding.what, finding.detail);
    if (!finding.change.empty()) text += fmt::format("         to change that: {}\n", finding.change);
  }
  return text;
}

std::string measured_text(const std::vector<Measured>& rows) {
  Table table;
  table.column("meter", Table::Align::left);
  for (const char* heading : {"energy", "power", "time", "samples", "resolution"}) table.column(heading);
  for (const Measured& row : rows) {
    if (!row.reading) {
      table.row({row.info.id, "-", "-", "-", "-", row.problem});
      continue;
    }
    table.row({row.info.id, format_energy(row.reading->energy_j), format_power(row.reading->power_w()),
               format_duration(row.reading->seconds), std::to_string(row.reading->samples),
               format_energy(row.reading->resolution_j)});
  }
  return table.empty() ? "no meter that can be used\n" : table.str();
}

int run(const Flags& flags, const Session& session) {
  const Platform platform = platform_or_this_machine(flags.platform, flags.root);
  const std::vector<Finding> findings =
      examine_machine(platform, flags.root, default_frequency_state(flags.root));
  Json document = measured_envelope("dsn.doctor", std::nullopt);
  document["platform"] = platform.name;
  document["platform_sha256"] = platform.sha256;
  document["findings"] = dsn::to_json(findings);
  std::string text = findings_text(platform.name, findings);
  if (flags.measure_s > 0) {
    const std::vector<Measured> rows = measure(flags, session.job);
    document["meters"] = Json::array();
    for (const Measured& row : rows) document["meters"].push_back(to_json(row));
    text += "\n" + measured_text(rows);
  }
  session.result(document, text);
  return done_status();
}

}  // namespace

Command add_doctor(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app = *root.add_subcommand(
      "doctor", "Tell what this machine lets dsn measure and set, what not, and what would change that");
  add_path(app, "--platform", flags->platform,
           "Description of this machine; default: discovered (see dsn platform)");
  add_duration(app, "--measure", flags->measure_s, "Also read every energy meter for this long");
  add_sysfs_root(app, flags->root);
  add_common(app, common, "dsn doctor", "sudo dsn doctor --measure 2s --json");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
