// SPDX-License-Identifier: Apache-2.0
// A client of a Unix socket that sends what it likes and reads when it likes.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace dsn::test {

// Seconds to wait for what must come, on a machine as busy as it may be.
inline constexpr double kPatience = 60;

class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { leave(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  void leave() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // No more will be sent.
  void end() { ::shutdown(fd_, SHUT_WR); }
  // Bytes that were taken within a minute; less than all when the server does not read.
  std::size_t send(std::string_view bytes, int patience_ms = 60000) {
    std::size_t sent = 0;
    while (sent < bytes.size() && ready(POLLOUT, patience_ms)) {
      const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    return sent;
  }
  // `count` lines, or fewer when the server closed or a minute went by.
  std::vector<std::string> lines(std::size_t count) {
    std::vector<std::string> found;
    while (found.size() < count) {
      const std::size_t end = received_.find('\n');
      if (end != std::string::npos) {
        found.push_back(received_.substr(0, end));
        received_.erase(0, end + 1);
        continue;
      }
      char buffer[65536];
      const ssize_t n = ready(POLLIN, 60000) ? ::recv(fd_, buffer, sizeof buffer, 0) : 0;
      if (n <= 0) break;
      received_.append(buffer, static_cast<std::size_t>(n));
    }
    return found;
  }
  // The server has closed.
  [[nodiscard]] bool closed() {
    char byte = 0;
    return ready(POLLIN, 60000) && ::recv(fd_, &byte, 1, 0) <= 0;
  }

 private:
  [[nodiscard]] bool ready(short events, int patience_ms) const {
    pollfd polled{fd_, events, 0};
    return ::poll(&polled, 1, patience_ms) == 1;
  }
  int fd_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace dsn::test
