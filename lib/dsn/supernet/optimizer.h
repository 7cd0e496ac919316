// SPDX-License-Identifier: Apache-2.0
// SGD with Nesterov momentum over named tensors, an exponential moving average of the weights beside it, and
// both as tensors that a checkpoint can hold. (torch::optim keeps its state by pointer, which a safetensors
// file cannot.)
//
// Weights, gradients, momentum and average are one flat tensor each, of which the named tensors are views: an
// update is ten kernels instead of ten for every tensor, and the gradients of a worker or a rank are added,
// sent and received in one piece.
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"

namespace dsn {

// Where each tensor lies in a flat one: in name order, each at a multiple of 16 values (64 bytes).
class FlatLayout {
 public:
  explicit FlatLayout(const std::map<std::string, torch::Tensor>& tensors);

  [[nodiscard]] std::int64_t size() const noexcept { return size_; }
  // Views of `flat` with the shapes that the layout was made from.
  [[nodiscard]] std::map<std::string, torch::Tensor> views(const torch::Tensor& flat) const;

 private:
  struct Place {
    std::int64_t offset;
    std::vector<std::int64_t> shape;
  };
  std::map<std::string, Place> places_;
  std::int64_t size_ = 0;
};

// Values behind the gradients in their buffer: losses and flags of a step, which are summed with them.
constexpr std::int64_t kStepValues = 16;

// Makes views of one new flat tensor of zeros (returned; layout.size() + kStepValues values) the gradients of
// `parameters`, which backward() then adds to in place.
torch::Tensor attach_gradients(std::map<std::string, torch::Tensor>& parameters, const FlatLayout& layout);

struct SgdOptions {
  double momentum = 0.9, weight_decay = 1e-4, clip_norm = 0, ema_decay = 0;
};

class Optimizer {
 public:
  // Updates `parameters` in place; they become views of weights() (same values), so replicas that share their
  // storage are made after this. Weight decay applies to tensors of two or more dimensions that are not
  // kernel transforms.
  Optimizer(std::map<std::string, torch::Tensor>& parameters, const SgdOptions& options);

  [[nodiscard]] const FlatLayout& layout() const noexcept { return layout_; }
  // What the parameters' grad() are views of, and the step's values.
  [[nodiscard]] torch::Tensor& gradient_buffer() noexcept { return gradient_buffer_; }
  [[nodiscard]] double gradient_norm() const;
  void clear_gradients();
  void scale_gradients(double factor);
  // One update from the gradients, which are cleared. `norm`: gradient_norm(), which clipping needs.
  void step(double learning_rate, double norm);
  void step(double learning_rate) { step(learning_rate, gradient_norm()); }

  // Averaged weights (the present ones when ema_decay is 0), by name.
  [[nodiscard]] const std::map<std::string, torch::Tensor>& averaged() const noexcept;
  // A new beginning from the averaged weights: no momentum, a young average.
  void restart();
  // The average forgets all but the present weights (after they were changed from outside).
  void restart_average();

  // Weights, momentum and, where there is one, average: flat.
  [[nodiscard]] std::vector<torch::Tensor> flat_state() const;

  // A copy of all that a step changes.
  struct Snapshot {
    torch::Tensor weights, average, momentum;
    std::int64_t steps = 0;
  };
  [[nodiscard]] Snapshot snapshot() const;
  // Also clears the gradients.
  void restore(const Snapshot& snapshot);

  // "raw/NAME", "ema/NAME", "momentum/NAME", of host memory that lives as long as `keep`.
  void append_state(std::map<std::string, TensorView>& out, std::vector<torch::Tensor>& keep) const;
  void load_state(const TensorFile& file);
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }
  [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }

 private:
  std::map<std::string, torch::Tensor>& parameters_;
  SgdOptions options_;
  FlatLayout layout_;
  torch::Tensor weights_, gradient_buffer_, gradients_, momentum_, average_, decay_;
  std::map<std::string, torch::Tensor> average_views_;
  std::int64_t steps_ = 0;
};

// `tensor`, float32, as a view of host memory; a copy that `keep` holds where it is elsewhere or not
// contiguous.
[[nodiscard]] TensorView host_view(const torch::Tensor& tensor, std::vector<torch::Tensor>& keep);
// Copies file.at(name) into `tensor`. Throws Error{mismatch} for another shape.
void copy_in(torch::Tensor tensor, const TensorFile& file, const std::string& name);

}  // namespace dsn
