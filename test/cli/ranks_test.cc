// SPDX-License-Identifier: Apache-2.0
// Training with several real processes over loopback: the same result as one, and what happens when one is
// lost.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <nlohmann/json.hpp>

#include "dsn/core/file.h"
#include "fakes/temp_folder.h"
#include "process.h"
#include "small_images.h"

using dsn::fakes::TempFolder;
using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Args = std::vector<std::string>;

// A port that nobody listens on.
int free_port() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(s, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(getsockname(s, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(s);
  return ntohs(address.sin_port);
}

struct Data {
  TempFolder temp;
  Data() {
    dsn::test::write_small_images(temp / "images");
    dsn::test::write_tiny_space(temp / "tiny.json");
  }
  // `workers` of each process.
  Args train(const std::string& out, const char* workers, const Args& more = {}) const {
    Args args{"train",
              "--space",
              (temp / "tiny.json").string(),
              "--data",
              "idx:" + (temp / "images").string(),
              "--val-count",
              "40",
              "--epochs",
              "4",
              "--batch",
              "20",
              "--calib-images",
              "40",
              "--lr",
              "0.05",
              "--workers",
              workers,
              "--rank-timeout",
              "20s",
              "--json",
              "--out",
              out};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
};

const Data& data() {
  static const Data instance;
  return instance;
}

ProcessOptions as_rank(int rank, int size, int port) {
  ProcessOptions options;
  options.env = {{"RANK", std::to_string(rank)},
                 {"WORLD_SIZE", std::to_string(size)},
                 {"LOCAL_RANK", std::to_string(rank)},
                 {"MASTER_ADDR", "127.0.0.1"},
                 {"MASTER_PORT", std::to_string(port)}};
  return options;
}

// Two ranks at once; `signals` are for rank `target`, each sent when `ready`.
std::vector<Outcome> two_ranks(const Args& first, const Args& second, int target = -1,
                               std::vector<int> signals = {}, std::function<bool()> ready = {}) {
  const int port = free_port();
  std::vector<std::future<Outcome>> running;
  for (int rank = 0; rank < 2; ++rank) {
    ProcessOptions options = as_rank(rank, 2, port);
    if (rank == target) {
      options.signals = signals;
      options.ready = [ready](const std::string&) { return ready(); };
    }
    running.push_back(std::async(std::launch::async, [args = rank == 0 ? first : second, options] {
      return dsn_tool(args, options);
    }));
  }
  std::vector<Outcome> outcomes;
  for (auto& r : running) outcomes.push_back(r.get());
  return outcomes;
}

// Weights of one process with two workers that nothing happened to.
const std::string& expected_weights() {
  static const std::string hash = [] {
    const Outcome outcome = dsn_tool(data().train(data().temp / "one.safetensors", "2"));
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    return Json::parse(outcome.out)["weights_sha256"].get<std::string>();
  }();
  return hash;
}

}  // namespace

TEST_CASE(
    "dsn train: two processes give the weights of one with two workers, and only rank 0 speaks and writes") {
  const fs::path folder = data().temp / "two";
  fs::create_directories(folder);
  const Args args =
      data().train(folder / "net.safetensors", "1", {"--curve", (folder / "curve.jsonl").string()});
  const auto outcomes = two_ranks(args, args);
  REQUIRE_MESSAGE(outcomes[0].status == 0, outcomes[0].err);
  REQUIRE_MESSAGE(outcomes[1].status == 0, outcomes[1].err);
  const Json result = Json::parse(outcomes[0].out);
  CHECK(result["weights_sha256"] == expected_weights());
  CHECK(result["record"]["train"]["ranks"] == 2);
  CHECK(result["record"]["options"]["workers"] == 2);
  CHECK(outcomes[1].out.empty());
  CHECK(outcomes[1].err.empty());
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++files;
  CHECK(files == 2);
}

TEST_CASE(
    "dsn train: a killed rank ends the others soon, named, with a state that one process resumes to the same "
    "weights") {
  const std::string out = data().temp / "killed.safetensors";
  const auto start = std::chrono::steady_clock::now();
  const auto outcomes = two_ranks(data().train(out, "1"), data().train(out, "1"), 1, {SIGKILL},
                                  [&] { return fs::exists(out + ".state"); });
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  REQUIRE(outcomes[1].status == -SIGKILL);
  CHECK(outcomes[0].status == 1);
  CHECK_MESSAGE(has(outcomes[0].err, "lost rank 1"), outcomes[0].err);
  CHECK_MESSAGE(has(outcomes[0].err, "--resume"), outcomes[0].err);
  CHECK(took < 40);
  CHECK_FALSE(fs::exists(out));
  const Outcome resumed = dsn_tool(data().train(out, "2", {"--resume"}));
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  CHECK(Json::parse(resumed.out)["weights_sha256"] == expected_weights());
}

TEST_CASE(
    "dsn train: when rank 0 is killed the others say so and end, and its last state is resumed by two "
    "ranks") {
  const std::string out = data().temp / "first-killed.safetensors";
  auto outcomes = two_ranks(data().train(out, "1"), data().train(out, "1"), 0, {SIGKILL},
                            [&] { return fs::exists(out + ".state"); });
  REQUIRE(outcomes[0].status == -SIGKILL);
  CHECK(outcomes[1].status == 1);
  CHECK_MESSAGE(has(outcomes[1].err, "lost rank 0"), outcomes[1].err);
  outcomes = two_ranks(data().train(out, "1", {"--resume"}), data().train(out, "1", {"--resume"}));
  REQUIRE_MESSAGE(outcomes[0].status == 0, outcomes[0].err);
  CHECK(Json::parse(outcomes[0].out)["weights_sha256"] == expected_weights());
}

TEST_CASE("dsn train: a signal to any rank stops all of them with the state saved") {
  const std::string out = data().temp / "stopped.safetensors";
  const auto outcomes = two_ranks(data().train(out, "1"), data().train(out, "1"), 1, {SIGINT},
                                  [&] { return fs::exists(out + ".state"); });
  CHECK(outcomes[0].status == 130);
  CHECK(outcomes[1].status == 130);
  CHECK(fs::exists(out + ".state"));
  const Outcome resumed = dsn_tool(data().train(out, "2", {"--resume"}));
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  CHECK(Json::parse(resumed.out)["weights_sha256"] == expected_weights());
}

TEST_CASE("dsn train: a rank that never comes is waited for as long as asked, and no longer") {
  Args args = data().train(data().temp / "alone.safetensors", "1");
  args[std::find(args.begin(), args.end(), "20s") - args.begin()] = "2s";
  const Outcome outcome = dsn_tool(args, as_rank(0, 2, free_port()));
  CHECK(outcome.status == 1);
  CHECK_MESSAGE(has(outcome.err, "rank 0 of 2 did not meet the others"), outcome.err);
}

TEST_CASE("dsn train: ranks of different command lines refuse to train together") {
  const std::string out = data().temp / "different.safetensors";
  const auto outcomes = two_ranks(data().train(out, "1"), data().train(out, "1", {"--momentum", "0.8"}));
  CHECK(outcomes[1].status == 2);
  CHECK_MESSAGE(has(outcomes[1].err, "other options"), outcomes[1].err);
  CHECK(outcomes[0].status == 1);
  CHECK_MESSAGE(has(outcomes[0].err, "rank 1"), outcomes[0].err);
}

TEST_CASE("dsn train: a broken environment and an absent CUDA are told in one line") {
  ProcessOptions options;
  options.env = {{"RANK", "two"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}};
  Outcome outcome = dsn_tool(data().train(data().temp / "x.safetensors", "1"), options);
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "RANK: found \"two\""));
  outcome = dsn_tool(data().train(data().temp / "x.safetensors", "1", {"--device", "cuda:77"}));
  CHECK(outcome.status == 4);
  CHECK_MESSAGE(has(outcome.err, "CUDA"), outcome.err);
}
