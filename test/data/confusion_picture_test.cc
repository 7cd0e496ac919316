// SPDX-License-Identifier: Apache-2.0
// The picture of a confusion matrix; needs OpenCV.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <opencv2/imgcodecs.hpp>

#include "dsn/core/error.h"
#include "dsn/data/confusion.h"
#include "helpers.h"

namespace dsn::test {
namespace {

ConfusionMatrix confused(int classes) {
  ConfusionMatrix m(classes);
  for (int c = 0; c < classes; ++c) {
    for (int i = 0; i < 20; ++i) m.add(c, i < 17 ? c : (c + 1) % classes);
  }
  return m;
}

std::vector<std::string> names(int classes) {
  std::vector<std::string> all;
  for (int c = 0; c < classes; ++c) all.push_back(fmt::format("class {}", c));
  return all;
}

// Pixels that are clearly blue (right) and clearly red (mistaken).
std::pair<int, int> count_colours(const cv::Mat& mat) {
  int blue = 0, red = 0;
  for (int y = 0; y < mat.rows; ++y) {
    for (int x = 0; x < mat.cols; ++x) {
      const auto p = mat.at<cv::Vec3b>(y, x);
      blue += p[0] > p[2] + 60;
      red += p[2] > p[0] + 60;
    }
  }
  return {blue, red};
}

}  // namespace

TEST_CASE("write_confusion_picture: right is blue, mistaken is red, for few classes and for many") {
  const TempDir temp;
  for (const int classes : {1, 2, 10, 20, 21, 100, 1000}) {
    CAPTURE(classes);
    const fs::path path = temp.path() / fmt::format("m{}.png", classes);
    write_confusion_picture(confused(classes), names(classes), "a title", path);
    const cv::Mat mat = cv::imread(path.string());
    REQUIRE_FALSE(mat.empty());
    CHECK(mat.cols < 3200);
    CHECK(mat.rows < 3200);
    const auto [blue, red] = count_colours(mat);
    CHECK(blue > 100);
    if (classes > 1) CHECK(red > 100);
  }
}

TEST_CASE("write_confusion_picture: names that are too few, another extension and no folder are refused") {
  const TempDir temp;
  CHECK_THROWS_AS(write_confusion_picture(confused(3), names(2), "t", temp.path() / "m.png"), Error);
  CHECK_THROWS_AS(write_confusion_picture(confused(3), names(3), "t", temp.path() / "m.txt"), Error);
  CHECK_THROWS_AS(write_confusion_picture(confused(3), names(3), "t", temp.path() / "no" / "m.png"), Error);
}

}  // namespace dsn::test
