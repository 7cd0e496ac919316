// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/core/json_text.h"

namespace dsn {

std::string child_pointer(const std::string& pointer, std::string_view token) {
  std::string result = pointer + '/';
  for (const char c : token) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

std::string found_text(const Json& value) {
  constexpr std::size_t kLongest = 60;
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  if (value.is_object()) return "an object";
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    return fmt::format("{}", value.get<double>());
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

std::string place_text(const std::string& file, const std::string& pointer) {
  return pointer.empty() ? file : file + ": " + pointer;
}

JsonView::JsonView(const Json& json, std::string file, std::string pointer)
    : json_(&json), file_(std::move(file)), pointer_(std::move(pointer)) {}

JsonView JsonView::operator[](std::string_view key) const {
  if (!json_->is_object()) fail(fmt::format("an object with \"{}\"", key));
  const auto found = json_->find(key);
  if (found == json_->end())
    throw Error(ErrorCode::bad_input, fmt::format("{}: found nothing, expected this key",
                                                  place_text(file_, child_pointer(pointer_, key))));
  return {*found, file_, child_pointer(pointer_, key)};
}

JsonView JsonView::operator[](std::size_t index) const {
  if (!json_->is_array()) fail("an array");
  if (index >= json_->size()) fail(fmt::format("at least {} items", index + 1));
  return {(*json_)[index], file_, child_pointer(pointer_, std::to_string(index))};
}

bool JsonView::has(std::string_view key) const {
  if (!json_->is_object()) return false;
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

std::size_t JsonView::size() const {
  if (!json_->is_structured()) fail("an array or an object");
  return json_->size();
}

double JsonView::number() const {
  if (!json_->is_number()) fail("a number");
  const double value = json_->get<double>();
  if (!std::isfinite(value)) fail("a finite number");
  return value;
}

double JsonView::number(double lowest, double highest) const {
  const auto expected = [&] { return fmt::format("a number from {} to {}", lowest, highest); };
  if (!json_->is_number()) fail(expected());
  const double value = json_->get<double>();
  if (!std::isfinite(value) || value < lowest || value > highest) fail(expected());
  return value;
}

std::int64_t JsonView::integer(std::int64_t lowest, std::int64_t highest) const {
  const auto expected = [&] { return fmt::format("an integer from {} to {}", lowest, highest); };
  if (!json_->is_number_integer()) fail(expected());
  if (json_->is_number_unsigned() &&
      json_->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    fail(expected());
  const auto value = json_->get<std::int64_t>();
  if (value < lowest || value > highest) fail(expected());
  return value;
}

std::string JsonView::text() const {
  if (!json_->is_string()) fail("text");
  return json_->get<std::string>();
}

bool JsonView::boolean() const {
  if (!json_->is_boolean()) fail("true or false");
  return json_->get<bool>();
}

std::vector<double> JsonView::numbers() const {
  if (!json_->is_array()) fail("an array of numbers");
  std::vector<double> values;
  values.reserve(json_->size());
  for (std::size_t i = 0; i < json_->size(); ++i) values.push_back((*this)[i].number());
  return values;
}

std::vector<int> JsonView::integers() const {
  if (!json_->is_array()) fail("an array of integers");
  std::vector<int> values;
  values.reserve(json_->size());
  constexpr std::int64_t kLowest = std::numeric_limits<int>::min();
  constexpr std::int64_t kHighest = std::numeric_limits<int>::max();
  for (std::size_t i = 0; i < json_->size(); ++i)
    values.push_back(static_cast<int>((*this)[i].integer(kLowest, kHighest)));
  return values;
}

void JsonView::fail(const std::string& expected) const {
  throw Error(ErrorCode::bad_input, fmt::format("{}: found {}, expected {}", place_text(file_, pointer_),
                                                found_text(*json_), expected));
}

void JsonView::only_keys(std::initializer_list<std::string_view> allowed) const {
  if (!json_->is_object()) fail("an object");
  for (const auto& entry : json_->items()) {
    if (std::find(allowed.begin(), allowed.end(), entry.key()) != allowed.end()) continue;
    throw Error(ErrorCode::bad_input, fmt::format("{}: found an unknown key, expected one of: {}",
                                                  place_text(file_, child_pointer(pointer_, entry.key())),
                                                  fmt::join(allowed, ", ")));
  }
}

}  // namespace dsn
