// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace dsn::cli {
namespace {

int descriptor(Stream stream) noexcept {
  return stream == Stream::out ? STDOUT_FILENO : STDERR_FILENO;
}

// True for the bytes that continue a UTF-8 sequence.
bool continues(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

bool colour_wanted(Stream stream) noexcept {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return is_terminal(stream);
}

}  // namespace

bool is_terminal(Stream stream) noexcept {
  return isatty(descriptor(stream)) == 1;
}

int terminal_width(Stream stream) noexcept {
  winsize size{};
  if (ioctl(descriptor(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

int terminal_height(Stream stream) noexcept {
  winsize size{};
  if (ioctl(descriptor(stream), TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
  return 24;
}

std::string paint(Stream stream, Paint how, std::string_view text) {
  if (!colour_wanted(stream)) return std::string(text);
  const char* code = "0";
  switch (how) {
    case Paint::bold:
      code = "1";
      break;
    case Paint::dim:
      code = "2";
      break;
    case Paint::red:
      code = "31";
      break;
    case Paint::green:
      code = "32";
      break;
    case Paint::yellow:
      code = "33";
      break;
  }
  std::string painted = "\033[";
  painted.append(code).append("m").append(text).append("\033[0m");
  return painted;
}

std::size_t display_width(std::string_view text) noexcept {
  std::size_t columns = 0;
  for (const char byte : text) columns += continues(byte) ? 0 : 1;
  return columns;
}

std::string_view clip(std::string_view text, std::size_t columns) noexcept {
  std::size_t end = 0;
  for (std::size_t used = 0; end < text.size(); ++end) {
    if (continues(text[end])) continue;
    if (used == columns) break;
    ++used;
  }
  return text.substr(0, end);
}

}  // namespace dsn::cli
