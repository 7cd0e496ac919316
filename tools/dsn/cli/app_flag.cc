// SPDX-License-Identifier: Apache-2.0
#include "cli/app_flag.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/units.h"

namespace dsn::cli {
namespace {

constexpr std::array<std::pair<std::string_view, Overrun>, 3> kOverruns = {
    {{"skip", Overrun::skip}, {"queue", Overrun::queue}, {"abort", Overrun::abort}}};

template <typename Number>
Number parse_number(std::string_view text, std::string_view what, Number lowest, const char* expected) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= lowest))
    throw Error(ErrorCode::bad_usage, fmt::format("{}: found \"{}\", expected {}", what, text, expected));
  return value;
}

struct Key {
  std::string_view name;
  // what: "--app cam, fps" for messages.
  void (*set)(ApplicationSpec& spec, std::string_view value, const std::string& what);
};

void set_fps(ApplicationSpec& spec, std::string_view value, const std::string& what) {
  const double fps = parse_number(value, what, 0.0, "frames per second, more than 0");
  if (!(fps > 0) || !(1 / fps < 1e9))
    throw Error(ErrorCode::bad_usage,
                fmt::format("{}: found \"{}\", expected frames per second, more than 0", what, value));
  spec.options.period_s = 1 / fps;
}

const std::vector<Key>& keys() {
  using Spec = ApplicationSpec;
  using View = std::string_view;
  using Text = const std::string;
  static const std::vector<Key> all = {
      {"input", [](Spec& s, View v, Text&) { s.input = v; }},
      {"target", [](Spec& s, View v, Text& what) { s.options.target_s = parse_duration(v, what); }},
      {"fps", set_fps},
      {"probability", [](Spec& s, View v, Text& what) { s.options.probability = parse_fraction(v, what); }},
      {"min-accuracy", [](Spec& s, View v, Text& what) { s.options.min_accuracy = parse_fraction(v, what); }},
      {"priority", [](Spec& s, View v,
                      Text& what) { s.options.priority = parse_number(v, what, -1000, "a whole number"); }},
      {"overrun", [](Spec& s, View v, Text&) { s.options.overrun = parse_overrun(v); }},
      {"start", [](Spec& s, View v, Text& what) { s.options.start_s = parse_duration(v, what); }},
      {"duration", [](Spec& s, View v, Text& what) { s.options.duration_s = parse_duration(v, what); }},
      {"frames",
       [](Spec& s, View v, Text& what) {
         s.options.max_frames = parse_number<std::int64_t>(v, what, 1, "a number of frames, 1 or more");
       }},
      {"threads",
       [](Spec& s, View v, Text& what) { s.threads = parse_number(v, what, 1, "a number of threads"); }},
  };
  return all;
}

// Off the front of `text`, up to the next comma.
std::string_view take_part(std::string_view& text) {
  const std::string_view part = text.substr(0, text.find(','));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), fits);
}

}  // namespace

const std::string& app_keys() {
  static const std::string text = [] {
    std::vector<std::string_view> names;
    for (const Key& key : keys()) names.push_back(key.name);
    return fmt::format("{}", fmt::join(names, ", "));
  }();
  return text;
}

Overrun parse_overrun(std::string_view text) {
  for (const auto& [name, overrun] : kOverruns)
    if (name == text) return overrun;
  throw Error(ErrorCode::bad_usage,
              fmt::format("overrun: found \"{}\", expected skip, queue or abort", text));
}

std::string_view to_string(Overrun overrun) noexcept {
  for (const auto& [name, value] : kOverruns)
    if (value == overrun) return name;
  return "";
}

ApplicationSpec parse_app(std::string_view text, const ApplicationSpec& defaults) {
  ApplicationSpec spec = defaults;
  std::string_view left = text;
  const std::string_view first = take_part(left);
  const auto equals = first.find('=');
  if (equals == std::string_view::npos || !is_name(first.substr(0, equals)) || equals + 1 == first.size()) {
    throw Error(
        ErrorCode::bad_usage,
        fmt::format("--app: found \"{}\", expected NAME=BUNDLE, a name of letters, digits, - and _", first),
        "--app cam=BUNDLE,input=SPEC,target=20ms,fps=30");
  }
  spec.name = first.substr(0, equals);
  spec.bundle = first.substr(equals + 1);
  std::set<std::string_view> seen;
  while (!left.empty()) {
    const std::string_view part = take_part(left);
    const auto sign = part.find('=');
    const std::string_view name = part.substr(0, sign);
    const auto key =
        std::find_if(keys().begin(), keys().end(), [&](const Key& known) { return known.name == name; });
    if (key == keys().end() || sign == std::string_view::npos) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("--app {}: found \"{}\", expected KEY=VALUE", spec.name, part),
                  "keys: " + app_keys());
    }
    if (!seen.insert(name).second)
      throw Error(ErrorCode::bad_usage, fmt::format("--app {}: {} is given twice", spec.name, name));
    key->set(spec, part.substr(sign + 1), fmt::format("--app {}, {}", spec.name, name));
  }
  const char* missing = spec.input.empty() ? "input" : !seen.count("target") ? "target" : nullptr;
  if (missing != nullptr)
    throw Error(ErrorCode::bad_usage, fmt::format("--app {}: {}= is missing", spec.name, missing));
  return spec;
}

}  // namespace dsn::cli
