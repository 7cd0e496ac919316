// SPDX-License-Identifier: Apache-2.0
// Unix sockets that only their owner can use: one that is listened on, and a client that asks line by line.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "dsn/core/file.h"
#include "dsn/core/posix_file.h"

namespace dsn {

// $XDG_RUNTIME_DIR/dsn.sock, or /tmp/dsn-UID.sock where that is not set.
[[nodiscard]] fs::path default_socket_path();

// A listening socket, mode 0600 from its first moment. A file that a killed process left at `path` is
// replaced; its own is removed at the end. thread-compatible.
class ListeningSocket {
 public:
  // Throws Error{bad_usage} for a path that is too long for a socket or where something else is,
  // Error{failed} when a process listens there, and Error{io | permission | not_found} when the system
  // refuses.
  explicit ListeningSocket(const fs::path& path);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }
  // Removes the file now, if it still is the one that was made. thread-safe; may be called twice.
  void remove_file() const noexcept;

 private:
  fs::path path_;
  Descriptor descriptor_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// A client. thread-compatible.
class LineClient {
 public:
  // Throws Error{not_found} when nothing listens at `path`, Error{permission} when someone else's process
  // does. timeout_s: of every wait.
  explicit LineClient(const fs::path& path, double timeout_s = 5);
  // Sends `line` (without its end) and returns the line that answers it. Throws Error{io} when no whole
  // answer comes in time.
  [[nodiscard]] std::string ask(std::string_view line);

 private:
  fs::path path_;
  Descriptor descriptor_;
  std::string received_;
};

}  // namespace dsn
