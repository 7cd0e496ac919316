// SPDX-License-Identifier: Apache-2.0
// What the terminal can do. Colour and bars only on a terminal; NO_COLOR (https://no-color.org) and TERM=dumb
// are honoured.
#pragma once

#include <string>
#include <string_view>

namespace dsn::cli {

enum class Stream { out, err };

[[nodiscard]] bool is_terminal(Stream stream) noexcept;
// Columns of the terminal on `stream`; 80 when unknown.
[[nodiscard]] int terminal_width(Stream stream) noexcept;
// Lines of it; 24 when unknown.
[[nodiscard]] int terminal_height(Stream stream) noexcept;

enum class Paint { bold, dim, red, green, yellow };
// `text` painted for `stream`, or as it is where colour is not wanted.
[[nodiscard]] std::string paint(Stream stream, Paint how, std::string_view text);

// Columns that UTF-8 `text` takes: code points, which is exact for what dsn prints (no wide or combining
// characters).
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;
// The longest prefix of `text` that takes at most `columns`.
[[nodiscard]] std::string_view clip(std::string_view text, std::size_t columns) noexcept;

}  // namespace dsn::cli
