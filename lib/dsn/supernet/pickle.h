// SPDX-License-Identifier: Apache-2.0
// A restricted unpickler: reads Python pickles as data and never runs code.
//
// Only the opcodes that build numbers, text, containers and references are known, and only the globals that
// the caller lists; every other opcode or global is refused by name. A call (REDUCE) is recorded, not made.
// Values live in one flat arena and refer to each other by number: cycles, sharing and deep nesting cost
// nothing, here or when the arena is freed. Opcodes: CPython's Lib/pickletools.py. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dsn {

// A global that a pickle may name.
struct PickleGlobal {
  enum class Use {
    constant,    // a name only ("torch.FloatStorage")
    function,    // may be called; the call is recorded
    dictionary,  // a dict type: calling it makes a dict, from nothing or from one list of pairs
  };
  std::string_view name;  // "torch._utils._rebuild_tensor_v2"
  Use use = Use::constant;
};

enum class PickleKind : std::uint8_t {
  none,
  boolean,
  integer,
  big_integer,  // beyond 64 bits; text() is its little-endian two's complement
  real,
  text,
  bytes,
  list,
  tuple,
  dict,        // items(): key, value, key, value
  global,      // text() is its name
  call,        // items(): the function, then its arguments
  persistent,  // items(): the one value that identifies an object kept outside the pickle
};
[[nodiscard]] std::string_view to_string(PickleKind kind) noexcept;

// Number of a value in its Pickle.
using PickleId = std::uint32_t;

// One unpickled document. Immutable: const members are thread-safe. Views point into the bytes it was parsed
// from.
class Pickle {
 public:
  // Limits of one document; published checkpoints stay below a hundredth of each.
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  static constexpr std::size_t kMaxValues = 4'000'000;

  // Parses `bytes` from `offset` to the STOP opcode. `file` and `offset` are used in messages. Throws
  // Error{bad_input}: "FILE: pickle, byte 12: ..." for a truncated or malformed pickle, for every opcode or
  // global outside the lists above, and beyond the limits.
  static Pickle parse(std::span<const std::byte> bytes, std::size_t offset, const std::string& file,
                      std::span<const PickleGlobal> allowed);

  [[nodiscard]] PickleId root() const noexcept { return root_; }
  // Offset in `bytes` of what comes after STOP.
  [[nodiscard]] std::size_t end() const noexcept { return end_; }
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

  [[nodiscard]] PickleKind kind(PickleId id) const noexcept { return values_[id].kind; }
  [[nodiscard]] std::int64_t integer(PickleId id) const noexcept {
    return values_[id].integer;
  }  // boolean too
  [[nodiscard]] double real(PickleId id) const noexcept { return values_[id].real; }
  [[nodiscard]] std::string_view text(PickleId id) const noexcept;
  // Of a list, tuple, dict, call or persistent; empty otherwise.
  [[nodiscard]] std::span<const PickleId> items(PickleId id) const noexcept;

 private:
  friend class PickleMachine;
  struct Value {
    PickleKind kind = PickleKind::none;
    PickleGlobal::Use use = PickleGlobal::Use::constant;  // of a global
    bool ordered = false;                                 // a dict that a dictionary global made
    std::uint32_t length = 0;                             // of text
    union {
      std::int64_t integer;
      double real;
      const char* text;
      std::size_t container;  // in containers_
    };
    Value() : integer(0) {}
  };
  Pickle() = default;

  std::vector<Value> values_;
  std::vector<std::vector<PickleId>> containers_;
  PickleId root_ = 0;
  std::size_t end_ = 0;
};

}  // namespace dsn
