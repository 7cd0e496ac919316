// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "dsn/data/preprocess.h"
#include "helpers.h"

namespace dsn::test {

namespace {

// No pixel is zero and all are different, so that every one can be followed.
Image numbered(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i + 1));
  return image;
}

std::uint8_t at(const Image& image, int x, int y, int c) {
  return image.pixels[static_cast<std::size_t>((y * image.width + x) * image.channels + c)];
}

}  // namespace

TEST_CASE("augment: the same generator gives the same image, another gives others") {
  const Image image = numbered(9, 7, 3);
  for (const Augmentation& how :
       {Augmentation{}, Augmentation{1, true, 1.0, 1.0}, Augmentation{0, true, 0.5, 0.3}}) {
    Rng a(7);
    Rng b(7);
    Rng c(8);
    bool differs = false;
    for (int i = 0; i < 20; ++i) {
      const Image first = augment(image, how, a);
      const Image second = augment(image, how, b);
      CHECK(first.width == second.width);
      CHECK(first.pixels == second.pixels);
      differs = differs || augment(image, how, c).pixels != first.pixels;
    }
    CHECK(differs);
  }
}

TEST_CASE("augment: with everything off the image stays as it is") {
  const Image image = numbered(5, 4, 1);
  Rng rng(1);
  CHECK(augment(image, {0, false, 0.0, 1.0}, rng).pixels == image.pixels);
}

TEST_CASE("augment: the shift moves whole pixels by up to pad and fills with zero") {
  const Image image = numbered(6, 5, 3);
  Rng rng(3);
  std::set<std::pair<int, int>> seen;
  for (int i = 0; i < 400; ++i) {
    const Image moved = augment(image, {2, false, 0.0, 1.0}, rng);
    REQUIRE(moved.pixels.size() == image.pixels.size());
    // The pixel at (2, 2) stays inside for every shift up to 2: find it and check all others against it.
    const auto found = std::find(moved.pixels.begin(), moved.pixels.end(), at(image, 2, 2, 0));
    REQUIRE(found != moved.pixels.end());
    const int place = static_cast<int>(found - moved.pixels.begin()) / 3;
    const int dx = place % 6 - 2;
    const int dy = place / 6 - 2;
    seen.insert({dx, dy});
    for (int y = 0; y < 5; ++y) {
      for (int x = 0; x < 6; ++x) {
        const bool inside = x - dx >= 0 && x - dx < 6 && y - dy >= 0 && y - dy < 5;
        for (int c = 0; c < 3; ++c)
          REQUIRE(at(moved, x, y, c) == (inside ? at(image, x - dx, y - dy, c) : 0));
      }
    }
  }
  CHECK(seen.size() == 25);
}

TEST_CASE("augment: a shift further than the image leaves zeros, not a crash") {
  const Image image = numbered(2, 2, 1);
  Rng rng(5);
  bool empty = false;
  for (int i = 0; i < 50; ++i) {
    const Image moved = augment(image, {40, true, 0.0, 1.0}, rng);
    empty = empty || moved.pixels == std::vector<std::uint8_t>(4, 0);
  }
  CHECK(empty);
}

TEST_CASE("augment: the flip mirrors left and right for about half of the images") {
  const Image image = numbered(5, 2, 3);
  Rng rng(11);
  int flipped = 0;
  for (int i = 0; i < 400; ++i) {
    const Image result = augment(image, {0, true, 0.0, 1.0}, rng);
    if (result.pixels == image.pixels) continue;
    ++flipped;
    for (int y = 0; y < 2; ++y) {
      for (int x = 0; x < 5; ++x) {
        for (int c = 0; c < 3; ++c) REQUIRE(at(result, x, y, c) == at(image, 4 - x, y, c));
      }
    }
  }
  CHECK(flipped > 150);
  CHECK(flipped < 250);
}

TEST_CASE("augment: erasing changes one rectangle of 2 % to 33 %, as often as asked") {
  const Image image{40, 40, 1, std::vector<std::uint8_t>(1600, 77)};
  Rng rng(13);
  int erased = 0;
  for (int i = 0; i < 300; ++i) {
    const Image result = augment(image, {0, false, 0.25, 1.0}, rng);
    int left = 40;
    int top = 40;
    int right = -1;
    int bottom = -1;
    int changed = 0;
    for (int y = 0; y < 40; ++y) {
      for (int x = 0; x < 40; ++x) {
        if (at(result, x, y, 0) == 77) continue;
        ++changed;
        left = std::min(left, x);
        right = std::max(right, x);
        top = std::min(top, y);
        bottom = std::max(bottom, y);
      }
    }
    if (changed == 0) continue;
    ++erased;
    const int area = (right - left + 1) * (bottom - top + 1);
    CHECK(changed > 0.9 * area);  // noise hits 77 once in 256
    CHECK(area <= 0.36 * 1600);
  }
  CHECK(erased > 45);
  CHECK(erased < 105);
}

TEST_CASE("augment: a random resized crop is a square of at least the asked area") {
  // Brightness says where a pixel came from: x * 2 and y * 3.
  for (const auto& [width, height] : {std::pair{100, 60}, std::pair{40, 80}, std::pair{64, 64}}) {
    Image image{width, height, 3, {}};
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        image.pixels.insert(image.pixels.end(),
                            {static_cast<std::uint8_t>(x * 2), static_cast<std::uint8_t>(y * 3), 9});
      }
    }
    for (const double min_area : {0.08, 0.5, 0.99}) {
      Rng rng(17);
      for (int i = 0; i < 100; ++i) {
        const Image crop = augment(image, {0, false, 0.0, min_area}, rng);
        REQUIRE(crop.width == crop.height);
        REQUIRE(crop.channels == 3);
        const int side = crop.width;
        CHECK(side * side <= 1.05 * width * height);
        CHECK(side * side >= 0.9 * min_area * width * height);
        CHECK(at(crop, side / 2, side / 2, 2) == 9);
        // Width and height of the region, from the brightness across it.
        const double w = (at(crop, side - 1, 0, 0) - at(crop, 0, 0, 0)) / 2.0 * side / (side - 1);
        const double h = (at(crop, 0, side - 1, 1) - at(crop, 0, 0, 1)) / 3.0 * side / (side - 1);
        CHECK(w * h >= 0.85 * min_area * width * height);
        CHECK(w <= width + 1);
        CHECK(h <= height + 1);
        if (min_area < 0.1) {
          CHECK(w / h > 0.6);
          CHECK(w / h < 1.6);
        }
      }
    }
  }
}

TEST_CASE("augment: values out of range are refused") {
  const Image image = numbered(4, 4, 1);
  Rng rng(1);
  check_error([&] { (void)augment(image, {-1, true, 0.0, 1.0}, rng); }, ErrorCode::bad_input, {"pad -1"});
  check_error([&] { (void)augment(image, {0, true, 1.5, 1.0}, rng); }, ErrorCode::bad_input, {"erase 1.5"});
  check_error([&] { (void)augment(image, {0, true, 0.0, 0.0}, rng); }, ErrorCode::bad_input, {"min_area 0"});
}

}  // namespace dsn::test
