// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/core/json_text.h"

namespace dsn {
namespace {

constexpr std::size_t kMaxDepth = 256;
constexpr std::size_t kMaxMessage = 300;  // the parser quotes the last token, which may be megabytes

// "line 3, column 14" of the last byte read; columns count bytes.
std::string position_text(std::string_view text, std::size_t bytes_read) {
  const std::string_view before = text.substr(0, std::min(bytes_read, text.size()));
  const std::string_view earlier = before.substr(0, before.empty() ? 0 : before.size() - 1);
  const auto line = 1 + std::count(earlier.begin(), earlier.end(), '\n');
  const std::size_t newline = earlier.rfind('\n');
  const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  return fmt::format("line {}, column {}", line,
                     std::max<std::size_t>(bytes_read - std::min(bytes_read, start), 1));
}

// The parser's own words without its prefix "[json.exception...] parse error at line 1, column 2: ".
std::string parser_words(std::string message) {
  if (const auto bracket = message.find("] "); bracket != std::string::npos) message.erase(0, bracket + 2);
  if (message.rfind("parse error at ", 0) == 0) {
    if (const auto colon = message.find(": "); colon != std::string::npos) message.erase(0, colon + 2);
  }
  if (message.size() > kMaxMessage) message = message.substr(0, kMaxMessage) + "...";
  // Quoted input may be no UTF-8 at all.
  std::replace_if(
      message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return message;
}

// Builds the document from the parser's events, so that depth and duplicate keys are seen as they come.
class DocumentBuilder final : public nlohmann::json_sax<Json> {
 public:
  DocumentBuilder(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  [[nodiscard]] Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(std::move(value)); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Json& object = *open_.back();
    if (object.contains(name))
      throw Error(ErrorCode::bad_input, fmt::format("{}: found the key twice, expected it once",
                                                    place_text(file_, child_pointer(open_pointer(), name))));
    slot_ = &object[name];
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: {}: {}", file_, position_text(text_, position), parser_words(error.what())));
  }

 private:
  Json* place(Json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool add(Json&& value) {
    place(std::move(value));
    return true;
  }

  bool open(Json&& container) {
    if (open_.size() == kMaxDepth)
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: found nesting deeper than {} levels, expected less", file_, kMaxDepth));
    // A container under construction does not move: only the innermost one grows.
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  // Pointer of the innermost container, found by address: only wanted for a message.
  [[nodiscard]] std::string open_pointer() const {
    std::string pointer;
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
      if (open_[i]->is_array()) {
        pointer = child_pointer(pointer, std::to_string(open_[i]->size() - 1));
        continue;
      }
      for (const auto& [name, child] : open_[i]->items()) {
        if (&child == open_[i + 1]) pointer = child_pointer(pointer, name);
      }
    }
    return pointer;
  }

  std::string_view text_;
  const std::string& file_;
  Json root_;
  std::vector<Json*> open_;
  Json* slot_ = nullptr;  // where the value after a key goes
};

}  // namespace

Json parse_json(std::string_view text, const std::string& file, bool allow_comments) {
  DocumentBuilder builder(text, file);
  Json::sax_parse(text, &builder, Json::input_format_t::json, /*strict=*/true, allow_comments);
  return builder.take();
}

Json read_json(const fs::path& path, bool allow_comments) {
  return parse_json(read_file(path), path.string(), allow_comments);
}

}  // namespace dsn
