// SPDX-License-Identifier: Apache-2.0
// Workload traces (`dsn.trace`): what arrives when, under which target, beside which other load. Written by
// hand, so the reader is strict (an unknown key is an error) and accepts // and /* */ comments and "notes".
// Vocabulary follows rt-app (tasks, phases, run, period); times are seconds with the unit in the name, as
// everywhere in dsn.
//
//   { "schema": "dsn.trace", "schema_version": 1,
//     "global": { "duration_s": 10, "seed": 1, "noise": true },
//     "platform": "board.platform.json",                                   // optional, relative to this file
//     "tasks": {
//       "cam":   { "family": "f.family.json", "lut": "f.lut.json",         // or "bundle": "folder"
//                  "target_s": 0.06, "probability": 0.99, "min_accuracy": 0.7,
//                  "placement": { "cluster": "gpu", "threads": 1 }, "on_overrun": "skip",
//                  "phases": [ { "start_s": 0, "duration_s": 5,
//                                "arrivals": { "process": "periodic", "period_s": 0.1, "jitter_s": 0.002 } }
//                                ] },
//       "train": { "kind": "contender",
//                  "phases": [ { "start_s": 2, "duration_s": 3, "cluster": "gpu", "run_s": 0.005, "period_s":
//                  0.02 } ] } },
//     "events": [ { "at_s": 4, "set": { "task": "cam", "target_s": 0.05 } },
//                 { "at_s": 5, "cap": { "cluster": "gpu", "max_freq_hz": 510000000 } },
//                 { "at_s": 6, "mode": "10W_2CORE" }, { "at_s": 7, "hotplug": { "cluster": "cpu", "online": 2
//                 } }, { "at_s": 8, "ambient_c": 45 } ] }
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dsn/core/json.h"

namespace dsn {

// A cluster named by a trace, and where, for messages. An empty name means the platform's first cluster.
struct ClusterRef {
  std::string name;
  std::string pointer;
};

enum class ArrivalProcess { periodic, poisson, gamma, mmpp, ramp, diurnal, recorded };

struct Arrivals {
  ArrivalProcess process = ArrivalProcess::periodic;
  double period_s = 0;  // mean time between arrivals; a file may say rate_hz instead
  double jitter_s = 0;  // periodic: each arrival comes 0..jitter_s late, uniformly; at most one period
  // gamma: squared coefficient of variation of the gaps (1 is Poisson). ramp, diurnal: the same, of gaps
  // counted in expected arrivals; 0 there is evenly.
  double cv2 = 1;
  // mmpp: Poisson at rates_hz[i] for an exponential time of mean dwell_s[i], then the next i, round and
  // round.
  std::vector<double> rates_hz, dwell_s;
  double from_hz = 0, to_hz = 0;  // ramp: rate at the phase's start and end, a straight line between
  // diurnal: mean rate * (1 + swing * cos(2 pi (t - peak_s) / day_s)).
  double swing = 0, day_s = 0, peak_s = 0;
  // recorded: from the phase's start, ascending. factors: latency of each over what it is undisturbed (then
  // nothing is drawn); empty: as drawn.
  std::vector<double> times_s, factors;

  // Expected time between arrivals `t_s` after the start of a phase of `length_s`; of mmpp and recorded the
  // mean.
  [[nodiscard]] double period_at(double t_s, double length_s) const noexcept;
};

// Phases of a task follow each other (start_s defaults to the end of the one before) and never overlap.
// duration_s may be left out in the last one: to the end of the trace.
struct AppPhase {
  std::string name;
  double start_s = 0, duration_s = 0;
  Arrivals arrivals;
};

// What happens to an arrival while the application's last inference still runs. skip: it is dropped. queue:
// it waits, however long. late: it waits, and is dropped when it could start later than the period (as `dsn
// run` does). abort: what runs is dropped instead.
enum class OnOverrun { skip, queue, late, abort };

// An application: inferences of a family.
struct TraceApp {
  std::string name, pointer;
  fs::path family, lut, bundle;  // resolved against the trace's folder; either bundle, or family and lut
  double target_s = 0, probability = 0.99, min_accuracy = 0;
  std::optional<ClusterRef> cluster;  // only placements on this cluster
  int threads = 0;                    // and with this many threads; 0: any
  OnOverrun on_overrun = OnOverrun::skip;
  std::vector<AppPhase> phases;
};

// A contender: load that shares a cluster with the applications and that no policy controls.
// Periodic: every period_s each of `threads` threads gets run_s of work, counted at the cluster's highest
// OPP; work that is not done in time piles up (rt-app's absolute timer). With runtime_s instead, rt-app's
// event of that name, each is busy for that long by the clock on the wall, whatever the frequency. Busy
// (period_s 0): `threads` threads that never stop. memory_share: of the memory's bandwidth, while it runs;
// the part of an inference that no frequency shortens (B of T(f) = A/f + B) takes 1 / (1 - share) as long
// beside it.
struct ContenderPhase {
  std::string name;
  double start_s = 0, duration_s = 0;
  ClusterRef cluster;
  int threads = 1;
  double run_s = 0, period_s = 0, runtime_s = 0, memory_share = 0;
};

struct TraceContender {
  std::string name, pointer;
  std::vector<ContenderPhase> phases;
};

struct SetEvent {
  std::size_t app = 0;
  std::optional<double> target_s, probability, min_accuracy;
};

// Highest frequency allowed from now on (power mode, thermal cap); none: cap lifted.
struct CapEvent {
  ClusterRef cluster;
  std::optional<double> max_freq_hz;
};

// The platform's power mode of that name: its caps on all clusters, and its number of CPUs.
struct ModeEvent {
  std::string mode;
};

// CPUs of a cluster that are online from now on.
struct HotplugEvent {
  ClusterRef cluster;
  int online = 1;
};

// Temperature around the device; needs a thermal model.
struct AmbientEvent {
  double ambient_c = 25;
};

struct TraceEvent {
  double at_s = 0;
  std::string pointer;
  std::variant<SetEvent, CapEvent, ModeEvent, HotplugEvent, AmbientEvent> what;
};

// Immutable once loaded.
struct Trace {
  std::string file;  // for messages
  double duration_s = 0;
  std::uint64_t seed = 1;
  bool noise = true;           // inferences spread around their latency as the LUT's samples did
  fs::path platform;           // empty: not named
  std::vector<TraceApp> apps;  // in name order, 1..kMaxApps
  std::vector<TraceContender> contenders;
  std::vector<TraceEvent> events;  // in time order
  std::string sha256;              // of the content, comments and layout aside
};

inline constexpr std::size_t kMaxContenders = 64;
inline constexpr std::uintmax_t kMaxTraceBytes = 64u << 20;

// Throws Error{not_found | io | bad_input}; bad input names file, JSON pointer, what was found and what was
// expected.
[[nodiscard]] Trace load_trace(const fs::path& path);
// `folder`: what relative paths in the document are relative to.
[[nodiscard]] Trace parse_trace(const Json& document, const std::string& file, const fs::path& folder);

[[nodiscard]] std::string_view to_string(ArrivalProcess process) noexcept;
[[nodiscard]] std::string_view to_string(OnOverrun overrun) noexcept;
// Throws Error{bad_input} at the view for another word.
[[nodiscard]] ArrivalProcess parse_process(const JsonView& v);
[[nodiscard]] OnOverrun parse_overrun(const JsonView& v);

}  // namespace dsn
