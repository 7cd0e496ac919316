// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "dsn/core/json.h"
#include "support.h"

using dsn::ErrorCode;
using dsn::Json;
using dsn::JsonView;
using dsn_test::error_of;

namespace {

template <typename Call>
std::string message_of(Call&& call) {
  const auto error = error_of(call);
  CHECK(error.code() == ErrorCode::bad_input);
  return error.message();
}

}  // namespace

TEST_CASE("JsonView: walks down and keeps file and pointer") {
  const Json json = {{"rows", {{{"latency_s", 0.5}}}}, {"a/b~", 1}};
  const JsonView view(json, "lut.json");
  CHECK(view.pointer().empty());
  CHECK(view.file() == "lut.json");
  CHECK(view["rows"][0]["latency_s"].number() == 0.5);
  CHECK(view["rows"][0]["latency_s"].pointer() == "/rows/0/latency_s");
  CHECK(view["a/b~"].pointer() == "/a~1b~0");
  CHECK(&view["rows"].json() == &json["rows"]);
  CHECK(view.size() == 2);
  CHECK(view["rows"].size() == 1);
}

TEST_CASE("JsonView: an absent key or index and a wrong container name the place") {
  const Json json = {{"rows", {1, 2}}, {"x", 3}};
  const JsonView view(json, "f");
  CHECK(message_of([&] { (void)view["none"]; }) == "f: /none: found nothing, expected this key");
  CHECK(message_of([&] { (void)view["rows"][2]; }) ==
        "f: /rows: found an array of 2, expected at least 3 items");
  CHECK(message_of([&] { (void)view["rows"]["k"]; }) ==
        "f: /rows: found an array of 2, expected an object with \"k\"");
  CHECK(message_of([&] { (void)view["x"][0]; }) == "f: /x: found 3, expected an array");
  CHECK(message_of([&] { (void)view["x"].size(); }) == "f: /x: found 3, expected an array or an object");
}

TEST_CASE("JsonView::has: present and not null") {
  const Json json = {{"a", 1}, {"n", nullptr}, {"l", Json::array()}};
  const JsonView view(json, "f");
  CHECK(view.has("a"));
  CHECK_FALSE(view.has("n"));
  CHECK_FALSE(view.has("b"));
  CHECK_FALSE(view["l"].has("a"));
}

TEST_CASE(
    "JsonView::number: takes integers too, refuses other types, non-finite values and what is out of range") {
  const Json json = {{"i", 3}, {"t", "3"}, {"nan", std::nan("")}, {"d", 1.5}};
  const JsonView view(json, "f");
  CHECK(view["i"].number() == 3);
  CHECK(view["d"].number(1.5, 2) == 1.5);
  CHECK(message_of([&] { (void)view["t"].number(); }) == "f: /t: found \"3\", expected a number");
  CHECK(message_of([&] { (void)view["nan"].number(); }) == "f: /nan: found nan, expected a finite number");
  CHECK(message_of([&] { (void)view["nan"].number(0, 1); }) ==
        "f: /nan: found nan, expected a number from 0 to 1");
  CHECK(message_of([&] { (void)view["d"].number(0, 1); }) ==
        "f: /d: found 1.5, expected a number from 0 to 1");
}

TEST_CASE("JsonView::integer: whole numbers inside the range, also at the ends of 64 bits") {
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
  const Json json = {kLowest, kHighest, std::numeric_limits<std::uint64_t>::max(), 1.0, 5};
  const JsonView view(json, "f");
  CHECK(view[0].integer(kLowest, kHighest) == kLowest);
  CHECK(view[1].integer(kLowest, kHighest) == kHighest);
  message_of([&] { (void)view[2].integer(kLowest, kHighest); });
  CHECK(message_of([&] { (void)view[3].integer(0, 9); }) ==
        "f: /3: found 1.0, expected an integer from 0 to 9");
  CHECK(message_of([&] { (void)view[4].integer(6, 9); }) ==
        "f: /4: found 5, expected an integer from 6 to 9");
  CHECK(message_of([&] { (void)view[4].integer(0, 4); }) ==
        "f: /4: found 5, expected an integer from 0 to 4");
}

TEST_CASE("JsonView: text, boolean, numbers and integers check every value") {
  const Json json = {{"t", "x"}, {"b", true}, {"n", {1, 2.5}}, {"i", {1, 2}}, {"big", {1, 3000000000}}};
  const JsonView view(json, "f");
  CHECK(view["t"].text() == "x");
  CHECK(view["b"].boolean());
  CHECK(view["n"].numbers() == std::vector<double>{1, 2.5});
  CHECK(view["i"].integers() == std::vector<int>{1, 2});
  CHECK(message_of([&] { (void)view["b"].text(); }) == "f: /b: found true, expected text");
  CHECK(message_of([&] { (void)view["t"].boolean(); }) == "f: /t: found \"x\", expected true or false");
  CHECK(message_of([&] { (void)view["t"].numbers(); }) == "f: /t: found \"x\", expected an array of numbers");
  CHECK(message_of([&] { (void)view["t"].integers(); }) ==
        "f: /t: found \"x\", expected an array of integers");
  CHECK(dsn_test::contains(message_of([&] { (void)view["n"].integers(); }), "f: /n/1: found 2.5"));
  CHECK(dsn_test::contains(message_of([&] { (void)view["big"].integers(); }), "f: /big/1: found 3000000000"));
}

TEST_CASE("JsonView::fail: shortens what was found and keeps it printable") {
  const Json json = {std::string(500, 'x'), "\xff", nullptr, Json::object()};
  const JsonView view(json, "f");
  CHECK(message_of([&] { view[0].fail("less"); }).size() < 120);
  for (const char c : message_of([&] { view[1].fail("text"); })) CHECK(static_cast<unsigned char>(c) < 0x80);
  CHECK(message_of([&] { view[2].fail("more"); }) == "f: /2: found null, expected more");
  CHECK(message_of([&] { view[3].fail("more"); }) == "f: /3: found an object, expected more");
  CHECK(message_of([&] { view.fail("more"); }) == "f: found an array of 4, expected more");
}

TEST_CASE("JsonView::only_keys: an unknown key is named with its pointer and the keys allowed") {
  const Json json = {{"a", 1}, {"typo", 2}};
  const JsonView view(json, "f");
  CHECK_NOTHROW(view.only_keys({"a", "typo", "other"}));
  CHECK(message_of([&] {
          view.only_keys({"a", "type"});
        }) == "f: /typo: found an unknown key, expected one of: a, type");
  CHECK(message_of([&] { view["a"].only_keys({}); }) == "f: /a: found 1, expected an object");
}
