// SPDX-License-Identifier: Apache-2.0
// A run of two applications on two clusters, as a board shows it.
#pragma once

#include "dsn/runtime/run_state.h"

namespace dsn::test {

inline RunDescription two_apps() {
  return {"dsn",
          {{"cam", {0.9, 0.93}, {"big, 1 thread", "big, 2 threads"}},
           {"pl\"ate\\\n", {0.8}, {"LITTLE, 1 thread"}}},
          {{"big", {1e9, 1.5e9}}, {"LITTLE", {0.0}}}};
}

// "cam" ran 98 of 100 frames and kept 95 deadlines; the other one is paused and has done nothing.
inline RunState two_apps_state() {
  RunState state;
  state.now_s = 10;
  AppState& cam = state.apps[0];
  cam.active = true;
  cam.level = cam.placement = cam.opp = 1;
  cam.target_s = 0.005;
  cam.min_accuracy = 0.9;
  cam.period_s = 0.1;
  cam.priority = 2;
  cam.slowdown = 1.25;
  cam.latency_s = 0.003;
  cam.completed = 98;
  cam.skipped = 2;
  cam.met_count = 95;
  cam.switches = 4;
  cam.latency_sum_s = 98 * 0.004;
  cam.latency_counts[6] = 95;  // 2 to 5 ms
  cam.latency_counts[8] = 3;   // 10 to 20 ms
  AppState& plate = state.apps[1];
  plate.paused = true;
  plate.target_s = 0.05;
  state.clusters[0] = {1, true, 1.5e9, 0.5, 61.5, 2.25};
  state.power_w = 4.5;
  state.decisions = 98;
  state.infeasible = 3;
  state.undecided = 2;
  state.decision_s = 4e-6;
  state.longest_decision_s = 20e-6;
  return state;
}

inline void begin_two_apps(RunBoard& board) {
  board.begin(two_apps());
  RunState state;
  state.now_s = -1;
  for (AppState& app : state.apps) app.target_s = 0.005;
  board.publish(state);
}

}  // namespace dsn::test
