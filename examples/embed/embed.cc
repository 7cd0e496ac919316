// SPDX-License-Identifier: Apache-2.0
// dsn inside a program: opens a bundle, sets a latency target, classifies frames, tightens the target
// half-way. The manager switches levels in between.
//
//   c++ -std=c++20 -O2 embed.cc $(pkg-config --cflags --libs dsn) -o embed
//   ./embed bundle fashion-mnist 5        (a folder of images, video:FILE or camera:0 instead of
//   fashion-mnist)
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "dsn/core/error.h"
#include "dsn/deploy/application.h"

namespace {

constexpr int kFrames = 600;
constexpr auto kPeriod = std::chrono::milliseconds(5);  // 200 frames a second

int classify(const char* bundle, const char* input, double target_ms, const char* platform) {
  dsn::ApplicationOptions options;
  options.platform = platform;  // empty: this machine as it is found
  options.goal.target_s = target_ms / 1e3;
  options.goal.period_s = std::chrono::duration<double>(kPeriod).count();
  dsn::Application app(bundle, options);
  const auto frames = dsn::open_frames(input, /*seed=*/1, /*repeat=*/true);

  std::map<int, int> answers_of_level;
  int met = 0, right = 0, labelled = 0;
  auto arrival = std::chrono::steady_clock::now();
  for (int i = 0; i < kFrames; ++i, arrival += kPeriod) {
    const auto frame = frames->next();
    if (!frame) break;
    if (i == kFrames / 2) {
      dsn::Goal tighter = app.goal();
      tighter.target_s /= 4;
      app.set_goal(tighter);
      fmt::print("target {:.2f} ms from here on\n", tighter.target_s * 1e3);
    }
    std::this_thread::sleep_until(arrival);
    const std::chrono::duration<double> age = std::chrono::steady_clock::now() - arrival;
    const dsn::Answer answer = app.classify(frame->image, age.count());
    ++answers_of_level[answer.level];
    met += answer.met ? 1 : 0;
    if (frame->label) {
      ++labelled;
      right += answer.class_index == *frame->label ? 1 : 0;
    }
    if (i % 100 == 0) {
      fmt::print("frame {:3}: {:<12} {:3.0f} % sure, level {}, {:.2f} ms\n", i,
                 app.class_name(answer.class_index), answer.confidence * 100, answer.level,
                 answer.latency_s * 1e3);
    }
  }
  for (const auto& [level, answers] : answers_of_level) fmt::print("level {}: {} answers\n", level, answers);
  fmt::print("{} of {} within the target; {} of {} right\n", met, kFrames, right, labelled);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4 || argc > 5) {
    fmt::print(stderr, "usage: embed BUNDLE INPUT TARGET_MS [PLATFORM.json]\n");
    return 2;
  }
  return classify(argv[1], argv[2], std::atof(argv[3]), argc == 5 ? argv[4] : "");
} catch (const dsn::Error& error) {
  fmt::print(stderr, "embed: error: {}\n  hint: {}\n", error.message(), error.hint());
  return dsn::exit_status(error.code());
}
