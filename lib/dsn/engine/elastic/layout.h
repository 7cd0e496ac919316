// SPDX-License-Identifier: Apache-2.0
// How the elastic engine keeps numbers in memory.
//
// Feature maps are float32 [image][C/16][H][W][16] ("nChw16c"): the first channels of a map are its first
// blocks, so narrower layers read a prefix and nothing is copied. Weights of convolutions are
// [N/16][K/16][k*k][16 k][16 n], one panel per 16 outputs: fewer outputs are fewer panels, fewer inputs the
// beginning of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace dsn::elastic {

inline constexpr int kBlock = 16;  // channels per block

[[nodiscard]] constexpr int blocks_of(int channels) noexcept {
  return (channels + kBlock - 1) / kBlock;
}

// Floats on a cache line's boundary, zero at first; large ones ask the kernel for huge pages.
class Floats {
 public:
  Floats() = default;
  explicit Floats(std::size_t count);

  [[nodiscard]] float* data() noexcept { return data_.get(); }
  [[nodiscard]] const float* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return size_ * sizeof(float); }
  // At least `count` floats; what was there is lost when it grows.
  void reserve(std::size_t count) {
    if (count > size_) *this = Floats(count);
  }

 private:
  struct Free {
    void operator()(float* p) const noexcept;
  };
  std::unique_ptr<float[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace dsn::elastic
