// SPDX-License-Identifier: Apache-2.0
// A super-network's weights, packed once for the kernels; every sub-network reads its part of them.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/engine/elastic/layout.h"
#include "dsn/space/search_space.h"

namespace dsn::elastic {

// A convolution's or linear layer's weights at their largest, as ConvCall::w.
struct PackedConv {
  const float* data = nullptr;
  std::ptrdiff_t panel = 0;  // floats between panels
};

// Immutable once made: thread-safe.
class Weights {
 public:
  // Packs all of `file`. Throws Error{bad_input | mismatch} naming file, tensor, found and expected shape.
  Weights(const SearchSpace& space, const TensorFile& file);
  // The same object for all who ask for the same mapped file as long as one of them keeps it: executors of
  // several applications share their super-network. thread-safe.
  [[nodiscard]] static std::shared_ptr<const Weights> shared(const SearchSpace& space,
                                                             const TensorFile& file);
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // name: the tensor's, without ".weight": "blocks.3.expand.conv".
  [[nodiscard]] PackedConv conv(const std::string& name) const;
  // Ready-made filters [C/16][k*k][16] of `unit` ("first", "blocks.3") after the kernel transforms.
  [[nodiscard]] const float* depthwise(const std::string& unit, int kernel) const;
  // Biases, batch norms' parts: as they are in the file.
  [[nodiscard]] std::span<const float> vector(const std::string& name) const;

  [[nodiscard]] std::size_t bytes() const noexcept { return arena_.bytes(); }

 private:
  enum class Form { blocks, planes };  // inputs per block in the packed weights: 16, 1
  struct Item {
    std::size_t offset = 0;
    std::ptrdiff_t panel = 0;
    std::size_t count = 0;
  };
  Item& add(const std::string& key, std::size_t count);
  void pack_conv(const Item& item, const TensorView& view, Form form);
  void pack_depthwise(const TensorFile& file, const std::string& unit, const std::vector<int>& kernels);
  [[nodiscard]] const Item& at(const std::string& key) const;

  TensorFile file_;  // kept: its place in memory is what shared() knows it by
  std::map<std::string, Item> items_;
  Floats arena_;
};

}  // namespace dsn::elastic
