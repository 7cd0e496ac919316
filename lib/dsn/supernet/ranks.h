// SPDX-License-Identifier: Apache-2.0
// The processes of a data-parallel training: what they compute together, and how the loss of one is told.
//
// c10d underneath: a TCPStore at rank 0 for meeting and for signs of life, gloo (or NCCL for tensors on CUDA,
// where LibTorch has it) for tensors. Every process calls the same functions in the same order.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>

#include "dsn/supernet/rank_place.h"

namespace dsn {

// thread-bound.
class Ranks {
 public:
  // Meets the others. Throws Error{failed} when they have not all come within `timeout_s`, Error{unsupported}
  // when this build has no gloo (or no NCCL, for `cuda`). timeout_s also bounds every wait for another rank.
  Ranks(const RankPlace& place, double timeout_s, bool cuda);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] int rank() const noexcept { return place_.rank; }
  [[nodiscard]] int size() const noexcept { return place_.size; }
  [[nodiscard]] const RankPlace& place() const noexcept { return place_; }

  // What follows throw Error{failed} naming the lost rank, as far as that can be known, within timeout_s plus
  // a few seconds.

  // Sums `flat` (float32 [n]) over the ranks, in place, in sum_as_tree()'s order: every rank gets the same
  // bits. Each rank sums one part of it, so that a rank sends and receives twice its size however many ranks
  // there are.
  void sum(torch::Tensor flat);
  // Rank 0's values to all, in place.
  void broadcast(torch::Tensor tensor);
  // Rank 0's text to all. `key`: once per training.
  [[nodiscard]] std::string share(const std::string& key, const std::string& text);
  // Rank 0 says that it is done with `what` (writing, evaluating), the others wait for that however long it
  // takes, as long as rank 0 lives.
  void first_has(const std::string& what);

  // The training is done. Rank 0 stays until all others have said so too, because they hear of it through
  // rank 0.
  void leave() noexcept;

  // For the others' error messages: this rank ends with `reason`. noexcept: it is told while failing.
  void tell_failure(const std::string& reason) noexcept;

 private:
  struct Group;
  [[noreturn]] void fail(const std::string& doing, const std::string& problem);

  RankPlace place_;
  double timeout_s_;
  std::unique_ptr<Group> group_;
};

}  // namespace dsn
