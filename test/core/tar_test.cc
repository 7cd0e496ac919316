// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/tar.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../fakes/temp_folder.h"
#include "dsn/core/error.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::fakes::TempFolder;

namespace {

dsn::TarEntry entry(const std::string& name, const std::string& content) {
  return {name, std::as_bytes(std::span(content))};
}

std::string message_of(const std::filesystem::path& path) {
  try {
    (void)dsn::read_tar(dsn::map_file(path));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_input);
    return error.message();
  }
  FAIL("expected an error");
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("write_tar, read_tar: contents come back as they were, at aligned places, whatever their size") {
  const TempFolder temp;
  std::vector<std::string> contents{"", "a", std::string(511, 'b'), std::string(512, 'c'),
                                    std::string(513, 'd')};
  std::vector<dsn::TarEntry> entries;
  for (std::size_t i = 0; i < contents.size(); ++i)
    entries.push_back(entry("file" + std::to_string(i), contents[i]));
  dsn::write_tar(temp / "a.tar", entries);
  const auto read = dsn::read_tar(dsn::map_file(temp / "a.tar"));
  REQUIRE(read.size() == contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const dsn::MappedBytes& found = read.at("file" + std::to_string(i));
    CHECK(found.text() == contents[i]);
    CHECK(reinterpret_cast<std::uintptr_t>(found.bytes.data()) % 512 == 0);
    CHECK(has(found.name, "a.tar: file"));
  }
}

TEST_CASE("read_tar: what is no plain archive is named") {
  const TempFolder temp;
  const std::string content = "content";
  const auto write = [&](const std::string& text) {
    dsn::write_file_atomic(temp / "x.tar", text);
    return message_of(temp / "x.tar");
  };
  CHECK(has(write(""), "truncated"));
  CHECK(has(write("too short"), "truncated"));
  CHECK(has(write(std::string(4096, 'x')), "octal"));
  dsn::write_tar(temp / "good.tar", {entry("one", content), entry("two", content)});
  const std::string good = dsn::read_file(temp / "good.tar");
  CHECK(has(write(good.substr(0, good.size() - 1024)), "truncated"));
  CHECK(has(write(good.substr(0, 700)), "truncated"));

  dsn::write_tar(temp / "x.tar", {entry("one", content), entry("one", content)});
  CHECK(has(message_of(temp / "x.tar"), "comes twice"));

  std::string link = good;
  link[156] = '2';
  link[104] = '4';  // a digit of its mode: the sum stays
  CHECK(has(write(link), "neither a file nor a folder"));
}

TEST_CASE("write_tar: a name that does not fit is refused before anything is written") {
  const TempFolder temp;
  const std::string content = "content";
  CHECK_THROWS_AS(dsn::write_tar(temp / "x.tar", {entry(std::string(101, 'n'), content)}), Error);
  CHECK_THROWS_AS(dsn::write_tar(temp / "x.tar", {entry("", content)}), Error);
  CHECK_FALSE(std::filesystem::exists(temp / "x.tar"));
}
