// SPDX-License-Identifier: Apache-2.0
// The applications of one run: bundles opened once, executors over shared weights, costs here, inputs. What
// `dsn run` starts from, and a program with several models.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dsn/deploy/application.h"
#include "dsn/runtime/live.h"

namespace dsn {

// An application as it is asked for.
struct ApplicationSpec {
  std::string name = "app";
  fs::path bundle;
  std::string input;  // of open_frames()
  AppOptions options;
  int threads = 0;     // only this thread count of the look-up table; 0: the policy chooses
  bool repeat = true;  // the input starts again at its end
};

struct ApplicationPlace {
  std::string engine = "auto";  // executor
  std::string device = "cpu";   // or "cuda[:N]", with the torch executor
  std::uint64_t seed = 1;
};

// Immutable once made, but for what live() refers to. Bundles stay mapped: removing their files while they
// run does nothing.
class ApplicationSet {
 public:
  // Bundles of the same path are opened once, those of the same weights share one arena. Throws as
  // Bundle::open(), costs_here(), make_executor() and open_frames(); Error{infeasible} when no level meets an
  // application's goal even undisturbed. Messages name the application where there are several.
  ApplicationSet(std::vector<ApplicationSpec> specs, const Platform& platform, const ApplicationPlace& place);
  ApplicationSet(const ApplicationSet&) = delete;
  ApplicationSet& operator=(const ApplicationSet&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return apps_.size(); }
  [[nodiscard]] const ApplicationSpec& spec(std::size_t app) const noexcept { return apps_[app].spec; }
  [[nodiscard]] const Bundle& bundle(std::size_t app) const noexcept { return *apps_[app].bundle; }
  [[nodiscard]] const CostTable& costs(std::size_t app) const noexcept { return *apps_[app].costs; }
  [[nodiscard]] const Executor& executor(std::size_t app) const noexcept { return *apps_[app].executor; }
  [[nodiscard]] std::vector<std::string> names() const;
  // Of all executors; weights that several share counted once.
  [[nodiscard]] MemoryUse memory() const;

  // For run_live(); valid as long as this is.
  [[nodiscard]] std::vector<LiveApp> live();

 private:
  struct Opened {
    ApplicationSpec spec;
    std::shared_ptr<const Bundle> bundle;
    std::string weights_sha256;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<CostTable> costs;
    std::unique_ptr<FrameSource> frames;
  };
  void open(Opened& app, const Platform& platform, const ApplicationPlace& place);

  std::vector<Opened> apps_;
};

}  // namespace dsn
