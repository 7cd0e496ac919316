// SPDX-License-Identifier: Apache-2.0
// A small network of linear layers with ReLU between them, for many inputs at once, on the engine's inner
// loops. Not installed.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/engine/elastic/kernels.h"
#include "dsn/engine/elastic/layout.h"

namespace dsn {

// Immutable; const members are thread-safe.
class Mlp {
 public:
  // Layers are the tensors "N.weight" [out, in] and "N.bias" [out] in ascending N, as torch.nn.Sequential
  // names them. Throws Error{bad_input} naming file and tensor: another dtype or shape, a layer without its
  // bias or that does not fit the one before, no layer at all.
  // `file` is for messages.
  static Mlp read(const std::map<std::string, TensorView>& tensors, const std::string& file);

  [[nodiscard]] int inputs() const noexcept { return layers_.front().in; }
  [[nodiscard]] int outputs() const noexcept { return layers_.back().out; }

  // Memory of one thread for up to `rows` inputs. input(): [blocks of inputs()][rows][16], zeros at first;
  // input i of row n is at ((i / 16) * rows + n) * 16 + i % 16.
  class Work {
   public:
    Work(const Mlp& mlp, int rows);
    [[nodiscard]] float* input() noexcept { return input_.data(); }
    [[nodiscard]] int rows() const noexcept { return rows_; }

   private:
    friend class Mlp;
    int rows_;
    elastic::Floats input_, first_, second_;
  };

  // output[n * outputs + o]: the first `outputs` of each of `work.rows()` inputs. The same bits whatever the
  // rows beside it.
  void forward(Work& work, float* output, int outputs = 1) const noexcept;

 private:
  struct Layer {
    int in = 0, out = 0;
    elastic::Floats weights, scale, bias;  // panels of 16 outputs: [out/16][in, padded to 16][16]
  };
  Mlp() = default;
  std::vector<Layer> layers_;
  const elastic::Kernels* kernels_ = nullptr;
};

}  // namespace dsn
