// SPDX-License-Identifier: Apache-2.0
// Frames of data sets, and what does not open. What OpenCV decodes is in opencv_test.cc.
#include <doctest/doctest.h>

#include <algorithm>

#include "helpers.h"

namespace dsn::test {

namespace {

std::vector<int> labels_of(FrameSource& source, std::size_t most) {
  std::vector<int> labels;
  while (labels.size() < most) {
    const auto frame = source.next();
    if (!frame) break;
    REQUIRE(frame->label.has_value());
    CHECK(frame->image.pixels.front() % 100 / 10 == *frame->label % 10);
    labels.push_back(*frame->label);
  }
  return labels;
}

}  // namespace

TEST_CASE("open_frames: a data set comes once, shuffled by the seed, with its labels") {
  const TempDir dir;
  write_idx_set(dir.path(), 4, 10);
  const auto source = open_frames("idx:" + dir.str(), 1, false);
  CHECK(source->name() == "idx:" + dir.path().filename().string() + "/test");
  const std::vector<int> labels = labels_of(*source, 100);
  CHECK_FALSE(source->next().has_value());
  std::vector<int> sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(labels != sorted);
  CHECK(labels_of(*open_frames("idx:" + dir.str() + "@test", 1, false), 100) == labels);
  CHECK(labels_of(*open_frames("idx:" + dir.str(), 2, false), 100) != labels);
}

TEST_CASE("open_frames: repeated for ever, each pass holds every image, in another order") {
  const TempDir dir;
  write_idx_set(dir.path(), 4, 10);
  const auto source = open_frames("idx:" + dir.str(), 1, true);
  std::vector<std::vector<int>> passes;
  for (int pass = 0; pass < 4; ++pass) {
    passes.push_back(labels_of(*source, 10));
    std::vector<int> sorted = passes.back();
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
  CHECK(passes[0] != passes[1]);
  CHECK(passes[1] != passes[2]);
}

TEST_CASE("open_frames: @train and @val choose the split, other endings belong to the folder") {
  const TempDir dir;
  write_idx_set(dir.path() / "set@home", 5003, 2);
  const std::string spec = "idx:" + (dir.path() / "set@home").string();
  CHECK(open_frames(spec, 1, false)->name() == "idx:set@home/test");
  CHECK(open_frames(spec + "@train", 1, false)->name() == "idx:set@home/train");
  const auto train = open_frames(spec + "@train", 1, false);
  int count = 0;
  while (train->next()) ++count;
  CHECK(count == 3);
  CHECK(open_frames(spec + "@val", 1, false)->name() == "idx:set@home/val");
  check_error([] { (void)open_frames("fashion-mnist@dev", 1, false); }, ErrorCode::bad_input,
              {"\"dev\"", "train, val"});
}

TEST_CASE("open_frames: what is not there is not found, by name") {
  check_error([] { (void)open_frames("/nonexistent/cat.jpg", 1, false); }, ErrorCode::not_found,
              {"/nonexistent/cat.jpg", "camera:N"});
  check_error([] { (void)open_frames("", 1, false); }, ErrorCode::not_found, {"no such file"});
  check_error([] { (void)open_frames("idx:/nonexistent/mnist", 1, false); }, ErrorCode::not_found,
              {"/nonexistent/mnist"});
}

#ifndef DSN_HAVE_OPENCV
TEST_CASE(
    "open_frames: without OpenCV images, folders, videos and cameras are unsupported and name the build "
    "option") {
  const TempDir dir;
  write(dir.path() / "a.png", "x");
  for (const std::string& spec :
       {dir.str() + "/a.png", dir.str(), "video:" + dir.str() + "/a.avi", std::string("camera:0")}) {
    check_error([&] { (void)open_frames(spec, 1, false); }, ErrorCode::unsupported, {spec, "-Dopencv"});
  }
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::test); }, ErrorCode::unsupported,
              {"folder:", "-Dopencv"});
}
#endif

}  // namespace dsn::test
