// SPDX-License-Identifier: Apache-2.0
// Small data files for the tests of data, and the checks they share.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/data/dataset.h"

namespace dsn::test {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "dsn-data-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] std::string str() const { return path_.string(); }

 private:
  fs::path path_;
};

inline void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_gzip(const fs::path& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

inline std::string idx(std::uint32_t magic, const std::vector<std::uint32_t>& dims,
                       const std::string& content) {
  std::string bytes;
  const auto put = [&](std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  };
  put(magic);
  for (const std::uint32_t dim : dims) put(dim);
  return bytes + content;
}

constexpr std::uint32_t kLabels = 0x801;
constexpr std::uint32_t kImages = 0x803;

// `count` images of 2 rows x 3 columns; pixel p of image i is 10 * i + p, its label i % 10.
inline std::string idx_images(std::uint32_t count) {
  std::string content;
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint32_t p = 0; p < 6; ++p) content.push_back(static_cast<char>(10 * i + p));
  }
  return idx(kImages, {count, 2, 3}, content);
}
inline std::string idx_labels(std::uint32_t count) {
  std::string content;
  for (std::uint32_t i = 0; i < count; ++i) content.push_back(static_cast<char>(i % 10));
  return idx(kLabels, {count}, content);
}
inline void write_idx_set(const fs::path& dir, std::uint32_t train, std::uint32_t test) {
  write(dir / "train-images-idx3-ubyte", idx_images(train));
  write(dir / "train-labels-idx1-ubyte", idx_labels(train));
  write(dir / "t10k-images-idx3-ubyte", idx_images(test));
  write(dir / "t10k-labels-idx1-ubyte", idx_labels(test));
}

// Runs `action`, which must throw an Error of `code` whose message or hint holds every one of `parts`.
template <typename Action>
void check_error(Action action, ErrorCode code, const std::vector<std::string>& parts) {
  bool thrown = false;
  try {
    action();
  } catch (const Error& error) {
    thrown = true;
    CAPTURE(error.message());
    CAPTURE(error.hint());
    CHECK(static_cast<int>(error.code()) == static_cast<int>(code));
    CHECK(error.message().find('\n') == std::string::npos);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK((error.message() + "\n" + error.hint()).find(part) != std::string::npos);
    }
  }
  CHECK_MESSAGE(thrown, "nothing was thrown");
}

// What `action` makes this process write to stderr, by whatever library.
template <typename Action>
std::string stderr_of(Action action) {
  const TempDir dir;
  const fs::path path = dir.path() / "stderr";
  std::fflush(stderr);
  const int saved = dup(STDERR_FILENO);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  REQUIRE(saved >= 0);
  REQUIRE(file >= 0);
  dup2(file, STDERR_FILENO);
  close(file);
  const auto restore = [&] {
    std::fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
  };
  try {
    action();
  } catch (...) {
    restore();
    throw;
  }
  restore();
  return slurp(path);
}

}  // namespace dsn::test
