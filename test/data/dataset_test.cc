// SPDX-License-Identifier: Apache-2.0
// Specs, subsets and CIFAR-10.
#include <doctest/doctest.h>

#include "helpers.h"

namespace dsn::test {

namespace {

// A CIFAR record whose red, green and blue planes start at `label`, 100 and 200.
std::string record(char label) {
  std::string bytes(1, label);
  for (const int base : {static_cast<int>(label), 100, 200}) {
    for (int i = 0; i < 1024; ++i) bytes.push_back(static_cast<char>(base + i % 50));
  }
  return bytes;
}

void write_cifar(const fs::path& dir) {
  for (int i = 1; i <= 5; ++i) {
    write(dir / ("data_batch_" + std::to_string(i) + ".bin"),
          record(static_cast<char>(i)) + record(static_cast<char>(i - 1)));
  }
  write(dir / "test_batch.bin", record(9) + record(3) + record(0));
}

}  // namespace

TEST_CASE("cifar10: planes become interleaved pixels, and the splits cover the batches in order") {
  const TempDir dir;
  write_cifar(dir.path());
  const auto test = open_dataset("cifar10:" + dir.str(), Split::test);
  REQUIRE(test->size() == 3);
  CHECK(test->label(0) == 9);
  CHECK(test->label(1) == 3);
  CHECK(test->name() == "cifar10/test");
  CHECK(test->class_names()[3] == "cat");
  const Image image = test->image(1);
  CHECK(image.width == 32);
  CHECK(image.height == 32);
  REQUIRE(image.channels == 3);
  CHECK(std::vector(image.pixels.begin(), image.pixels.begin() + 6) ==
        std::vector<std::uint8_t>{3, 100, 200, 4, 101, 201});
  CHECK(image.pixels.back() == 200 + 1023 % 50);

  const auto train = open_dataset("cifar10:" + dir.str(), Split::train, 3);
  const auto val = open_dataset("cifar10:" + dir.str(), Split::val, 3);
  std::vector<int> labels;
  for (std::size_t i = 0; i < train->size(); ++i) labels.push_back(train->label(i));
  CHECK(labels == std::vector{1, 0, 2, 1, 3, 2, 4});
  REQUIRE(val->size() == 3);
  CHECK(val->label(0) == 3);
  CHECK(val->label(1) == 5);
  CHECK(val->image(1).pixels[0] == 5);
}

TEST_CASE("cifar10: the folder of the archive is found, and batches.meta.txt names the classes") {
  const TempDir dir;
  write_cifar(dir.path() / "cifar-10-batches-bin");
  const fs::path meta = dir.path() / "cifar-10-batches-bin" / "batches.meta.txt";
  write(meta, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  CHECK(open_dataset("cifar10:" + dir.str(), Split::test)->class_names()[9] == "j");
  write(meta, "a\nb\n");
  check_error([&] { (void)open_dataset("cifar10:" + dir.str(), Split::test); }, ErrorCode::bad_input,
              {meta.string(), "found 2", "expected 10"});
}

TEST_CASE("cifar10: missing, cut and mislabelled batches are named") {
  const TempDir dir;
  write_cifar(dir.path());
  const auto open = [&] { (void)open_dataset("cifar10:" + dir.str(), Split::train, 1); };
  write(dir.path() / "data_batch_3.bin", record(1).substr(0, 3000));
  check_error(open, ErrorCode::bad_input, {"data_batch_3.bin", "found 3000 bytes", "3073"});
  write(dir.path() / "data_batch_3.bin", "");
  check_error(open, ErrorCode::bad_input, {"data_batch_3.bin", "found 0 bytes"});
  write(dir.path() / "data_batch_3.bin", record(1) + record(10));
  check_error(open, ErrorCode::bad_input, {"data_batch_3.bin", "label 10 at image 1"});
  fs::remove(dir.path() / "data_batch_3.bin");
  check_error(open, ErrorCode::not_found, {"data_batch_3.bin", "binary version"});
  check_error([] { (void)open_dataset("cifar10:/nonexistent/cifar", Split::test); }, ErrorCode::not_found,
              {"/nonexistent/cifar"});
}

TEST_CASE("open_dataset: a spec that names no kind or no folder is refused") {
  check_error([] { (void)open_dataset("imagenet", Split::test); }, ErrorCode::bad_input,
              {"imagenet", "cifar10:DIR"});
  check_error([] { (void)open_dataset("", Split::test); }, ErrorCode::bad_input, {"fashion-mnist"});
  check_error([] { (void)open_dataset("cifar10", Split::test); }, ErrorCode::bad_input, {"cifar10:DIR"});
  check_error([] { (void)open_dataset("idx:", Split::test); }, ErrorCode::bad_input, {"idx:DIR"});
  check_error([] { (void)open_dataset("fashion-mnist:", Split::test); }, ErrorCode::bad_input,
              {"fashion-mnist:DIR"});
  const TempDir dir;
  write(dir.path() / "file", "x");
  check_error([&] { (void)open_dataset("idx:" + dir.str() + "/file", Split::test); }, ErrorCode::bad_input,
              {"expected a folder"});
}

TEST_CASE("subset: shows the chosen items in the chosen order and refuses the others") {
  const TempDir dir;
  write_idx_set(dir.path(), 2, 6);
  const auto base = open_dataset("idx:" + dir.str(), Split::test);
  const auto view = subset(*base, {5, 0, 5});
  REQUIRE(view->size() == 3);
  CHECK(view->label(0) == 5);
  CHECK(view->image(1).pixels[0] == 0);
  CHECK(view->image(2).pixels[0] == 50);
  CHECK(view->classes() == 10);
  CHECK(view->name() == base->name() + "[3 of 6]");
  check_error([&] { (void)view->image(3); }, ErrorCode::not_found, {"3 images", "no image 3"});
  check_error([&] { (void)base->label(6); }, ErrorCode::not_found, {"no image 6"});
  check_error([&] { (void)subset(*base, {0, 6}); }, ErrorCode::not_found, {"no image 6"});
}

}  // namespace dsn::test
