// SPDX-License-Identifier: Apache-2.0
#include "cli/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <thread>

#include "cli/session.h"
#include "dsn/engine/executor.h"

namespace dsn::cli {
namespace {

constexpr std::string_view kSuggestion = "suggest:";

// The long name of "-w,--warmup", for messages.
std::string long_name(const std::string& name) {
  return name.substr(name.find("--") == std::string::npos ? 0 : name.find("--"));
}

// A value that one of dsn's parsers reads; the parser's error names the flag and goes through CLI11 as it is.
template <typename Value>
CLI::Option* add_quantity(CLI::App& app, const std::string& name, Value& value, const std::string& help,
                          double (*parse)(std::string_view, std::string_view)) {
  const auto store = [&value, parse, what = long_name(name)](const std::string& text) {
    value = parse(text, what);
  };
  return app.add_option_function<std::string>(name, store, help);
}

}  // namespace

void add_common(CLI::App& app, CommonFlags& flags, const std::string& first_example,
                const std::string& second_example) {
  app.add_flag("--json", flags.json, "Print the result as JSON on stdout");
  app.add_flag("-q,--quiet", flags.quiet, "No progress, only warnings and errors");
  app.footer(fmt::format("Examples:\n  {}\n  {}", first_example, second_example));
}

CLI::Option* add_duration(CLI::App& app, const std::string& name, double& seconds, const std::string& help) {
  return add_quantity(app, name, seconds, help, parse_duration)->type_name("DURATION");
}

CLI::Option* add_duration(CLI::App& app, const std::string& name, std::optional<double>& seconds,
                          const std::string& help) {
  return add_quantity(app, name, seconds, help, parse_duration)->type_name("DURATION");
}

CLI::Option* add_fraction(CLI::App& app, const std::string& name, double& fraction, const std::string& help) {
  return add_quantity(app, name, fraction, help, parse_fraction)->type_name("FRACTION");
}

CLI::Option* add_fraction(CLI::App& app, const std::string& name, std::optional<double>& fraction,
                          const std::string& help) {
  return add_quantity(app, name, fraction, help, parse_fraction)->type_name("FRACTION");
}

CLI::Option* add_seed(CLI::App& app, std::uint64_t& seed) {
  return app.add_option("--seed", seed, "Seed of everything random")->capture_default_str();
}

CLI::Option* add_threads(CLI::App& app, int& threads) {
  return app.add_option("--threads", threads, "Threads to work with")
      ->check(in_range(1, 1024))
      ->default_str("one per CPU");
}

// hardware_concurrency() counts the CPUs of this process's affinity on Linux; 0 when it cannot tell.
int default_threads() noexcept {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Suggestions travel as the name of a check that always passes: CLI11's options carry nothing else of ours.
void suggest(CLI::App& app, const std::string& option, const std::vector<std::string>& values) {
  const auto accept = [](std::string&) { return std::string(); };
  app.get_option(option)->check(
      CLI::Validator(accept, "", fmt::format("{}{}", kSuggestion, fmt::join(values, "\n"))));
}

std::vector<std::string> suggestions_of(const CLI::Validator& check) {
  if (!check.get_name().starts_with(kSuggestion)) return {};
  return CLI::detail::split(check.get_name().substr(kSuggestion.size()), '\n');
}

std::vector<std::string> data_kinds() {
  return {"fashion-mnist", "idx:", "cifar10:", "folder:"};
}

std::vector<std::string> engine_names() {
  std::vector<std::string> names = executor_names();
  names.insert(names.begin(), "auto");
  return names;
}

CLI::Option* add_path(CLI::App& app, const std::string& name, std::string& path, const std::string& help) {
  return app.add_option(name, path, help)->type_name("PATH");
}

}  // namespace dsn::cli
