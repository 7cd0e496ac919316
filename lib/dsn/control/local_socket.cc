// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/local_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr std::size_t kLongestAnswer = std::size_t{1} << 24;

Descriptor make_socket(const fs::path& path) {
  Descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.get() < 0) throw_errno(errno, "make a socket for", path);
  return made;
}

sockaddr_un address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    throw Error(ErrorCode::bad_usage, fmt::format("socket {}: found a path of {} bytes, expected 1 to {}",
                                                  text, text.size(), sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

// bind(2) and connect(2) take the general address: this cast is how sockets are spoken to.
const sockaddr* general(const sockaddr_un& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Nobody else may look for a dead socket and replace it while we do. The folder's lock ends with its
// descriptor.
Descriptor lock_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) throw_errno(errno, "open", folder);
  // Someone else's lock on a shared folder must not stop us for good.
  for (int i = 0; i < 100 && ::flock(opened.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return opened;
}

// Removes what a process that is gone left at `path`.
void remove_dead_socket(const fs::path& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return;  // bind() says what is wrong
  if (!S_ISSOCK(info.st_mode)) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("socket {}: a file that is no socket is there", path.string()),
                "name a path where nothing is");
  }
  const Descriptor probe = make_socket(path);
  // Not to wait for one that listens and has no room: it is alive.
  ::fcntl(probe.get(), F_SETFL, O_NONBLOCK);
  if (::connect(probe.get(), general(address), sizeof address) == 0 || errno == EAGAIN) {
    throw Error(ErrorCode::failed, fmt::format("socket {}: another process listens there", path.string()),
                "name another --socket");
  }
  if (errno == ECONNREFUSED && ::unlink(path.c_str()) != 0 && errno != ENOENT)
    throw_errno(errno, "replace", path);
}

std::optional<uid_t> peer_of(int descriptor) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.uid;
}

timeval timeout_of(double seconds) noexcept {
  timeval time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_usec = static_cast<suseconds_t>(std::lround((seconds - std::floor(seconds)) * 1e6) % 1000000);
  return time;
}

}  // namespace

fs::path default_socket_path() {
  const char* folder = std::getenv("XDG_RUNTIME_DIR");
  if (folder != nullptr && *folder == '/') return fs::path(folder) / "dsn.sock";
  return fmt::format("/tmp/dsn-{}.sock", ::getuid());
}

ListeningSocket::ListeningSocket(const fs::path& path)
    : path_(fs::absolute(path)), descriptor_(make_socket(path)) {
  const sockaddr_un address = address_of(path_);
  const Descriptor lock = lock_folder(path_);
  // Linux gives the file the mode of the socket: there is no moment at which others can connect.
  if (::fchmod(descriptor_.get(), S_IRUSR | S_IWUSR) != 0) throw_errno(errno, "protect socket", path_);
  if (::bind(descriptor_.get(), general(address), sizeof address) != 0) {
    if (errno != EADDRINUSE) throw_errno(errno, "make socket", path_);
    remove_dead_socket(path_, address);
    if (::bind(descriptor_.get(), general(address), sizeof address) != 0)
      throw_errno(errno, "make socket", path_);
  }
  struct stat info {};
  if (::lstat(path_.c_str(), &info) == 0) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
  }
  if (::chmod(path_.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(descriptor_.get(), SOMAXCONN) != 0 ||
      ::fcntl(descriptor_.get(), F_SETFL, O_NONBLOCK) != 0) {
    const int reason = errno;
    remove_file();
    throw_errno(reason, "listen on", path_);
  }
}

ListeningSocket::~ListeningSocket() {
  remove_file();
}

void ListeningSocket::remove_file() const noexcept {
  struct stat info {};
  if (::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_)
    ::unlink(path_.c_str());
}

LineClient::LineClient(const fs::path& path, double timeout_s) : path_(path), descriptor_(make_socket(path)) {
  const sockaddr_un address = address_of(path);
  const timeval timeout = timeout_of(timeout_s);
  ::setsockopt(descriptor_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(descriptor_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (::connect(descriptor_.get(), general(address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      throw Error(ErrorCode::not_found, fmt::format("socket {}: nothing listens there", path.string()),
                  "start dsn run with --socket, and name the same path here");
    }
    throw_errno(errno, "connect to", path);
  }
  // In a folder that all may write to, the file could be anybody's.
  const std::optional<uid_t> peer = peer_of(descriptor_.get());
  if (!peer || (*peer != ::geteuid() && *peer != 0 && ::geteuid() != 0)) {
    throw Error(ErrorCode::permission,
                fmt::format("socket {}: another user's process listens there", path.string()));
  }
}

std::string LineClient::ask(std::string_view line) {
  std::string text(line);
  text += '\n';
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::send(descriptor_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw_errno(errno, "write to", path_);
    sent += static_cast<std::size_t>(n);
  }
  for (;;) {
    const std::size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string answer = received_.substr(0, end);
      received_.erase(0, end + 1);
      return answer;
    }
    char buffer[4096];
    const ssize_t n = ::recv(descriptor_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN)
      throw Error(ErrorCode::io, fmt::format("socket {}: no answer in time", path_.string()));
    if (n < 0) throw_errno(errno, "read from", path_);
    if (n == 0 || received_.size() > kLongestAnswer)
      throw Error(ErrorCode::io, fmt::format("socket {}: closed before it answered", path_.string()));
    received_.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace dsn
