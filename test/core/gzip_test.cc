// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include "dsn/core/file.h"
#include "dsn/core/random.h"
#include "support.h"

using dsn::ErrorCode;
using dsn_test::contains;
using dsn_test::error_of;
using dsn_test::TempFolder;

namespace {

std::string gzip(const std::string& plain) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string noise(std::size_t size) {
  dsn::Rng rng(7);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(rng.below(256));
  return text;
}

}  // namespace

TEST_CASE("read_maybe_gzip: a plain file comes as it is") {
  const TempFolder folder;
  CHECK(text_of(dsn::read_maybe_gzip(folder.put("plain", "plain"))) == "plain");
  CHECK(dsn::read_maybe_gzip(folder.put("empty", "")).empty());
}

TEST_CASE("read_maybe_gzip: unpacks empty, small, well packed and unpackable content") {
  const TempFolder folder;
  for (const std::string& plain : {std::string(), std::string("x"), std::string(1 << 18, 'a'),
                                   std::string(3'000'000, 'a'), noise(700'000)}) {
    CHECK(text_of(dsn::read_maybe_gzip(folder.put("file.gz", gzip(plain)))) == plain);
  }
}

TEST_CASE("read_maybe_gzip: concatenated members are one content") {
  const TempFolder folder;
  CHECK(text_of(dsn::read_maybe_gzip(folder.put("two.gz", gzip("first ") + gzip("second")))) ==
        "first second");
}

TEST_CASE("read_maybe_gzip: a stream cut anywhere is refused as truncated") {
  const TempFolder folder;
  const std::string packed = gzip("some text that is worth packing, some text that is worth packing");
  for (std::size_t size = 2; size < packed.size(); ++size) {
    const auto file = folder.put("cut.gz", packed.substr(0, size));
    const auto error = error_of([&] { (void)dsn::read_maybe_gzip(file); });
    CHECK(error.code() == ErrorCode::bad_input);
    CHECK(contains(error.message(), file.string() + ": truncated gzip stream"));
  }
}

TEST_CASE("read_maybe_gzip: a changed byte in data or checksum is refused as corrupt") {
  const TempFolder folder;
  const std::string packed = gzip(noise(2000));
  for (std::size_t at = 10; at < packed.size(); at += 7) {
    std::string changed = packed;
    changed[at] = static_cast<char>(changed[at] ^ 0x55);
    const auto error = error_of([&] { (void)dsn::read_maybe_gzip(folder.put("bad.gz", changed)); });
    CHECK(error.code() == ErrorCode::bad_input);
  }
}

TEST_CASE("read_maybe_gzip: bytes after the stream are refused") {
  const TempFolder folder;
  const auto error = error_of([&] { (void)dsn::read_maybe_gzip(folder.put("tail.gz", gzip("x") + "tail")); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(contains(error.message(), "4 bytes follow"));
}

TEST_CASE("read_maybe_gzip: the limit holds exactly, for packed and plain files") {
  const TempFolder folder;
  const std::string bomb(5'000'000, '\0');
  const auto packed = folder.put("bomb.gz", gzip(bomb));
  CHECK(dsn::read_maybe_gzip(packed, bomb.size()).size() == bomb.size());
  const auto error = error_of([&] { (void)dsn::read_maybe_gzip(packed, bomb.size() - 1); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(contains(error.message(), "more than the 4999999 bytes"));
  const auto plain = folder.put("plain", "12345");
  CHECK(dsn::read_maybe_gzip(plain, 5).size() == 5);
  CHECK(error_of([&] { (void)dsn::read_maybe_gzip(plain, 4); }).code() == ErrorCode::bad_input);
}
