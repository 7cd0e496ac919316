// SPDX-License-Identifier: Apache-2.0
// Seeded random numbers that are the same on every platform and standard library.
//
// The generator is xoshiro256++ seeded by splitmix64 (Blackman and Vigna, 2019, https://prng.di.unimi.it);
// the distributions are our own, because std:: ones differ between libraries.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace dsn {

// thread-compatible. Independent streams: one Rng per purpose, made with stream().
class Rng {
 public:
  using result_type = std::uint64_t;
  explicit Rng(std::uint64_t seed) noexcept;
  // A generator for one purpose of a run: hashes `purpose` into the seed, so that adding a consumer moves
  // no other.
  [[nodiscard]] static Rng stream(std::uint64_t seed, std::string_view purpose) noexcept;

  std::uint64_t operator()() noexcept;
  static constexpr std::uint64_t min() noexcept { return 0; }
  static constexpr std::uint64_t max() noexcept { return ~std::uint64_t{0}; }

  double uniform() noexcept;                      // [0, 1), 53 bits
  std::uint64_t below(std::uint64_t n) noexcept;  // [0, n), unbiased; n > 0
  double exponential(double rate) noexcept;       // -log1p(-u) / rate
  double normal() noexcept;                       // mean 0, variance 1 (polar method)
  double gamma(double shape) noexcept;            // Marsaglia and Tsang 2000, scale 1

  template <typename T>
  void shuffle(std::span<T> items) noexcept {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::array<std::uint64_t, 4> state_{};
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace dsn
