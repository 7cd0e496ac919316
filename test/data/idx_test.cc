// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "dsn/data/preprocess.h"
#include "helpers.h"

namespace dsn::test {

TEST_CASE("idx: images, labels, names and splits of a plain set") {
  const TempDir dir;
  write_idx_set(dir.path(), 7, 3);
  const auto test = open_dataset("idx:" + dir.str(), Split::test, 2);
  REQUIRE(test->size() == 3);
  CHECK(test->classes() == 10);
  CHECK(test->class_names()[7] == "7");
  CHECK(test->name() == "idx:" + dir.path().filename().string() + "/test");
  const Image image = test->image(2);
  CHECK(image.width == 3);
  CHECK(image.height == 2);
  CHECK(image.channels == 1);
  CHECK(image.pixels == std::vector<std::uint8_t>{20, 21, 22, 23, 24, 25});
  CHECK(test->label(2) == 2);

  const auto train = open_dataset("idx:" + dir.str(), Split::train, 2);
  const auto val = open_dataset("idx:" + dir.str() + "/", Split::val, 2);
  CHECK(train->size() == 5);
  CHECK(train->label(4) == 4);
  REQUIRE(val->size() == 2);
  CHECK(val->label(0) == 5);
  CHECK(val->image(0).pixels.front() == 50);
  CHECK(val->name() == "idx:" + dir.path().filename().string() + "/val");
}

TEST_CASE("idx: gzip files read as plain ones do") {
  const TempDir dir;
  write_gzip(dir.path() / "t10k-images-idx3-ubyte.gz", idx_images(4));
  write_gzip(dir.path() / "t10k-labels-idx1-ubyte.gz", idx_labels(4));
  const auto set = open_dataset("idx:" + dir.str(), Split::test);
  REQUIRE(set->size() == 4);
  CHECK(set->image(3).pixels.back() == 35);
}

TEST_CASE("idx: labels.txt names the classes and bounds the labels") {
  const TempDir dir;
  write_idx_set(dir.path(), 7, 3);
  write(dir.path() / "labels.txt", "cat\r\ndog\n\nbird\n");
  const auto set = open_dataset("idx:" + dir.str(), Split::test);
  CHECK(set->class_names() == std::vector<std::string>{"cat", "dog", "bird"});
  check_error([&] { (void)open_dataset("idx:" + dir.str(), Split::train, 1); }, ErrorCode::bad_input,
              {"train-labels-idx1-ubyte", "label 3 at image 3", "0 to 2"});
  write(dir.path() / "labels.txt", "\n");
  check_error([&] { (void)open_dataset("idx:" + dir.str(), Split::test); }, ErrorCode::bad_input,
              {"labels.txt"});
}

TEST_CASE("idx: a truncated gzip stream names the file") {
  const TempDir dir;
  write_idx_set(dir.path(), 3, 200);
  write_gzip(dir.path() / "packed.gz", idx_images(200));
  const std::string packed = slurp(dir.path() / "packed.gz");
  fs::remove(dir.path() / "t10k-images-idx3-ubyte");
  write(dir.path() / "t10k-images-idx3-ubyte.gz", packed.substr(0, packed.size() / 2));
  check_error([&] { (void)open_dataset("idx:" + dir.str(), Split::test); }, ErrorCode::bad_input,
              {"t10k-images-idx3-ubyte.gz"});
}

TEST_CASE("idx: wrong magic, length, dimensions, counts and labels are told from one another") {
  const TempDir dir;
  write_idx_set(dir.path(), 3, 3);
  const fs::path images = dir.path() / "t10k-images-idx3-ubyte";
  const fs::path labels = dir.path() / "t10k-labels-idx1-ubyte";
  const auto open = [&] { (void)open_dataset("idx:" + dir.str(), Split::test); };
  CHECK_NOTHROW(open());

  write(images, idx_labels(3));
  check_error(open, ErrorCode::bad_input, {images.string(), "found 11 bytes", "16 bytes"});
  write(images, idx(0x0d03, {3, 2, 3}, std::string(72, '\0')));
  check_error(open, ErrorCode::bad_input, {images.string(), "0x00000d03", "0x00000803"});
  write(images, idx_images(3).substr(0, 30));
  check_error(open, ErrorCode::bad_input, {images.string(), "found 14 bytes", "expected 18 (3 x 2 x 3)"});
  write(images, idx_images(3) + "x");
  check_error(open, ErrorCode::bad_input, {images.string(), "found 19 bytes"});
  write(images, idx(kImages, {3, 0, 3}, ""));
  check_error(open, ErrorCode::bad_input, {images.string(), "dimension 1 = 0"});
  write(images, idx(kImages, {3, 2, 0xffffffff}, ""));
  check_error(open, ErrorCode::bad_input, {images.string(), "dimension 2 = 4294967295"});
  write(images, idx_images(3));

  write(labels, idx_labels(2));
  check_error(open, ErrorCode::bad_input,
              {labels.string(), "found 2 labels, expected 3", images.filename().string()});
  write(labels, idx(kLabels, {3}, std::string("\x01\x0a\x02", 3)));
  check_error(open, ErrorCode::bad_input, {labels.string(), "label 10 at image 1", "0 to 9"});
  write(labels, "");
  check_error(open, ErrorCode::bad_input, {labels.string(), "found 0 bytes"});
  fs::remove(labels);
  check_error(open, ErrorCode::not_found, {dir.str(), "t10k-labels-idx1-ubyte.gz"});
}

TEST_CASE("idx: a validation split that does not fit is refused") {
  const TempDir dir;
  write_idx_set(dir.path(), 4, 2);
  const auto open = [&](Split split, std::size_t count) {
    return open_dataset("idx:" + dir.str(), split, count);
  };
  check_error([&] { (void)open(Split::train, 4); }, ErrorCode::bad_input, {"4 of 4", "at most 3"});
  check_error([&] { (void)open(Split::val, 5000); }, ErrorCode::bad_input, {"5000 of 4"});
  check_error([&] { (void)open(Split::val, 0); }, ErrorCode::bad_input, {"empty"});
  CHECK(open(Split::train, 0)->size() == 4);
  CHECK(open(Split::test, 5000)->size() == 2);
}

TEST_CASE("fashion-mnist: without its files the Debian package is named") {
  const TempDir dir;
  check_error([&] { (void)open_dataset("fashion-mnist:" + dir.str() + "/none", Split::test); },
              ErrorCode::not_found, {dir.str() + "/none", "dataset-fashion-mnist"});
  check_error([&] { (void)open_dataset("fashion-mnist:" + dir.str(), Split::test); }, ErrorCode::not_found,
              {dir.str(), "dataset-fashion-mnist"});
}

TEST_CASE(
    "fashion-mnist: Debian's files hold 60000 and 10000 images, and for_dataset has their mean and "
    "deviation") {
  if (!fs::exists("/usr/share/datasets/fashion-mnist")) {
    MESSAGE("skipped: the package dataset-fashion-mnist is not installed");
    return;
  }
  const auto train = open_dataset("fashion-mnist", Split::train, 0);
  const auto test = open_dataset("fashion-mnist", Split::test);
  REQUIRE(train->size() == 60000);
  REQUIRE(test->size() == 10000);
  CHECK(open_dataset("fashion-mnist", Split::val)->size() == 5000);
  CHECK(train->label(0) == 9);
  CHECK(std::vector{test->label(0), test->label(1), test->label(2), test->label(3)} ==
        std::vector{9, 2, 1, 1});
  CHECK(test->class_names().front() == "T-shirt/top");
  CHECK(test->class_names().back() == "Ankle boot");
  CHECK(test->name() == "fashion-mnist/test");
  CHECK(test->image(9999).width == 28);

  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < train->size(); ++i) {
    for (const std::uint8_t pixel : train->image(i).pixels) {
      sum += pixel / 255.0;
      squares += pixel / 255.0 * (pixel / 255.0);
    }
  }
  const double count = 60000.0 * 784;
  const auto how = Preprocessing::for_dataset("fashion-mnist");
  CHECK(how.mean[0] == doctest::Approx(sum / count).epsilon(0.001));
  CHECK(how.stddev[0] ==
        doctest::Approx(std::sqrt(squares / count - sum / count * sum / count)).epsilon(0.001));
}

}  // namespace dsn::test
