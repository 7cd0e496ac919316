// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <thread>
#include <utility>

#include "support.h"

using dsn::ErrorCode;
using dsn_test::contains;
using dsn_test::error_of;
using dsn_test::TempFolder;

namespace {
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
}  // namespace

TEST_CASE("read_file: returns all bytes, of an empty file, of one with zeros, and of a large one") {
  const TempFolder folder;
  CHECK(dsn::read_file(folder.put("empty", "")).empty());
  const std::string zeros("a\0b\n", 4);
  CHECK(dsn::read_file(folder.put("zeros", zeros)) == zeros);
  const std::string large(300'001, 'x');
  CHECK(dsn::read_file(folder.put("large", large)) == large);
}

TEST_CASE("read_file: a file without a size, as under /proc, is read to its end") {
  CHECK(contains(dsn::read_file("/proc/self/status"), "Pid:"));
}

TEST_CASE("read_file: a pipe is read to its end") {
  const TempFolder folder;
  const auto pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(pipe) << std::string(100'000, 'p'); });
  const std::string content = dsn::read_file(pipe);
  writer.join();
  CHECK(content == std::string(100'000, 'p'));
}

TEST_CASE("read_file: a missing file, a folder and a file as a folder each name the path") {
  const TempFolder folder;
  const auto missing = error_of([&] { (void)dsn::read_file(folder / "none.json"); });
  CHECK(missing.code() == ErrorCode::not_found);
  CHECK(contains(missing.message(), (folder / "none.json").string()));
  CHECK(contains(missing.message(), "No such file"));
  CHECK(error_of([&] { (void)dsn::read_file(folder.path()); }).code() == ErrorCode::bad_input);
  const auto file = folder.put("file", "x");
  CHECK(error_of([&] { (void)dsn::read_file(file / "below"); }).code() == ErrorCode::not_found);
}

TEST_CASE("read_file: a file that this user may not read is Error{permission}") {
  if (::geteuid() == 0) return;  // root may read everything
  const TempFolder folder;
  const auto file = folder.put("secret", "x");
  REQUIRE(::chmod(file.c_str(), 0) == 0);
  CHECK(error_of([&] { (void)dsn::read_file(file); }).code() == ErrorCode::permission);
}

TEST_CASE("MappedFile: shows the file's bytes; an empty file is an empty span") {
  const TempFolder folder;
  const dsn::MappedFile map(folder.put("file", "content"));
  CHECK(text_of(map.bytes()) == "content");
  const dsn::MappedFile empty(folder.put("empty", ""));
  CHECK(empty.bytes().empty());
}

TEST_CASE("MappedFile: moving hands the mapping over") {
  const TempFolder folder;
  dsn::MappedFile first(folder.put("a", "first"));
  dsn::MappedFile second(std::move(first));
  CHECK(text_of(second.bytes()) == "first");
  dsn::MappedFile third(folder.put("b", "third"));
  third = std::move(second);
  CHECK(text_of(third.bytes()) == "first");
}

TEST_CASE("MappedFile: a missing file, a folder and a device are refused") {
  const TempFolder folder;
  CHECK(error_of([&] { dsn::MappedFile map(folder / "none"); }).code() == ErrorCode::not_found);
  CHECK(error_of([&] { dsn::MappedFile map(folder.path()); }).code() == ErrorCode::bad_input);
  CHECK(error_of([&] { dsn::MappedFile map("/dev/null"); }).code() == ErrorCode::bad_input);
}

TEST_CASE("sha256: gives the digests of FIPS 180-2's examples") {
  CHECK(dsn::sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(dsn::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(dsn::sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("sha256_file: agrees with the hash of the bytes, over several reads") {
  const TempFolder folder;
  const std::string content(200'000, 'q');
  CHECK(dsn::sha256_file(folder.put("file", content)) == dsn::sha256_hex(content));
  CHECK(error_of([&] { (void)dsn::sha256_file(folder / "none"); }).code() == ErrorCode::not_found);
}
