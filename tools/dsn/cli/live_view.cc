// SPDX-License-Identifier: Apache-2.0
#include "cli/live_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/status_text.h"
#include "cli/terminal.h"
#include "dsn/control/run_control.h"

namespace dsn::cli {
namespace {

constexpr double kRedrawS = 0.2;
constexpr std::size_t kRecent = 10;  // redraws that "recent" numbers span
constexpr std::size_t kChanges = 4;  // decisions that are shown

}  // namespace

LiveView::LiveView(Job& inner, const RunBoard& board) : inner_(inner), board_(board) {}

LiveView::~LiveView() {
  LiveView::end();
}

void LiveView::begin(std::string_view phase, double total) {
  end();
  if (phase != "running") {
    inner_.begin(phase, total);
    return;
  }
  inner_.end();
  {
    const std::lock_guard lock(mutex_);
    running_ = true;
  }
  drawer_.emplace(kRedrawS, [this] { draw(); });
}

void LiveView::advance(double done, std::string_view note) {
  const std::lock_guard lock(mutex_);
  if (!running_) inner_.advance(done, note);
}

void LiveView::end() {
  drawer_.reset();  // waits for a redraw, which takes the lock
  const std::lock_guard lock(mutex_);
  wipe();
  if (!running_) inner_.end();
  running_ = false;
}

void LiveView::info(std::string_view line) {
  const std::lock_guard lock(mutex_);
  wipe();
  inner_.info(line);
}

void LiveView::warn(std::string_view line) {
  const std::lock_guard lock(mutex_);
  wipe();
  inner_.warn(line);
}

void LiveView::add(std::size_t app, const LiveRecord& record) {
  if (record.skipped) return;
  const std::lock_guard lock(mutex_);
  if (levels_.size() <= app) levels_.resize(app + 1);
  std::optional<int>& last = levels_[app];
  if (last && *last != record.level) {
    changes_.push_back({record.start_s, app, *last, record.level, record.slowdown});
    if (changes_.size() > kChanges) changes_.pop_front();
  }
  last = record.level;
}

std::string LiveView::change_text(const Change& change, const RunDescription& description) const {
  const std::string name = change.app < description.apps.size() ? description.apps[change.app].name : "";
  return fmt::format("{:.2f} s  {}: level {} to {}, slowdown {:.2f}", change.at_s, name, change.from,
                     change.to, change.slowdown);
}

std::vector<std::string> LiveView::lines(std::size_t columns) {
  const auto description = board_.description();
  if (description == nullptr) return {};
  Json now = status_of(board_);
  std::vector<std::string> text = status_lines(now, history_.empty() ? Json() : history_.front(), columns);
  for (const Change& change : changes_) text.emplace_back(clip(change_text(change, *description), columns));
  history_.push_back(std::move(now));
  if (history_.size() > kRecent) history_.pop_front();
  return text;
}

void LiveView::draw() {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  // One column and one row are left free: a full line or screen would make the terminal scroll.
  const auto columns = static_cast<std::size_t>(std::max(1, terminal_width(Stream::err) - 1));
  const auto rows = static_cast<std::size_t>(std::max(1, terminal_height(Stream::err) - 1));
  std::vector<std::string> text = lines(columns);
  if (text.size() > rows) text.resize(rows);
  wipe();
  std::string out;
  for (const std::string& line : text) {
    out += line + '\n';
    drawn_.push_back(display_width(line));
  }
  fmt::print(stderr, "{}", out);
  std::fflush(stderr);
}

// Goes up over what was drawn. A terminal that became narrower since has broken long lines in two, as most do
// (xterm and the console cut them: there a line or two above goes with it).
void LiveView::wipe() {
  if (drawn_.empty()) return;
  const auto columns = static_cast<std::size_t>(std::max(1, terminal_width(Stream::err)));
  std::size_t rows = 0;
  for (const std::size_t width : drawn_) rows += std::max<std::size_t>(1, (width + columns - 1) / columns);
  fmt::print(stderr, "\033[{}A\r\033[J", rows);
  std::fflush(stderr);
  drawn_.clear();
}

}  // namespace dsn::cli
