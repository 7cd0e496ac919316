// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/ranks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/supernet/train_step.h"

#ifdef DSN_HAVE_GLOO
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif
#ifdef DSN_HAVE_NCCL
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace dsn {

#ifdef DSN_HAVE_GLOO

namespace {

using Milliseconds = std::chrono::milliseconds;
constexpr Milliseconds kBeat{500};     // between signs of life
constexpr Milliseconds kListen{2000};  // a rank without one for so long is lost
constexpr Milliseconds kPoll{50};

Milliseconds milliseconds(double seconds) {
  return Milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

// The first line of what c10d and gloo say, which may be a stack trace.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

std::vector<std::uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

std::string text_at(c10d::Store& store, const std::string& key) {
  const auto bytes = store.get(key);
  return {bytes.begin(), bytes.end()};
}

std::shared_ptr<gloo::transport::Device> device_for(const RankPlace& place) {
  using Gloo = c10d::ProcessGroupGloo;
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME"); interface != nullptr && *interface != '\0')
    return Gloo::createDeviceForInterface(interface);
  if (place.master_addr == "127.0.0.1" || place.master_addr == "localhost")
    return Gloo::createDeviceForHostname("127.0.0.1");
  return Gloo::createDefaultDevice();
}

// Why the others are gone, by their notes and signs of life.
std::string find_cause(c10d::Store& store, int size, int self) {
  const auto noted = [&]() -> std::string {
    if (store.check({"verdict"})) return text_at(store, "verdict");
    for (int r = 0; r < size; ++r) {
      const std::string key = fmt::format("failed/{}", r);
      if (r != self && store.check({key})) return fmt::format("rank {} failed: {}", r, text_at(store, key));
    }
    return {};
  };
  if (std::string cause = noted(); !cause.empty()) return cause;
  std::vector<std::int64_t> before;
  for (int r = 0; r < size; ++r) before.push_back(store.add(fmt::format("beat/{}", r), 0));
  std::this_thread::sleep_for(kListen);
  if (std::string cause = noted(); !cause.empty()) return cause;
  std::vector<int> silent;
  for (int r = 0; r < size; ++r) {
    if (r != self && store.add(fmt::format("beat/{}", r), 0) == before[static_cast<std::size_t>(r)])
      silent.push_back(r);
  }
  if (silent.empty()) return {};
  std::string cause = fmt::format("lost rank {}", fmt::join(silent, ", "));
  store.set("verdict", bytes_of(cause));
  return cause;
}

}  // namespace

// A thread that gives signs of life. It may hang in a dead connection and is then left behind, so it holds
// what it uses.
struct Beat {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false, done = false;

  static std::shared_ptr<Beat> start(c10::intrusive_ptr<c10d::TCPStore> store, const std::string& key) {
    auto beat = std::make_shared<Beat>();
    std::thread([beat, store, key]() mutable {
      std::unique_lock lock(beat->mutex);
      while (!beat->ended) {
        lock.unlock();
        try {
          store->add(key, 1);
        } catch (const std::exception&) {
          // Rank 0 is gone: the next collective tells.
        }
        lock.lock();
        beat->changed.wait_for(lock, kBeat, [&] { return beat->ended; });
      }
      store.reset();
      beat->done = true;
      beat->changed.notify_all();
    }).detach();
    return beat;
  }
  void stop() {
    std::unique_lock lock(mutex);
    ended = true;
    changed.notify_all();
    changed.wait_for(lock, 2 * kBeat, [&] { return done; });
  }
};

struct Ranks::Group {
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::ProcessGroup> tensors;
  torch::Tensor send, receive;  // of sum(), kept
  std::shared_ptr<Beat> beat;
  bool failed = false;  // the others know, or find out the same way
};

Ranks::Ranks(const RankPlace& place, double timeout_s, bool cuda)
    : place_(place), timeout_s_(timeout_s), group_(std::make_unique<Group>()) {
  try {
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(place.master_port);
    options.isServer = place.rank == 0;
    options.numWorkers = static_cast<std::size_t>(place.size);
    options.timeout = milliseconds(timeout_s);
    group_->store = c10::make_intrusive<c10d::TCPStore>(place.master_addr, options);
    const auto prefix = c10::make_intrusive<c10d::PrefixStore>("tensors", group_->store);
    if (cuda) {
#ifdef DSN_HAVE_NCCL
      // Without it a collective that can never end is not an error.
      setenv("NCCL_BLOCKING_WAIT", "1", 0);
      auto nccl = c10d::ProcessGroupNCCL::Options::create();
      nccl->timeout = milliseconds(timeout_s);
      group_->tensors = c10::make_intrusive<c10d::ProcessGroupNCCL>(prefix, place.rank, place.size, nccl);
#else
      throw Error(ErrorCode::unsupported, "several ranks on CUDA need NCCL, which this build does not have",
                  "build with -Dtorch_prefix of a LibTorch that has NCCL, or use --device cpu");
#endif
    } else {
      auto gloo = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout_s));
      gloo->devices.push_back(device_for(place));
      gloo->threads = 2;
      group_->tensors = c10::make_intrusive<c10d::ProcessGroupGloo>(prefix, place.rank, place.size, gloo);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(
        ErrorCode::failed,
        fmt::format("rank {} of {} did not meet the others at {}:{} within {:.0f} s: {}", place.rank,
                    place.size, place.master_addr, place.master_port, timeout_s, first_line(error)),
        "start all ranks with the same WORLD_SIZE, MASTER_ADDR and MASTER_PORT; --rank-timeout waits longer");
  }
  group_->beat = Beat::start(group_->store, fmt::format("beat/{}", place.rank));
}

Ranks::~Ranks() {
  if (group_->beat) group_->beat->stop();
}

void Ranks::fail(const std::string& doing, const std::string& problem) {
  group_->failed = true;
  // Beside this thread, because a connection to a machine that is gone may take minutes to fail.
  std::promise<std::string> promise;
  std::future<std::string> cause = promise.get_future();
  std::thread([store = group_->store, size = size(), self = rank(), promise = std::move(promise)]() mutable {
    try {
      promise.set_value(find_cause(*store, size, self));
    } catch (const std::exception&) {
      promise.set_value("lost rank 0");
    }
  }).detach();
  std::string text = "lost rank 0";
  if (cause.wait_for(2 * kListen + milliseconds(1)) == std::future_status::ready) text = cause.get();
  if (text.empty()) text = "lost a rank, which one is not known";
  // The others ask rank 0's store for the cause too.
  if (rank() == 0) std::this_thread::sleep_for(kListen);
  throw Error(ErrorCode::failed,
              fmt::format("rank {} of {}: {} ({}: {})", rank(), size(), text, doing, problem),
              "start all ranks again with --resume");
}

void Ranks::sum(torch::Tensor flat) {
  torch::NoGradGuard no_grad;
  const std::int64_t each = (flat.numel() + size() - 1) / size();
  Group& g = *group_;
  if (!g.send.defined() || g.send.numel() != each * size()) {
    g.send = torch::zeros({each * size()}, flat.options());
    g.receive = torch::zeros_like(g.send);
  }
  try {
    g.send.narrow(0, 0, flat.numel()).copy_(flat);
    std::vector<std::int64_t> equal;
    g.tensors->alltoall_base(g.receive, g.send, equal, equal)->wait();
    std::vector<torch::Tensor> parts, sums;
    for (int r = 0; r < size(); ++r) {
      parts.push_back(g.receive.narrow(0, r * each, each));
      sums.push_back(g.send.narrow(0, r * each, each));
    }
    sum_as_tree(parts);
    std::vector<std::vector<torch::Tensor>> outputs{sums};
    std::vector<torch::Tensor> inputs{parts.front()};
    g.tensors->allgather(outputs, inputs)->wait();
    flat.copy_(g.send.narrow(0, 0, flat.numel()));
  } catch (const std::exception& error) {
    fail("summing gradients", first_line(error));
  }
}

void Ranks::broadcast(torch::Tensor tensor) {
  torch::NoGradGuard no_grad;
  try {
    torch::Tensor flat = tensor.detach().contiguous();
    std::vector<torch::Tensor> tensors{flat};
    group_->tensors->broadcast(tensors)->wait();
    tensor.copy_(flat);
  } catch (const std::exception& error) {
    fail("sharing the state", first_line(error));
  }
}

std::string Ranks::share(const std::string& key, const std::string& text) {
  try {
    if (rank() == 0) group_->store->set("shared/" + key, bytes_of(text));
  } catch (const std::exception& error) {
    fail("sharing " + key, first_line(error));
  }
  first_has(key);
  try {
    return text_at(*group_->store, "shared/" + key);
  } catch (const std::exception& error) {
    fail("sharing " + key, first_line(error));
  }
}

void Ranks::first_has(const std::string& what) {
  const std::string key = "done/" + what;
  try {
    if (rank() == 0) {
      group_->store->set(key, bytes_of("1"));
      return;
    }
    std::int64_t beat = -1;
    auto heard = std::chrono::steady_clock::now();
    while (!group_->store->check({key})) {
      if (group_->store->check({"failed/0"})) fail("waiting for rank 0", what);
      const std::int64_t now = group_->store->add("beat/0", 0);
      if (now != beat) heard = std::chrono::steady_clock::now();
      beat = now;
      if (std::chrono::steady_clock::now() - heard > milliseconds(timeout_s_))
        fail("waiting for rank 0", what);
      std::this_thread::sleep_for(kPoll);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail("waiting for rank 0", first_line(error));
  }
}

void Ranks::leave() noexcept {
  try {
    if (rank() != 0) {
      group_->store->set(fmt::format("left/{}", rank()), bytes_of("1"));
      return;
    }
    std::vector<std::string> others;
    for (int r = 1; r < size(); ++r) others.push_back(fmt::format("left/{}", r));
    const auto start = std::chrono::steady_clock::now();
    while (!group_->store->check(others) &&
           std::chrono::steady_clock::now() - start < milliseconds(timeout_s_))
      std::this_thread::sleep_for(kPoll);
  } catch (...) {
    // All that was to be done is done.
  }
}

void Ranks::tell_failure(const std::string& reason) noexcept {
  if (std::exchange(group_->failed, true)) return;
  try {
    group_->store->set(fmt::format("failed/{}", rank()), bytes_of(reason));
    // Rank 0's store dies with it: the others get a moment to read.
    if (rank() == 0) std::this_thread::sleep_for(kListen);
  } catch (...) {
    // Then they find out by themselves.
  }
}

#else  // without gloo

struct Ranks::Group {};

Ranks::Ranks(const RankPlace& place, double timeout_s, bool /*cuda*/) : place_(place), timeout_s_(timeout_s) {
  throw Error(ErrorCode::unsupported,
              fmt::format("{} asks for {} processes, and this build has no gloo", place.source, place.size),
              "install libgloo-dev and build again, or train with one process");
}
Ranks::~Ranks() = default;
void Ranks::fail(const std::string& doing, const std::string& problem) {
  throw Error(ErrorCode::unsupported, doing + ": " + problem);
}
void Ranks::sum(torch::Tensor) {}
void Ranks::broadcast(torch::Tensor) {}
std::string Ranks::share(const std::string&, const std::string& text) {
  return text;
}
void Ranks::first_has(const std::string&) {}
void Ranks::leave() noexcept {}
void Ranks::tell_failure(const std::string&) noexcept {}

#endif

}  // namespace dsn
