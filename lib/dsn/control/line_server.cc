// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/line_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>
#include <vector>

#include "dsn/control/background.h"
#include "dsn/core/error.h"
#include "dsn/core/json.h"

namespace dsn {
namespace {

constexpr int kRestMs = 200;

Descriptor make_wake(const fs::path& path) {
  Descriptor made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (made.get() < 0) throw_errno(errno, "serve", path);
  return made;
}

}  // namespace

std::string refusal(std::string_view error, std::string_view hint) {
  Json answer = {{"ok", false}, {"error", error}};
  if (!hint.empty()) answer["hint"] = hint;
  return answer.dump(-1, ' ', true, Json::error_handler_t::replace);
}

void LineSplitter::feed(std::string_view bytes, const std::function<void(std::string_view)>& line,
                        const std::function<void()>& too_long) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (!discarding_ && pending_.size() + part.size() > longest_) {
      discarding_ = true;
      pending_.clear();
      too_long();
    }
    if (!discarding_) pending_ += part;
    if (end == std::string_view::npos) return;
    if (!discarding_) end_line(line);
    discarding_ = false;
    bytes.remove_prefix(end + 1);
  }
}

void LineSplitter::finish(const std::function<void(std::string_view)>& line) {
  if (!discarding_ && !pending_.empty()) end_line(line);
}

void LineSplitter::end_line(const std::function<void(std::string_view)>& line) {
  if (pending_.ends_with('\r')) pending_.pop_back();
  line(pending_);
  pending_.clear();
}

LineServer::LineServer(const fs::path& path, Answer answer, LineLimits limits)
    : socket_(path), answer_(std::move(answer)), limits_(limits), wake_(make_wake(path)) {
  const SignalsBlocked blocked;  // the new thread inherits it
  thread_ = std::thread([this] { serve(); });
}

LineServer::~LineServer() {
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) continue;
  thread_.join();
}

bool LineServer::wants_to_read(const Client& client) const noexcept {
  return !client.ended && client.unsent.size() < limits_.unsent_bytes;
}

void LineServer::serve() noexcept {
  for (;;) {
    try {
      if (!serve_once()) return;
    } catch (const std::exception&) {
      resting_ = true;  // out of memory: what was asked meanwhile waits
    }
  }
}

bool LineServer::serve_once() {
  std::vector<pollfd> polled;
  polled.push_back({wake_.get(), POLLIN, 0});
  polled.push_back({socket_.descriptor(), static_cast<short>(resting_ ? 0 : POLLIN), 0});
  for (const Client& client : clients_) {
    const int events = (wants_to_read(client) ? POLLIN : 0) | (client.unsent.empty() ? 0 : POLLOUT);
    polled.push_back({client.descriptor.get(), static_cast<short>(events), 0});
  }
  const int found = ::poll(polled.data(), polled.size(), resting_ ? kRestMs : -1);
  resting_ = found < 0 && errno != EINTR;
  if (found <= 0) return true;
  if (polled[0].revents != 0) return false;
  auto events = polled.begin() + 2;
  for (Client& client : clients_) serve_client(client, (events++)->revents);
  clients_.remove_if(
      [](const Client& client) { return client.broken || (client.ended && client.unsent.empty()); });
  if (polled[1].revents != 0) accept_one();
  return true;
}

void LineServer::serve_client(Client& client, short events) {
  try {
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && wants_to_read(client)) read_from(client);
    if (!client.unsent.empty()) write_to(client);
    // Whoever hung up reads no answer.
    if ((events & (POLLHUP | POLLERR)) != 0 && (client.ended || !wants_to_read(client))) client.broken = true;
  } catch (const std::exception&) {
    client.broken = true;
  }
}

void LineServer::accept_one() {
  const int accepted = ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (accepted < 0) {
    resting_ = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    return;
  }
  clients_.emplace_back(accepted, limits_.line_bytes);
  if (clients_.size() <= limits_.clients) return;
  Client& refused = clients_.back();
  reply(refused, refusal(fmt::format("{} clients are connected, no more are taken", limits_.clients)));
  write_to(refused);
  clients_.pop_back();
}

void LineServer::read_from(Client& client) {
  char buffer[4096];
  const ssize_t n = ::recv(client.descriptor.get(), buffer, sizeof buffer, 0);
  if (n < 0) {
    client.broken = errno != EAGAIN && errno != EINTR;
    return;
  }
  const auto answer = [&](std::string_view line) {
    std::string text;
    try {
      text = answer_(line);
    } catch (const Error& error) {
      text = refusal(error.message(), error.hint());
    } catch (const std::exception& error) {
      text = refusal(error.what());
    }
    reply(client, text);
  };
  client.ended = n == 0;
  if (client.ended) {
    client.lines.finish(answer);
  } else {
    client.lines.feed({buffer, static_cast<std::size_t>(n)}, answer, [&] {
      reply(client, refusal(fmt::format("a line of more than {} bytes", limits_.line_bytes)));
    });
  }
}

void LineServer::reply(Client& client, std::string_view line) {
  std::string text(line);
  std::replace(text.begin(), text.end(), '\n', ' ');
  client.unsent += text;
  client.unsent += '\n';
}

void LineServer::write_to(Client& client) noexcept {
  const ssize_t n = ::send(client.descriptor.get(), client.unsent.data(), client.unsent.size(),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0) {
    client.broken = errno != EAGAIN && errno != EINTR;
    return;
  }
  client.unsent.erase(0, static_cast<std::size_t>(n));
}

}  // namespace dsn
