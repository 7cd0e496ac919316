// SPDX-License-Identifier: Apache-2.0
#include "cli/console_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "cli/signals.h"
#include "cli/terminal.h"

namespace dsn::cli {
namespace {

constexpr int kBarColumns = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);

std::string bar_of(double part) {
  const int full = static_cast<int>(std::lround(part * kBarColumns));
  std::string bar(static_cast<std::size_t>(full), '=');
  if (full > 0 && full < kBarColumns) bar.back() = '>';
  bar.resize(kBarColumns, ' ');
  return bar;
}

}  // namespace

std::string format_remaining(double seconds) {
  const auto whole = static_cast<long>(std::lround(std::max(0.0, seconds)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

ConsoleJob::ConsoleJob(std::string command, bool quiet)
    : command_(std::move(command)), quiet_(quiet), bar_(!quiet && is_terminal(Stream::err)) {}

ConsoleJob::~ConsoleJob() {
  wipe();
}

void ConsoleJob::begin(std::string_view phase, double total) {
  end();
  phase_ = phase;
  note_.clear();
  total_ = total;
  done_ = first_ = 0;
  advanced_ = false;
  in_phase_ = true;
  started_ = Clock::now();
  if (bar_) {
    draw(started_);
  } else if (!quiet_) {
    line(fmt::format("{}: {}", command_, phase_));
  }
}

void ConsoleJob::advance(double done, std::string_view note) {
  // Resumed work starts in the middle: what was done before says nothing about the speed of now.
  if (!advanced_) first_ = done;
  advanced_ = true;
  done_ = done;
  if (!note.empty()) note_ = note;
  if (!bar_ || !in_phase_) return;
  const auto now = Clock::now();
  if (now - drawn_at_ >= kRedraw) draw(now);
}

void ConsoleJob::end() {
  if (!in_phase_) return;
  in_phase_ = false;
  wipe();
  if (!bar_) return;
  const double took = std::chrono::duration<double>(Clock::now() - started_).count();
  line(fmt::format("{} ({})", phase_, format_remaining(took)));
}

void ConsoleJob::info(std::string_view text) {
  if (!quiet_) line(fmt::format("{}: {}", command_, text));
}

void ConsoleJob::warn(std::string_view text) {
  line(fmt::format("{}: {} {}", command_, paint(Stream::err, Paint::yellow, "warning:"), text));
}

bool ConsoleJob::stop_requested() const noexcept {
  return cli::stop_requested();
}

void ConsoleJob::draw(Clock::time_point now) {
  drawn_at_ = now;
  const double part = total_ > 0 ? std::clamp(done_ / total_, 0.0, 1.0) : 0.0;
  std::string text = fmt::format("{} [{}] {:3.0f} %", phase_, bar_of(part), part * 100);
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  const double progressed = done_ - first_;
  // The first moments say little about the rest.
  if (progressed > 0 && elapsed > 0.5) {
    text += fmt::format("  {} left", format_remaining(elapsed / progressed * std::max(0.0, total_ - done_)));
  }
  if (!note_.empty()) text += "  " + note_;
  const auto room = static_cast<std::size_t>(std::max(1, terminal_width(Stream::err) - 1));
  fmt::print(stderr, "\r{}\033[K", clip(text, room));
  std::fflush(stderr);
  drawn_ = true;
}

void ConsoleJob::wipe() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

void ConsoleJob::line(const std::string& text) {
  wipe();
  fmt::print(stderr, "{}\n", text);
  if (bar_ && in_phase_) draw(Clock::now());
}

}  // namespace dsn::cli
