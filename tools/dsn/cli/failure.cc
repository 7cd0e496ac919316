// SPDX-License-Identifier: Apache-2.0
#include "cli/failure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <numeric>
#include <vector>

#include "cli/signals.h"
#include "cli/terminal.h"
#include "dsn/core/error.h"

namespace dsn::cli {
namespace {

// Library messages may span lines; what reaches people is one.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  const auto repeated = [](char a, char b) { return a == ' ' && b == ' '; };
  text.erase(std::unique(text.begin(), text.end(), repeated), text.end());
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

void say(const std::string& command, const std::string& message, const std::string& hint) {
  fmt::print(stderr, "{}: {} {}\n", command, paint(Stream::err, Paint::red, "error:"), one_line(message));
  if (!hint.empty()) fmt::print(stderr, "  hint: {}\n", one_line(hint));
}

// Levenshtein distance.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

// The name nearest to `typed`, empty when none is near.
std::string nearest(const std::string& typed, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = 1 + typed.size() / 3;
  for (const auto& name : names) {
    const std::size_t d = name.rfind(typed, 0) == 0 ? 0 : distance(typed, name);
    if (d <= best_distance && (best.empty() || d < best_distance)) {
      best = name;
      best_distance = d;
    }
  }
  return best;
}

// The first word that CLI11 could place nowhere: options first, because a misspelt one leaves its value
// behind too.
std::string unexpected(const CLI::App& app) {
  const auto words = app.remaining();
  for (const auto& word : words) {
    if (word.size() > 1 && word[0] == '-') return word.substr(0, word.find('='));
  }
  return words.empty() ? std::string() : words.front();
}

}  // namespace

int report(const std::exception_ptr& failure, const std::string& command) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    say(command, error.message(), error.hint());
    if (error.code() == ErrorCode::interrupted && signal_status() != 0) return signal_status();
    return exit_status(error.code());
  } catch (const std::bad_alloc&) {
    say(command, "out of memory", {});
  } catch (const std::exception& error) {
    // Only the first line: LibTorch and OpenCV append their own stack.
    const std::string what = error.what();
    say(command, what.substr(0, what.find('\n')), {});
  } catch (...) {
    say(command, "failed for an unknown reason", {});
  }
  return exit_status(ErrorCode::failed);
}

int report_usage(const CLI::ParseError& failure, const CLI::App& app, const std::string& command) {
  const std::string help = fmt::format("{} --help shows what there is", command);
  // A misspelt flag also shows as a required one that is missing: name what was typed.
  const std::string typed = unexpected(app);
  if (typed.empty()) {
    say(command, failure.what(), help);
    return exit_status(ErrorCode::bad_usage);
  }
  std::vector<std::string> names;
  const bool flag = typed[0] == '-';
  if (flag) {
    for (const CLI::Option* option : app.get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  }
  const std::string meant = nearest(typed, names);
  const bool verb = !flag && app.get_parent() == nullptr;
  say(command,
      fmt::format("unknown {} '{}'",
                  flag   ? "option"
                  : verb ? "command"
                         : "argument",
                  typed),
      meant.empty() ? help : fmt::format("did you mean {}?", meant));
  return exit_status(ErrorCode::bad_usage);
}

}  // namespace dsn::cli
