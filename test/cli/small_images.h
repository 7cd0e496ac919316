// SPDX-License-Identifier: Apache-2.0
// A data set of four easy classes in MNIST's file format, and a super-network's space that trains on it in
// seconds.
#pragma once

#include <fstream>
#include <string>

#include "dsn/core/file.h"
#include "dsn/core/random.h"
#include "fakes/tiny_space.h"

namespace dsn::test {

inline void put_be32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

// Class c is a bright square in quarter c of a noisy image.
inline void write_idx(const fs::path& folder, const std::string& part, int count, std::uint64_t seed) {
  constexpr int kSide = 28, kQuarter = kSide / 2;
  Rng rng(seed);
  std::string images, labels;
  put_be32(images, 0x803);
  for (const int n : {count, kSide, kSide}) put_be32(images, static_cast<std::uint32_t>(n));
  put_be32(labels, 0x801);
  put_be32(labels, static_cast<std::uint32_t>(count));
  for (int i = 0; i < count; ++i) {
    const int c = static_cast<int>(rng.below(4));
    labels += static_cast<char>(c);
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const bool inside = y / kQuarter == c / 2 && x / kQuarter == c % 2;
        images += static_cast<char>(rng.below(120) + (inside ? 90 : 0));
      }
    }
  }
  write_file_atomic(folder / (part + "-images-idx3-ubyte"), images);
  write_file_atomic(folder / (part + "-labels-idx1-ubyte"), labels);
}

// MNIST's files always have ten classes.
inline void write_small_images(const fs::path& folder) {
  fs::create_directories(folder);
  write_idx(folder, "train", 240, 1);
  write_idx(folder, "t10k", 60, 2);
}

inline void write_tiny_space(const fs::path& file) {
  write_file_atomic(file, dump_json(fakes::tiny_space(10).document()));
}

}  // namespace dsn::test
