// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cli/platform_text.h"
#include "cli/table.h"
#include "dsn/core/units.h"
#include "dsn/profile/lut.h"
#include "dsn/replay/replay.h"
#include "dsn/replay/trace.h"
#include "dsn/search/family.h"
#include "dsn/space/network.h"

namespace dsn::cli {
namespace {

std::string text_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// What made a document: the envelope's lines. Files written by hand have none.
std::string origin_text(const Json& document) {
  std::string text;
  if (const auto tool = document.find("tool"); tool != document.end() && tool->is_object()) {
    text += fmt::format("made by   dsn {} ({}), {} build", text_at(*tool, "version"),
                        text_at(*tool, "commit"), text_at(*tool, "build"));
    if (const std::string created = text_at(document, "created"); !created.empty()) text += ", " + created;
    if (const auto seed = document.find("seed"); seed != document.end() && seed->is_number())
      text += ", seed " + seed->dump();
    text += '\n';
  }
  if (const auto context = document.find("context"); context != document.end() && context->is_object()) {
    if (const std::string model = text_at(*context, "cpu_model"); !model.empty())
      text += fmt::format("on        {}\n", model);
  }
  if (const auto inputs = document.find("inputs"); inputs != document.end() && inputs->is_array()) {
    for (const Json& input : *inputs)
      text +=
          fmt::format("from      {} {}\n", text_at(input, "role"), text_at(input, "sha256").substr(0, 12));
  }
  if (const auto warnings = document.find("warnings"); warnings != document.end() && warnings->is_array()) {
    for (const Json& warning : *warnings) text += fmt::format("warning   {}\n", warning.get<std::string>());
  }
  return text;
}

std::string space_line(const SearchSpace& space) {
  const Network largest = make_network(space, space.largest()),
                smallest = make_network(space, space.smallest());
  return fmt::format("space     {} {}, {} classes; {:.2f} to {:.2f} MMACs, {:.0f} to {:.0f} k parameters\n",
                     space.name(), space.sha256().substr(0, 12), space.classes(),
                     static_cast<double>(smallest.macs()) / 1e6, static_cast<double>(largest.macs()) / 1e6,
                     static_cast<double>(smallest.params()) / 1e3,
                     static_cast<double>(largest.params()) / 1e3);
}

std::string levels_text(const Family& family, const SearchSpace& space) {
  Table table;
  for (const char* heading : {"level", "MMACs", "k params", "accuracy %"}) table.column(heading);
  table.column("accuracy on", Table::Align::left);
  table.column("statistics", Table::Align::left);
  table.column("sub-network", Table::Align::left);
  for (const Level& level : family.levels) {
    table.row({std::to_string(level.id), fmt::format("{:.2f}", static_cast<double>(level.macs) / 1e6),
               fmt::format("{:.0f}", static_cast<double>(level.params) / 1e3),
               fmt::format("{:.2f}", level.accuracy * 100),
               fmt::format("{} ({})", level.accuracy_on, to_string(level.accuracy_origin)),
               level.bn_prefix.empty() ? "shared" : "own", space.describe(level.config)});
  }
  return table.str();
}

std::string point_text(const OperatingPoint& point) {
  return fmt::format("{}, {} thread{}{}{}", point.cluster, point.threads, point.threads == 1 ? "" : "s",
                     point.freq_hz > 0 ? ", " + format_frequency(point.freq_hz) : "",
                     point.batch > 1 ? fmt::format(", batch {}", point.batch) : "");
}

// One table per LUT: its levels, a row per level and point.
std::string lut_levels_text(const Lut& lut, const SearchSpace& space) {
  double largest = 0;
  for (const LutLevel& level : lut.levels) {
    for (const auto& [point, entry] : level.at) largest = std::max(largest, entry.latency_s);
  }
  const Scale scale = duration_scale(largest);
  Table table;
  table.column("point", Table::Align::left);
  for (const char* heading : {"p50 ", "MAD "}) table.column(heading + scale.unit);
  table.column("samples");
  table.column("origin", Table::Align::left);
  table.column("sub-network", Table::Align::left);
  for (const OperatingPoint& point : lut.points()) {
    for (const LutLevel& level : lut.levels) {
      const auto found = level.at.find(point);
      if (found == level.at.end()) continue;
      table.row({point_text(point), format_scaled(found->second.latency_s, scale),
                 format_scaled(found->second.mad_s, scale), std::to_string(found->second.samples),
                 std::string(to_string(found->second.latency_origin)), space.describe(level.config)});
    }
  }
  return table.str();
}

std::string lut_text(const Lut& lut) {
  const SearchSpace space = SearchSpace::parse(lut.space_document, "space of the look-up table");
  std::string text = space_line(space);
  text += fmt::format("device    {}; engine {}\n", lut.device, lut.engine);
  text += fmt::format("energy    {}\n",
                      lut.energy_source.empty() ? "none: " + lut.energy_reason : lut.energy_source);
  text += fmt::format("blocks    {} kinds\n", lut.units.size());
  for (const auto& [point, correction] : lut.corrections) {
    text +=
        fmt::format("blocks    at {}: sum x {:.3f} {:+.1f} us, error {:.1f} % (n={})\n", point_text(point),
                    correction.scale, correction.offset_s * 1e6, correction.mape * 100, correction.count);
    if (correction.held_out > 0)
      text += fmt::format("held out  at {}: error {:.1f} %, Kendall tau {:.2f} (n={}, in no fit)\n",
                          point_text(point), correction.held_out_mape * 100, correction.held_out_tau,
                          correction.held_out);
  }
  for (const auto& [point, speed] : lut.speeds) {
    text += fmt::format("speed     at {}: the machine's own in {} of {} looks\n", point_text(point),
                        format_percent(1 - speed.slow_share), speed.probes);
    for (const CoLoad& load : lut.loads(point))
      text += fmt::format("beside    at {}: {}\n", point_text(point), describe(load));
  }
  return text + lut_levels_text(lut, space);
}

std::string family_text(const Json& document, const std::string& file) {
  const Family family = Family::parse(document, file);
  const SearchSpace space = SearchSpace::parse(family.space_document, file + ": /space");
  return space_line(space) +
         fmt::format("weights   {}\n", family.weights_sha256.empty() ? "published elsewhere"
                                                                     : family.weights_sha256.substr(0, 12)) +
         levels_text(family, space);
}

std::string trace_text(const fs::path& path) {
  const Trace trace = load_trace(path);
  Table table;
  table.column("task", Table::Align::left);
  table.column("kind", Table::Align::left);
  for (const TraceApp& app : trace.apps) table.row({app.name, "application"});
  for (const auto& other : trace.contenders) table.row({other.name, "other work"});
  return table.str();
}

std::string report_text(const Json& document) {
  const std::string kind = text_at(document, "kind");
  std::string text = fmt::format("kind      {}\n", kind);
  if (kind == "replay") {
    const auto rows = replay_table(document);
    Table table;
    for (const std::string& heading : rows.front()) table.column(heading, Table::Align::left);
    for (std::size_t i = 1; i < rows.size(); ++i) table.row(rows[i]);
    return text + table.str();
  }
  // The part that the kind names, field by field where it is a plain value.
  if (const auto part = document.find(kind); part != document.end() && part->is_object()) {
    for (const auto& item : part->items()) {
      if (!item.value().is_structured()) text += fmt::format("{:<24}{}\n", item.key(), item.value().dump());
    }
  }
  return text;
}

}  // namespace

std::string document_text(const Json& document, const fs::path& path) {
  const std::string file = path.string();
  const std::string schema = text_at(document, "schema");
  std::string text = fmt::format("{}: {} version {}\n", file, schema, document.at("schema_version").dump());
  text += origin_text(document);
  if (schema == "dsn.family") return text + family_text(document, file);
  if (schema == "dsn.lut") return text + lut_text(Lut::parse(document, file));
  if (schema == "dsn.platform") return text + platform_text(parse_platform(document, file), nullptr);
  if (schema == "dsn.space") return text + space_line(SearchSpace::parse(document, file));
  if (schema == "dsn.trace") return text + trace_text(path);
  if (schema == "dsn.report") return text + report_text(document);
  // A manifest away from its bundle, or a schema that has no text of its own yet: its fields.
  for (const auto& item : document.items()) {
    text += fmt::format(
        "{:<24}{}\n", item.key(),
        item.value().is_structured() ? fmt::format("{} entries", item.value().size()) : item.value().dump());
  }
  return text;
}

std::string bundle_text(const Bundle& bundle) {
  std::string text =
      fmt::format("{}: bundle {}, {}, every part as exported\n", bundle.path.string(),
                  bundle.sha256.substr(0, 12), format_bytes(static_cast<double>(bundle.size_bytes)));
  text += origin_text(bundle.manifest);
  text += space_line(bundle.space);
  text +=
      fmt::format("data      {}; {} channel{}, mean {}, deviation {}, crop {}\n",
                  text_at(bundle.manifest, "dataset"), bundle.preprocessing.channels,
                  bundle.preprocessing.channels == 1 ? "" : "s", fmt::join(bundle.preprocessing.mean, ", "),
                  fmt::join(bundle.preprocessing.stddev, ", "), bundle.preprocessing.crop);
  text += fmt::format("classes   {}\n", fmt::join(bundle.class_names, ", "));
  text += fmt::format("weights   {} tensors, {}\n", bundle.weights.tensors().size(),
                      bundle.family.weights_sha256.substr(0, 12));
  text += levels_text(bundle.family, bundle.space);
  for (const Lut& lut : bundle.luts) {
    text += fmt::format("\nmeasured on {}, engine {}\n", lut.device, lut.engine) +
            lut_levels_text(lut, bundle.space);
  }
  return text;
}

std::string checkpoint_text(const Checkpoint& checkpoint) {
  const CheckpointInfo& info = checkpoint.info;
  std::string text = fmt::format("{}: super-network {}\n", checkpoint.tensors.file(),
                                 checkpoint.weights_sha256.substr(0, 12));
  text += space_line(info.space);
  text += fmt::format("data      {}\n", info.dataset.empty() ? "unknown" : info.dataset);
  if (info.record.is_object()) {
    for (const auto& group : info.record.items()) {
      if (!group.value().is_object()) continue;
      for (const auto& item : group.value().items()) {
        if (!item.value().is_structured())
          text += fmt::format("{:<10}{} {}\n", group.key(), item.key(), item.value().dump());
      }
    }
  } else {
    text += "record    none: it does not say how it was made\n";
  }
  return text + tensors_text(checkpoint.tensors, 12);
}

std::string tensors_text(const TensorFile& file, std::size_t limit) {
  std::uint64_t bytes = 0, values = 0;
  Table table;
  table.column("tensor", Table::Align::left);
  table.column("type", Table::Align::left);
  table.column("shape", Table::Align::left);
  std::size_t shown = 0;
  for (const auto& [name, view] : file.tensors()) {
    bytes += view.bytes.size();
    values += static_cast<std::uint64_t>(view.numel());
    if (shown == limit) continue;
    ++shown;
    table.row({name, std::string(dtype_name(view.dtype)), fmt::format("{}", fmt::join(view.shape, " x "))});
  }
  std::string text = table.str();
  if (file.tensors().size() > shown) {
    text += fmt::format("... and {} more (--json lists all)\n", file.tensors().size() - shown);
  }
  return text + fmt::format("{} tensors, {} values, {}\n", file.tensors().size(), values,
                            format_bytes(static_cast<double>(bytes)));
}

}  // namespace dsn::cli
