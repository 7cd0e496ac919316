// SPDX-License-Identifier: Apache-2.0
// File descriptors that close themselves, and errno as dsn::Error. Not installed: see file.h.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace dsn {

namespace fs = std::filesystem;

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }
  // Closes now; returns what close() returned, since a network file system may report a full disk only here.
  [[nodiscard]] int close() noexcept;

 private:
  int fd_;
};

// Throws the Error that `error` (an errno) means: "cannot VERB PATH: REASON".
[[noreturn]] void throw_errno(int error, std::string_view verb, const fs::path& path);

// Throws Error{not_found | permission | io}, or Error{bad_input} for a folder.
[[nodiscard]] Descriptor open_to_read(const fs::path& path);

// Fills the front of `buffer`; 0 at the end of the file. Throws Error{io}.
[[nodiscard]] std::size_t read_some(const Descriptor& file, std::span<std::byte> buffer,
                                    const fs::path& path);

}  // namespace dsn
