// SPDX-License-Identifier: Apache-2.0
// A training while it runs. Internal: train.h is what others use. train.cc has the loop, train_guard.cc the
// good states and the way back to them, train_files.cc what is read, written and evaluated.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dsn/supernet/batches.h"
#include "dsn/supernet/device.h"
#include "dsn/supernet/evaluate.h"
#include "dsn/supernet/loss_watch.h"
#include "dsn/supernet/optimizer.h"
#include "dsn/supernet/ranks.h"
#include "dsn/supernet/train.h"
#include "dsn/supernet/train_state.h"
#include "dsn/supernet/train_step.h"

namespace dsn {

// thread-bound.
class Trainer {
 public:
  Trainer(CheckpointInfo info, const Dataset& train, const Dataset& val, const TrainOptions& options,
          const TrainFiles& files, Job& job, const torch::Device& device, Ranks* ranks);

  void run();

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  [[nodiscard]] int rank() const { return ranks_ == nullptr ? 0 : ranks_->rank(); }
  [[nodiscard]] int rank_count() const { return ranks_ == nullptr ? 1 : ranks_->size(); }
  [[nodiscard]] Json options_json() const { return to_json(options_, info_.space, rank_count()); }

  [[nodiscard]] int last_epoch() const {
    return options_.stop_after > 0 ? std::min(options_.stop_after, options_.epochs) : options_.epochs;
  }
  [[nodiscard]] const TrainPhase& phase() const { return plan_.phases[plan_.phase_of(at_.epoch)]; }
  // Images are made at the one resolution of a fixed sub-network, else at the largest and resized on the way.
  [[nodiscard]] int resolution() const {
    return options_.subnet ? options_.subnet->r : info_.space.resolutions().back();
  }

  // What a phase starts with. Doing it twice is the same as doing it once, so that a state saved just before
  // or just after goes on alike.
  void begin_phase();
  void set_teacher(const std::map<std::string, torch::Tensor>& weights);
  void run_epoch();
  [[noreturn]] void interrupted();
  void end_epoch(double images_per_s);
  void show_progress(double images_per_s);
  // False when it derailed and the training went back to an earlier state.
  bool train_step(const Batch& batch);
  // A rank that is lost here leaves this one between two steps: its state is worth keeping.
  void sum_over_ranks();
  // Ranks of other options would train something else together.
  void require_same_everywhere();
  struct Good {
    Optimizer::Snapshot weights;
    std::map<std::string, torch::Tensor> buffers;
    std::shared_ptr<Supernet> teacher;
    TrainProgress at;
  };

  void take_snapshot();
  void restore(const Good& good);
  // A step that fails again after a rollback, with what came before it in order, is the data's fault: it is
  // left out. Otherwise back to the last good state.
  bool skip_or_roll_back(const std::string& trouble);
  // Largest and smallest of `space`, or the one sub-network that is trained, with the averaged weights.
  // Rank 0 evaluates while the others wait, and get nothing.
  std::vector<Evaluation> evaluate_ends(const SearchSpace& space);
  std::vector<Evaluation> evaluate_here(const SearchSpace& space);
  static void put_accuracies(Json& row, const std::vector<Evaluation>& results);
  void copy_averaged();
  void finish();
  void write_result(const std::vector<Evaluation>& ends);
  void write_curve() const;
  void save_state();
  // Rank 0 reads the file, the others get it from there: they may be on machines that do not see it.
  void resume();
  CheckpointInfo info_;
  const Dataset& train_;
  const Dataset& val_;
  const TrainOptions& options_;
  const TrainFiles& files_;
  Job& job_;
  const TrainPlan plan_;
  Ranks* ranks_;
  const torch::Device device_;
  Supernet net_, averaged_;  // averaged_ stays on the CPU, where it is evaluated
  Optimizer optimizer_;
  StepRunner runner_;
  LossWatch watch_;
  LossScale scale_;
  std::shared_ptr<Supernet> teacher_;  // the full network as its phase left it
  fs::path state_path_;
  std::size_t steps_per_epoch_ = 0;
  TrainProgress at_;
  std::deque<Good> good_;
  bool fell_back_ = false;  // to good_.back(), and nothing was gained since
  std::set<std::pair<int, std::size_t>> failed_;
  int evaluations_ = 0;
  std::string accuracy_;  // last known, for progress
  Clock::time_point started_, saved_;
};

}  // namespace dsn
