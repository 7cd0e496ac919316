// SPDX-License-Identifier: Apache-2.0
// A run as events of the Trace Event Format (Duan and others, "Trace Event Format", Google 2016), which
// Perfetto (https://ui.perfetto.dev) and chrome://tracing open.
//
// A track per application: waiting and inferences as slices, decisions that changed something and missed
// deadlines as instants, the slowdown as a counter. A track per cluster: its operating points as slices;
// frequency, load, power and temperature as counters. Times of the run, in microseconds.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/runtime/run_state.h"
#include "dsn/runtime/run_summary.h"

namespace dsn {

// thread-safe.
class ChromeTrace {
 public:
  // Takes one event at a time, in no order that matters.
  using Sink = std::function<void(const Json& event)>;

  // `board` must outlive it; until its run has begun nothing is written.
  ChromeTrace(const RunBoard& board, Sink sink);

  // An arrival of application `app`; of one application in order.
  void add(std::size_t app, const LiveRecord& record);
  // What the board says now: counters and operating points; best ten times a second or so.
  void sample();
  // Ends the last slices.
  void finish();

 private:
  struct AppTrack {
    double busy_until_s = 0;
    std::optional<LiveRecord> last;
  };
  struct ClusterTrack {
    double since_s = 0;
    std::optional<ClusterState> last;
  };
  [[nodiscard]] bool begun();
  void name_tracks();
  void wait_and_inference(std::size_t app, const LiveRecord& record);
  void decision(std::size_t app, const LiveRecord& record);
  void counters(std::size_t cluster, const ClusterState& state, double now_s);
  void end_point(std::size_t cluster, double now_s);
  void counter(int process, const std::string& name, const char* unit, double value, double now_s);

  const RunBoard& board_;
  Sink sink_;
  std::mutex mutex_;
  std::shared_ptr<const RunDescription> description_;
  std::vector<AppTrack> apps_;
  std::vector<ClusterTrack> clusters_;
};

}  // namespace dsn
