// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/pickle.h"

#include <doctest/doctest.h>

#include <deque>

#include "dsn/core/error.h"
#include "pickle_support.h"

namespace dsn {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

constexpr PickleGlobal kAllowed[] = {{"collections.OrderedDict", PickleGlobal::Use::dictionary},
                                     {"torch._utils._rebuild_tensor_v2", PickleGlobal::Use::function},
                                     {"torch.FloatStorage", PickleGlobal::Use::constant}};

// A Pickle points into its bytes: they are kept for as long as the tests run.
Pickle parse(const std::string& content, std::size_t offset = 0) {
  static std::deque<std::string> kept;
  kept.push_back(content);
  return Pickle::parse(bytes_of(kept.back()), offset, "file", kAllowed);
}

// What parse() says about `content`.
std::string refusal(const std::string& content) {
  try {
    (void)parse(content);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_input);
    CHECK(error.message().starts_with("file: pickle, byte "));
    CHECK(error.message().find('\n') == std::string::npos);
    return error.message();
  }
  return "accepted";
}

void check_refused(const std::string& content, const std::string& because) {
  const std::string message = refusal(content);
  CHECK_MESSAGE(message.find(because) != std::string::npos, message);
}

}  // namespace

TEST_CASE("Pickle: numbers, text and containers come back as they were") {
  const std::string content =
      "\x80\x02(K\x07M\x01\x02J\xff\xff\xff\xff\x8a\x02\x00\x80\x8a\x00G\x3f\xf8\x00\x00\x00\x00\x00\x00N\x88\x89"s +
      text("word") + "U\x02okC\x01z](K\x01K\x02" + "e)K\x05\x85}" + text("k") + "K\x09st.";
  const Pickle p = parse(content);
  CHECK(p.end() == content.size());
  CHECK(p.kind(p.root()) == PickleKind::tuple);
  const auto items = p.items(p.root());
  REQUIRE(items.size() == 16);
  CHECK(p.integer(items[0]) == 7);
  CHECK(p.integer(items[1]) == 0x201);
  CHECK(p.integer(items[2]) == -1);
  CHECK(p.integer(items[3]) == -32768);
  CHECK(p.integer(items[4]) == 0);
  CHECK(p.real(items[5]) == 1.5);
  CHECK(p.kind(items[6]) == PickleKind::none);
  CHECK(p.kind(items[7]) == PickleKind::boolean);
  CHECK(p.integer(items[7]) == 1);
  CHECK(p.integer(items[8]) == 0);
  CHECK(p.text(items[9]) == "word");
  CHECK(p.text(items[10]) == "ok");
  CHECK(p.kind(items[11]) == PickleKind::bytes);
  CHECK(p.items(items[12]).size() == 2);
  CHECK(p.items(items[13]).empty());
  CHECK(p.integer(p.items(items[14])[0]) == 5);
  CHECK(p.text(p.items(items[15])[0]) == "k");
  CHECK(p.integer(p.items(items[15])[1]) == 9);
}

TEST_CASE("Pickle: starts at the offset it is given and says where it ended") {
  const std::string content = "xxxK\x01.yyy";
  const Pickle p = parse(content, 3);
  CHECK(p.integer(p.root()) == 1);
  CHECK(p.end() == 6);
}

TEST_CASE("Pickle: a function's call is recorded with its arguments, not made") {
  const Pickle p = parse(tensor("0", 6, 0, "K\x02K\x03", "K\x03K\x01") + ".");
  REQUIRE(p.kind(p.root()) == PickleKind::call);
  const auto items = p.items(p.root());
  REQUIRE(items.size() == 7);
  CHECK(p.text(items[0]) == "torch._utils._rebuild_tensor_v2");
  REQUIRE(p.kind(items[1]) == PickleKind::persistent);
  CHECK(p.text(p.items(p.items(items[1])[0])[1]) == "torch.FloatStorage");
  CHECK(p.items(items[3]).size() == 2);
}

TEST_CASE("Pickle: an OrderedDict takes items, pairs and attributes") {
  const std::string make = global("collections", "OrderedDict");
  Pickle p = parse(make + ")R(" + text("a") + "K\x01u}" + text("_metadata") + "K\x02sb.");
  CHECK(p.kind(p.root()) == PickleKind::dict);
  CHECK(p.items(p.root()).size() == 2);
  // As Python 2 wrote it: a list of pairs as argument.
  p = parse(make + "](](" + text("a") + "K\x01" + "ee\x85R.");
  REQUIRE(p.items(p.root()).size() == 2);
  CHECK(p.text(p.items(p.root())[0]) == "a");
  CHECK(p.integer(p.items(p.root())[1]) == 1);
}

TEST_CASE("Pickle: integers beyond 64 bits keep their bytes") {
  const Pickle p = parse("\x8a\x0a" + std::string(10, '\x11') + ".");
  CHECK(p.kind(p.root()) == PickleKind::big_integer);
  CHECK(p.text(p.root()) == std::string(10, '\x11'));
}

TEST_CASE("Pickle: the memo shares values, and a container may hold itself") {
  const Pickle p = parse("]q" + "\x00"s + "(h" + "\x00"s + "h" + "\x00"s + "e.");
  REQUIRE(p.items(p.root()).size() == 2);
  CHECK(p.items(p.root())[0] == p.root());
  CHECK(p.items(p.root())[1] == p.root());
}

TEST_CASE("Pickle: globals outside the list are refused by name, however they are spelt") {
  check_refused(global("os", "system") + "(" + text("true") + "tR.", "found global os.system");
  check_refused(global("posix", "system") + ".", "byte 0: found global posix.system");
  check_refused("\x80\x04\x8c\x02os\x8c\x06system\x93.", "byte 14: found global os.system");
  check_refused(
      "\x8c\x08"
      "builtins\x8c\x04"
      "eval\x93.",
      "found global builtins.eval");
  check_refused(global("collections", "OrderedDict2") + ".", "found global collections.OrderedDict2");
  check_refused(global("collections.OrderedDict", "__reduce__") + ".",
                "found global collections.OrderedDict.__reduce__");
  check_refused(global("", "") + ".", "found global .,");
  // What it says must not reach a terminal as it is.
  check_refused(global("a\x1b[31m", "b") + ".", "found global a?[31m.b");
  check_refused("c" + std::string(500, 'x') + "\ny\n.", std::string(80, 'x') + "....y");
  check_refused("K\x01K\x02\x93.", "STACK_GLOBAL found an integer, expected text");
}

TEST_CASE("Pickle: opcodes that make or call objects are refused by name") {
  const std::string make = global("collections", "OrderedDict");
  check_refused("(ios\nsystem\n.", "found opcode INST");
  check_refused("(" + make + "o.", "found opcode OBJ");
  check_refused(make + ")\x81.", "found opcode NEWOBJ");
  check_refused(make + ")}\x92.", "found opcode NEWOBJ_EX");
  check_refused("\x82\x01.", "found opcode EXT1");
  check_refused("\x83\x01\x01.", "found opcode EXT2");
  check_refused("\x84\x01\x01\x01\x01.", "found opcode EXT4");
  check_refused("Pid\n.", "found opcode PERSID");
  check_refused("\x8f.", "found opcode EMPTY_SET");
  check_refused("(\x91.", "found opcode FROZENSET");
  check_refused("]\x90.", "found opcode ADDITEMS");
  check_refused("\x96" + std::string(8, '\0') + ".", "found opcode BYTEARRAY8");
  check_refused("\x97.", "found opcode NEXT_BUFFER");
  check_refused("\x98.", "found opcode READONLY_BUFFER");
  check_refused("I1\n.", "found opcode INT");
  check_refused("S'a'\n.", "found opcode STRING");
  check_refused("Va\n.", "found opcode UNICODE");
  check_refused("L1L\n.", "found opcode LONG");
  check_refused("F1\n.", "found opcode FLOAT");
  check_refused("K\x01p0\n.", "found opcode PUT");
  check_refused("g0\n.", "found opcode GET");
  check_refused(
      "K\x01"
      "2.",
      "found opcode DUP");
  check_refused("\x05.", "found opcode 0x05");
}

TEST_CASE("Pickle: REDUCE calls listed functions only, BUILD only fills in an OrderedDict") {
  check_refused(global("torch", "FloatStorage") + ")R.",
                "REDUCE found torch.FloatStorage, which is not a function");
  check_refused("K\x01)R.", "REDUCE found an integer, expected a function");
  check_refused(text("os.system") + ")R.", "REDUCE found text, expected a function");
  check_refused(global("collections", "OrderedDict") + "]R.", "REDUCE found a list, expected a tuple");
  check_refused(global("collections", "OrderedDict") + "K\x01\x85R.", "expected none or a list of pairs");
  check_refused(global("collections", "OrderedDict") +
                    "](K\x01"
                    "e\x85R.",
                "expected pairs");
  check_refused("}}b.", "BUILD found a dict, expected an OrderedDict");
  check_refused("]}b.", "BUILD found a list");
  check_refused(global("torch", "FloatStorage") + "}b.", "BUILD found torch.FloatStorage");
  check_refused(tensor("0", 1, 0, "K\x01", "K\x01") + "}b.", "BUILD found a call");
  check_refused(global("collections", "OrderedDict") +
                    ")RK\x01"
                    "b.",
                "BUILD found an integer as attributes");
}

TEST_CASE("Pickle: what does not fit the stack is refused") {
  check_refused(".", "STOP found an empty stack");
  check_refused("K\x01K\x02.", "STOP found 1 values left over");
  check_refused("(K\x01.", "left over");
  check_refused("t.", "TUPLE found no mark");
  check_refused("K\x01\x86.", "TUPLE2 found an empty stack");
  check_refused("K\x01(\x85.", "TUPLE1 found an empty stack");  // nothing below a mark is taken
  check_refused("](0.", "POP found an empty stack");
  check_refused(
      "K\x01K\x02"
      "a.",
      "APPEND found an integer, expected a list");
  check_refused(
      ")K\x02"
      "a.",
      "APPEND found a tuple, expected a list");
  check_refused("}(K\x01u.", "SETITEMS found a key without a value");
  check_refused("](K\x01K\x02u.", "SETITEMS found a list, expected a dict");
  check_refused(
      "(K\x01"
      "d.",
      "DICT found a key without a value");
  check_refused("h\x07.", "BINGET found nothing at memo index 7");
  check_refused("j\xff\xff\xff\xff.", "LONG_BINGET found nothing at memo index");
  check_refused("K\x01r\xff\xff\xff\xff.", "LONG_BINPUT found memo index 4294967295");
  // The memo must not grow beyond what the file's size explains.
  check_refused("K\x01r\xff\xff\x03"s + "\0."s, "LONG_BINPUT found memo index 262143");
  check_refused("\x80\x06N.", "found protocol 6, expected at most 5");
}

TEST_CASE("Pickle: lengths that the file does not have are refused before anything is read") {
  check_refused("X\xff\xff\xff\x7f", "truncated: BINUNICODE of 2147483647 bytes");
  check_refused("X\x05" + "\0\0\0"s + "abc", "truncated: BINUNICODE needs 5 bytes, found 3");
  check_refused("\x8d" + std::string(8, '\xff') + "a", "truncated: BINUNICODE8");
  check_refused(
      "\x8b\xff\xff\xff\xff"
      "a",
      "truncated: LONG4");
  check_refused("\x95" + std::string(8, '\xff') + "N.", "truncated: a frame of");
  check_refused("cos", "truncated: GLOBAL without the end of its line");
  check_refused("", "truncated: an opcode needs 1 bytes, found 0");
}

TEST_CASE("Pickle: cut after any byte it is refused") {
  const std::string whole = "\x80\x02}" + text("w") + tensor("0", 6, 0, "K\x02K\x03", "K\x03K\x01") + "s.";
  REQUIRE(refusal(whole) == "accepted");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    check_refused(whole.substr(0, size), "truncated");
  }
}

TEST_CASE("Pickle: nesting and sharing beyond all measure cost neither stack nor time") {
  // A million tuples in each other.
  Pickle p = parse(")" + std::string(1'000'000, '\x85') + ".");
  CHECK(p.size() == 1'000'001);
  // Each list holds the one before twice: 2^1000 leaves, if anyone counted them.
  std::string doubling = "]q" + "\x00"s;
  for (int i = 0; i < 1000; ++i) doubling += "0](h" + "\x00"s + "h" + "\x00"s + "eq" + "\x00"s;
  p = parse(doubling + ".");
  CHECK(p.size() == 1001);
}

TEST_CASE("Pickle: more values than any checkpoint has are refused, also through the memo") {
  check_refused(std::string(Pickle::kMaxValues + 1, 'N') + ".", "found more than 4000000 values");
  check_refused(std::string(Pickle::kMaxValues + 1, '(') + ".", "found more than 4000000 marks");
  // A call copies its arguments; a memoised tuple of them must not multiply.
  std::string calls =
      global("torch._utils", "_rebuild_tensor_v2") + put(0) + "(" + std::string(10000, 'N') + "t" + put(1);
  for (int i = 0; i < 500; ++i) calls += get(0) + get(1) + "R";
  check_refused(calls + ".", "found more than 4000000 arguments");
}

}  // namespace dsn
