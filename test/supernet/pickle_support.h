// SPDX-License-Identifier: Apache-2.0
// Writes pickles by hand, opcode by opcode, also those that no pickler writes.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace dsn::testing {

using namespace std::string_literals;  // "\x00"s keeps its zeros

template <typename T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
inline std::string text(std::string_view value) {
  return "X" + raw(static_cast<std::uint32_t>(value.size())) + std::string(value);
}
inline std::string number(std::int32_t value) {
  return "J" + raw(value);
}
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string put(std::uint8_t index) {
  return "q" + raw(index);
}
inline std::string get(std::uint8_t index) {
  return "h" + raw(index);
}

// Of a tensor with `shape` and `strides` ("K\x02K\x03": opcodes of the numbers) over storage `key` of `numel`
// float32.
inline std::string tensor(std::string_view key, std::int32_t numel, std::int32_t offset,
                          const std::string& shape, const std::string& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") +
         global("torch", "FloatStorage") + text(key) + text("cpu") + number(numel) + "tQ" + number(offset) +
         "(" + shape + "t(" + strides + "t\x89" + global("collections", "OrderedDict") + ")Rt" + "R";
}

inline std::span<const std::byte> bytes_of(const std::string& content) {
  return std::as_bytes(std::span(content.data(), content.size()));
}

// A legacy file around `object` (a whole pickle): `storages` is the list of keys (a whole pickle) and what
// follows it.
inline std::string legacy_file(const std::string& object, const std::string& storages) {
  return "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s + "\x80\x02M\xe9\x03."s + "\x80\x02}" +
         text("little_endian") + "\x88s." + object + storages;
}

}  // namespace dsn::testing
