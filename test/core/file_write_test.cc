// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <stdexcept>

#include "dsn/core/file.h"
#include "support.h"

using dsn::ErrorCode;
using dsn_test::contains;
using dsn_test::error_of;
using dsn_test::TempFolder;

namespace {

// Files of this process may not grow past `bytes` while this lives: a disk that fills up.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_) == 0);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

TEST_CASE("write_file_atomic: writes and replaces, and leaves nothing beside the file") {
  const TempFolder folder;
  const auto file = folder / "out.json";
  dsn::write_file_atomic(file, "first");
  CHECK(dsn::read_file(file) == "first");
  dsn::write_file_atomic(file, "");
  CHECK(dsn::read_file(file).empty());
  dsn::write_file_atomic(file, std::string("a\0b", 3));
  CHECK(dsn::read_file(file) == std::string("a\0b", 3));
  CHECK(folder.count() == 1);
}

TEST_CASE("write_file_atomic: small and large appends arrive in order") {
  const TempFolder folder;
  const auto file = folder / "out.bin";
  std::string expected;
  dsn::write_file_atomic(file, [&](const dsn::ByteSink& sink) {
    for (int i = 0; i < 40; ++i) {
      const std::string piece(static_cast<std::size_t>(i) * 5'000, static_cast<char>('a' + i % 26));
      sink(bytes_of(piece));
      expected += piece;
      // Nobody sees the file before it is whole.
      CHECK_FALSE(std::filesystem::exists(file));
    }
  });
  CHECK(dsn::read_file(file) == expected);
}

TEST_CASE("write_file_atomic: what the filler throws passes, and the old file stays") {
  const TempFolder folder;
  const auto file = folder.put("out", "old");
  CHECK_THROWS_AS(dsn::write_file_atomic(file,
                                         [](const dsn::ByteSink& sink) {
                                           sink(bytes_of("half"));
                                           throw std::runtime_error("stopped");
                                         }),
                  std::runtime_error);
  CHECK(dsn::read_file(file) == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("write_file_atomic: a disk that fills up leaves the old file, no .tmp, and says what and why") {
  const TempFolder folder;
  const auto file = folder.put("out", "old");
  const std::string large(100'000, 'x');
  const FileSizeLimit limit(10'000);
  const auto error = error_of([&] { dsn::write_file_atomic(file, large); });
  CHECK(error.code() == ErrorCode::io);
  CHECK(contains(error.message(), file.string()));
  CHECK(contains(error.message(), "File too large"));
  CHECK(dsn::read_file(file) == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("write_file_atomic: a full device is Error{io} with a hint, and is still a device") {
  struct stat info {};
  if (::stat("/dev/full", &info) != 0 || !S_ISCHR(info.st_mode)) return;
  const auto error = error_of([] { dsn::write_file_atomic("/dev/full", "x"); });
  CHECK(error.code() == ErrorCode::io);
  CHECK(contains(error.message(), "/dev/full: No space left on device"));
  CHECK(contains(error.hint(), "free space"));
  REQUIRE(::stat("/dev/full", &info) == 0);
  CHECK(S_ISCHR(info.st_mode));
}

TEST_CASE("write_file_atomic: a missing folder and a folder in the file's place are refused") {
  const TempFolder folder;
  const auto missing = error_of([&] { dsn::write_file_atomic(folder / "no/such/out", "x"); });
  CHECK(missing.code() == ErrorCode::not_found);
  CHECK(contains(missing.message(), "no/such/out"));
  CHECK_FALSE(missing.hint().empty());
  CHECK(error_of([&] { dsn::write_file_atomic(folder.path(), "x"); }).code() == ErrorCode::bad_input);
}

TEST_CASE("write_file_atomic: follows a symbolic link and keeps the file's mode") {
  const TempFolder folder;
  const auto file = folder.put("real", "old");
  REQUIRE(::chmod(file.c_str(), 0640) == 0);
  std::filesystem::create_symlink("real", folder / "link");
  dsn::write_file_atomic(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(dsn::read_file(file) == "new");
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0640);
}

TEST_CASE("check_writable: passes where a file can be made, and makes none") {
  const TempFolder folder;
  CHECK_NOTHROW(dsn::check_writable(folder / "out"));
  CHECK(folder.count() == 0);
  const auto file = folder.put("old", "old");
  CHECK_NOTHROW(dsn::check_writable(file));
  CHECK(dsn::read_file(file) == "old");
  CHECK_NOTHROW(dsn::check_writable("/dev/null"));
}

TEST_CASE("check_writable: leaves the .tmp of a writer at work alone") {
  const TempFolder folder;
  const auto temporary = folder.put("out.tmp", "at work");
  CHECK_NOTHROW(dsn::check_writable(folder / "out"));
  CHECK(dsn::read_file(temporary) == "at work");
}

TEST_CASE("check_writable: a missing folder, a folder and a read-only folder are refused") {
  const TempFolder folder;
  CHECK(error_of([&] { dsn::check_writable(folder / "no/out"); }).code() == ErrorCode::not_found);
  CHECK(error_of([&] { dsn::check_writable(folder.path()); }).code() == ErrorCode::bad_input);
  // /proc refuses new files even from root, each kernel in its own words.
  CHECK_THROWS_AS(dsn::check_writable("/proc/dsn-out"), dsn::Error);
}
