// SPDX-License-Identifier: Apache-2.0
// Lines in, lines out, on a Unix socket and a thread of its own. Nothing that a client sends or leaves out
// ends it or reaches another client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>

#include "dsn/control/local_socket.h"

namespace dsn {

// Cuts a stream of bytes into lines of bounded length.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t longest) : longest_(longest) {}
  // Calls `line` for every line that `bytes` ends, without its '\n' (and '\r'), and `too_long` once for each
  // line that outgrows the limit; the rest of that one is thrown away.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& line,
            const std::function<void()>& too_long);
  // At the end of the stream: what came after the last line's end counts as a line.
  void finish(const std::function<void(std::string_view)>& line);

 private:
  void end_line(const std::function<void(std::string_view)>& line);
  std::size_t longest_;
  std::string pending_;
  bool discarding_ = false;
};

// How much one client, and all together, may take.
struct LineLimits {
  std::size_t line_bytes = 4096;
  std::size_t clients = 16;          // one more is answered with one line and let go
  std::size_t unsent_bytes = 65536;  // a client that leaves so much unread is not read from either
};

// thread-safe.
class LineServer {
 public:
  // The line that answers `line`, without its end; a line break in it is made a space. Called on the server's
  // thread, one at a time. What it throws is answered as an error.
  using Answer = std::function<std::string(std::string_view line)>;

  // Listens when it returns. Throws as ListeningSocket().
  LineServer(const fs::path& path, Answer answer, LineLimits limits = {});
  // Clients are let go, the file is removed.
  ~LineServer();
  LineServer(const LineServer&) = delete;
  LineServer& operator=(const LineServer&) = delete;

  [[nodiscard]] const fs::path& path() const noexcept { return socket_.path(); }
  // For a process that is about to end without destructors.
  void remove_file() const noexcept { socket_.remove_file(); }

 private:
  struct Client {
    Client(int fd, std::size_t longest) : descriptor(fd), lines(longest) {}
    Descriptor descriptor;
    LineSplitter lines;
    std::string unsent;
    bool ended = false;   // sends no more: goes once everything was answered
    bool broken = false;  // goes now
  };
  void serve() noexcept;
  [[nodiscard]] bool serve_once();  // false: it is time to end
  void serve_client(Client& client, short events);
  void accept_one();
  void read_from(Client& client);
  void write_to(Client& client) noexcept;
  void reply(Client& client, std::string_view line);
  [[nodiscard]] bool wants_to_read(const Client& client) const noexcept;

  ListeningSocket socket_;
  Answer answer_;
  LineLimits limits_;
  Descriptor wake_;
  std::list<Client> clients_;
  bool resting_ = false;  // no descriptor was left for a client: not asked again for a moment
  std::thread thread_;
};

// An answer that says no: {"ok": false, "error": ..., "hint": ...}, on one line, whatever bytes are in the
// texts.
[[nodiscard]] std::string refusal(std::string_view error, std::string_view hint = {});

}  // namespace dsn
