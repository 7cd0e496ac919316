// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/supernet/foreign_text.h"
#include "dsn/supernet/pickle_names.h"

namespace dsn {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied from the file as they are");

constexpr const char* kHint =
    "only tensors, numbers, text and containers are read and nothing is executed: save the model's "
    "state_dict";

constexpr int kNewestProtocol = 5;
constexpr PickleId kNothing = std::numeric_limits<PickleId>::max();

}  // namespace

std::string_view Pickle::text(PickleId id) const noexcept {
  const Value& value = values_[id];
  switch (value.kind) {
    case PickleKind::text:
    case PickleKind::bytes:
    case PickleKind::big_integer:
    case PickleKind::global:
      return {value.text, value.length};
    default:
      return {};
  }
}

std::span<const PickleId> Pickle::items(PickleId id) const noexcept {
  const Value& value = values_[id];
  switch (value.kind) {
    case PickleKind::list:
    case PickleKind::tuple:
    case PickleKind::dict:
    case PickleKind::call:
    case PickleKind::persistent:
      return containers_[value.container];
    default:
      return {};
  }
}

// The stack machine that a pickle is a program of. Marks are kept apart from the stack, and nothing below the
// last mark can be popped.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, std::size_t offset, const std::string& file,
                std::span<const PickleGlobal> allowed)
      : bytes_(bytes), position_(offset), start_(offset), op_at_(offset), file_(file), allowed_(allowed) {}

  Pickle run() {
    if (position_ > bytes_.size()) position_ = bytes_.size();
    do {
      op_at_ = position_;
      if (op_at_ - start_ > Pickle::kMaxBytes)
        fail(fmt::format("found more than {} bytes without an end", Pickle::kMaxBytes));
      op_ = number<unsigned char>();
    } while (step());
    pickle_.end_ = position_;
    return std::move(pickle_);
  }

 private:
  using Value = Pickle::Value;

  [[noreturn]] void fail(const std::string& what, const char* hint = "") const {
    throw Error(ErrorCode::bad_input, fmt::format("{}: pickle, byte {}: {}", file_, op_at_, what), hint);
  }

  // --- reading ---
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - position_) {
      fail(fmt::format("truncated: {} needs {} bytes, found {}",
                       op_at_ == position_ ? "an opcode" : pickle_op_name(op_), count,
                       bytes_.size() - position_));
    }
    const auto* data = reinterpret_cast<const char*>(bytes_.data()) + position_;
    position_ += static_cast<std::size_t>(count);
    return {data, static_cast<std::size_t>(count)};
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + position_;
    const void* end = std::memchr(begin, '\n', bytes_.size() - position_);
    if (end == nullptr) fail(fmt::format("truncated: {} without the end of its line", pickle_op_name(op_)));
    const auto length = static_cast<std::size_t>(static_cast<const char*>(end) - begin);
    position_ += length + 1;
    return {begin, length};
  }

  // --- the stack ---
  [[nodiscard]] std::size_t fence() const { return marks_.empty() ? 0 : marks_.back(); }
  void push(PickleId id) {
    if (stack_.size() >= Pickle::kMaxValues)
      fail(fmt::format("found more than {} values", Pickle::kMaxValues));
    stack_.push_back(id);
  }
  PickleId top() const {
    if (stack_.size() <= fence()) fail(fmt::format("{} found an empty stack", pickle_op_name(op_)));
    return stack_.back();
  }
  PickleId pop() {
    const PickleId id = top();
    stack_.pop_back();
    return id;
  }
  // What was pushed since the last mark; the mark goes too.
  std::vector<PickleId> pop_mark() {
    if (marks_.empty()) fail(fmt::format("{} found no mark", pickle_op_name(op_)));
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleId> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return items;
  }
  std::vector<PickleId> pop_items(std::size_t count) {
    if (stack_.size() - fence() < count) fail(fmt::format("{} found an empty stack", pickle_op_name(op_)));
    const auto from = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<PickleId> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    return items;
  }

  // --- values ---
  PickleId add(const Value& value) {
    if (pickle_.values_.size() >= Pickle::kMaxValues)
      fail(fmt::format("found more than {} values", Pickle::kMaxValues));
    pickle_.values_.push_back(value);
    return static_cast<PickleId>(pickle_.values_.size() - 1);
  }
  bool put(PickleKind kind, std::int64_t integer = 0) {
    Value value;
    value.kind = kind;
    value.integer = integer;
    push(add(value));
    return true;
  }
  bool put_text(PickleKind kind, std::string_view text) {
    Value value;
    value.kind = kind;
    value.text = text.data();
    value.length = static_cast<std::uint32_t>(text.size());  // below kMaxBytes: see counted()
    push(add(value));
    return true;
  }
  // Text of `count` bytes; a count beyond the limit is not read at all.
  std::string_view counted(std::uint64_t count) {
    if (count > Pickle::kMaxBytes) fail(fmt::format("truncated: {} of {} bytes", pickle_op_name(op_), count));
    return take(count);
  }
  bool put_container(PickleKind kind, std::vector<PickleId> items, bool ordered = false) {
    Value value;
    value.kind = kind;
    value.ordered = ordered;
    value.container = pickle_.containers_.size();
    const PickleId id = add(value);
    pickle_.containers_.push_back(std::move(items));
    push(id);
    return true;
  }
  bool put_real() {
    // Big-endian in the file.
    std::uint64_t bits = 0;
    for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
    Value value;
    value.kind = PickleKind::real;
    value.real = std::bit_cast<double>(bits);
    push(add(value));
    return true;
  }
  bool put_long(std::uint64_t length) {
    const std::string_view digits = counted(length);
    if (digits.size() > 8) return put_text(PickleKind::big_integer, digits);
    std::uint64_t bits = !digits.empty() && (digits.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    std::memcpy(&bits, digits.data(), digits.size());
    return put(PickleKind::integer, static_cast<std::int64_t>(bits));
  }

  bool put_global(std::string_view module, std::string_view name) {
    const auto is = [&](const PickleGlobal& global) {
      return global.name.size() == module.size() + 1 + name.size() && global.name.starts_with(module) &&
             global.name[module.size()] == '.' && global.name.ends_with(name);
    };
    const auto found = std::find_if(allowed_.begin(), allowed_.end(), is);
    if (found == allowed_.end()) {
      fail(fmt::format("found global {}.{}, which is not on the list of what may be in a checkpoint",
                       foreign_text(module), foreign_text(name)),
           kHint);
    }
    Value value;
    value.kind = PickleKind::global;
    value.use = found->use;
    value.text = found->name.data();
    value.length = static_cast<std::uint32_t>(found->name.size());
    push(add(value));
    return true;
  }
  bool stack_global() {
    const auto names = pop_items(2);
    for (const PickleId id : names) {
      if (pickle_.kind(id) != PickleKind::text)
        fail(fmt::format("STACK_GLOBAL found {}, expected text", to_string(pickle_.kind(id))));
    }
    return put_global(pickle_.text(names[0]), pickle_.text(names[1]));
  }

  [[nodiscard]] std::string describe(PickleId id) const {
    return pickle_.kind(id) == PickleKind::global ? std::string(pickle_.text(id))
                                                  : std::string(to_string(pickle_.kind(id)));
  }
  std::vector<PickleId>& mutable_items(PickleId id, PickleKind kind) {
    if (pickle_.kind(id) != kind)
      fail(fmt::format("{} found {}, expected {}", pickle_op_name(op_), describe(id), to_string(kind)));
    return pickle_.containers_[pickle_.values_[id].container];
  }
  bool extend(PickleKind kind, const std::vector<PickleId>& items) {
    if (kind == PickleKind::dict && items.size() % 2 != 0)
      fail(fmt::format("{} found a key without a value", pickle_op_name(op_)));
    auto& into = mutable_items(top(), kind);
    if (into.size() + items.size() > Pickle::kMaxValues)
      fail(fmt::format("found more than {} values", Pickle::kMaxValues));
    into.insert(into.end(), items.begin(), items.end());
    return true;
  }
  bool make_dict(std::vector<PickleId> items) {
    if (items.size() % 2 != 0) fail("DICT found a key without a value");
    return put_container(PickleKind::dict, std::move(items));
  }

  bool reduce() {
    const PickleId arguments = pop(), function = pop();
    if (pickle_.kind(function) != PickleKind::global)
      fail(fmt::format("REDUCE found {}, expected a function", describe(function)), kHint);
    if (pickle_.values_[function].use == PickleGlobal::Use::constant)
      fail(fmt::format("REDUCE found {}, which is not a function", describe(function)), kHint);
    if (pickle_.kind(arguments) != PickleKind::tuple)
      fail(fmt::format("REDUCE found {}, expected a tuple of arguments", describe(arguments)));
    const auto given = pickle_.items(arguments);
    if (pickle_.values_[function].use == PickleGlobal::Use::function) {
      std::vector<PickleId> items{function};
      items.insert(items.end(), given.begin(), given.end());
      // A tuple can be memoised and passed to any number of calls: each copies its items.
      copied_ += given.size();
      if (copied_ > Pickle::kMaxValues) fail(fmt::format("found more than {} arguments", Pickle::kMaxValues));
      return put_container(PickleKind::call, std::move(items));
    }
    if (given.empty()) return put_container(PickleKind::dict, {}, true);
    return put_container(PickleKind::dict, pairs(function, given), true);
  }
  // The arguments of OrderedDict([[key, value], ...]), as Python 2 wrote it.
  std::vector<PickleId> pairs(PickleId function, std::span<const PickleId> given) {
    if (given.size() != 1 || pickle_.kind(given[0]) != PickleKind::list)
      fail(fmt::format("REDUCE found arguments of {}, expected none or a list of pairs", describe(function)));
    std::vector<PickleId> items;
    for (const PickleId pair : pickle_.items(given[0])) {
      const auto both = pickle_.items(pair);
      const bool sequence = pickle_.kind(pair) == PickleKind::list || pickle_.kind(pair) == PickleKind::tuple;
      if (!sequence || both.size() != 2)
        fail(fmt::format("REDUCE found arguments of {}, expected pairs", describe(function)));
      items.insert(items.end(), both.begin(), both.end());
    }
    copied_ += items.size();
    if (copied_ > Pickle::kMaxValues) fail(fmt::format("found more than {} arguments", Pickle::kMaxValues));
    return items;
  }
  // Attributes of an OrderedDict (a state_dict's _metadata): read over. Nothing else has any.
  bool build() {
    const PickleId state = pop(), object = top();
    if (pickle_.kind(object) != PickleKind::dict || !pickle_.values_[object].ordered)
      fail(fmt::format("BUILD found {}, expected an OrderedDict", describe(object)), kHint);
    if (pickle_.kind(state) != PickleKind::dict)
      fail(fmt::format("BUILD found {} as attributes, expected a dict", describe(state)), kHint);
    return true;
  }

  // --- the memo ---
  bool memoise(std::uint32_t index) {
    // Picklers number from 0: an index beyond the limit is nobody's, and would only cost memory.
    if (index >= Pickle::kMaxValues) fail(fmt::format("{} found memo index {}", pickle_op_name(op_), index));
    const PickleId id = top();
    if (index >= memo_.size()) {
      // Growing needs a byte of the file for each entry, so that a small file cannot ask for much.
      if (index > bytes_.size()) fail(fmt::format("{} found memo index {}", pickle_op_name(op_), index));
      memo_.resize(index + 1, kNothing);
    }
    if (memo_[index] == kNothing) ++memoised_;
    memo_[index] = id;
    return true;
  }
  bool recall(std::uint32_t index) {
    if (index >= memo_.size() || memo_[index] == kNothing)
      fail(fmt::format("{} found nothing at memo index {}", pickle_op_name(op_), index));
    push(memo_[index]);
    return true;
  }

  // Executes op_; false at STOP.
  bool step() {
    switch (op_) {
      case 0x80: {
        const int protocol = number<std::uint8_t>();
        if (protocol > kNewestProtocol)
          fail(fmt::format("found protocol {}, expected at most {}", protocol, kNewestProtocol));
        return true;
      }
      case 0x95: {
        const auto length = number<std::uint64_t>();
        if (length > bytes_.size() - position_)
          fail(fmt::format("truncated: a frame of {} bytes, found {}", length, bytes_.size() - position_));
        return true;
      }
      case '.':
        pickle_.root_ = pop();
        if (!stack_.empty() || !marks_.empty())
          fail(fmt::format("STOP found {} values left over", stack_.size() + marks_.size()));
        return false;
      case '(':
        if (marks_.size() >= Pickle::kMaxValues)
          fail(fmt::format("found more than {} marks", Pickle::kMaxValues));
        marks_.push_back(stack_.size());
        return true;
      case '0':
        pop();
        return true;
      case '1':
        pop_mark();
        return true;
      case 'N':
        return put(PickleKind::none);
      case 0x88:
        return put(PickleKind::boolean, 1);
      case 0x89:
        return put(PickleKind::boolean, 0);
      case 'J':
        return put(PickleKind::integer, number<std::int32_t>());
      case 'K':
        return put(PickleKind::integer, number<std::uint8_t>());
      case 'M':
        return put(PickleKind::integer, number<std::uint16_t>());
      case 0x8a:
        return put_long(number<std::uint8_t>());
      case 0x8b:
        return put_long(number<std::uint32_t>());
      case 'G':
        return put_real();
      case 'T':
      case 'X':
        return put_text(PickleKind::text, counted(number<std::uint32_t>()));
      case 'U':
      case 0x8c:
        return put_text(PickleKind::text, counted(number<std::uint8_t>()));
      case 0x8d:
        return put_text(PickleKind::text, counted(number<std::uint64_t>()));
      case 'B':
        return put_text(PickleKind::bytes, counted(number<std::uint32_t>()));
      case 'C':
        return put_text(PickleKind::bytes, counted(number<std::uint8_t>()));
      case ']':
        return put_container(PickleKind::list, {});
      case 'l':
        return put_container(PickleKind::list, pop_mark());
      case 'a':
        return extend(PickleKind::list, pop_items(1));
      case 'e':
        return extend(PickleKind::list, pop_mark());
      case ')':
        return put_container(PickleKind::tuple, {});
      case 't':
        return put_container(PickleKind::tuple, pop_mark());
      case 0x85:
        return put_container(PickleKind::tuple, pop_items(1));
      case 0x86:
        return put_container(PickleKind::tuple, pop_items(2));
      case 0x87:
        return put_container(PickleKind::tuple, pop_items(3));
      case '}':
        return put_container(PickleKind::dict, {});
      case 'd':
        return make_dict(pop_mark());
      case 's':
        return extend(PickleKind::dict, pop_items(2));
      case 'u':
        return extend(PickleKind::dict, pop_mark());
      case 'c': {
        const std::string_view module = line();
        return put_global(module, line());
      }
      case 0x93:
        return stack_global();
      case 'R':
        return reduce();
      case 'b':
        return build();
      case 'Q':
        return put_container(PickleKind::persistent, pop_items(1));
      case 'q':
        return memoise(number<std::uint8_t>());
      case 'r':
        return memoise(number<std::uint32_t>());
      case 0x94:
        return memoise(memoised_);
      case 'h':
        return recall(number<std::uint8_t>());
      case 'j':
        return recall(number<std::uint32_t>());
      default:
        fail(fmt::format("found opcode {}, which is not on the list of what may be in a checkpoint",
                         pickle_op_name(op_)),
             kHint);
    }
  }

  std::span<const std::byte> bytes_;
  std::size_t position_, start_, op_at_;
  const std::string& file_;
  std::span<const PickleGlobal> allowed_;
  unsigned char op_ = 0;
  std::vector<PickleId> stack_, memo_;
  std::vector<std::size_t> marks_;
  std::uint32_t memoised_ = 0;
  std::size_t copied_ = 0;
  Pickle pickle_;
};

Pickle Pickle::parse(std::span<const std::byte> bytes, std::size_t offset, const std::string& file,
                     std::span<const PickleGlobal> allowed) {
  return PickleMachine(bytes, offset, file, allowed).run();
}

}  // namespace dsn
