// SPDX-License-Identifier: Apache-2.0
// Text from a foreign file as messages show it. Not installed.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace dsn {

// Printable ASCII, cut after 80 characters: what a file says must not write to a terminal as it likes.
inline std::string foreign_text(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string shown(text.substr(0, kLongest));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kLongest ? shown + "..." : shown;
}

}  // namespace dsn
