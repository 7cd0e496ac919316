// SPDX-License-Identifier: Apache-2.0
// Random round trips, and a reader that meets damaged files: it either refuses them with Error{bad_input} or
// every byte it hands out is inside the file.
#include <array>

#include "dsn/core/file.h"
#include "dsn/core/random.h"
#include "safetensors_support.h"

using dsn::DType;
using dsn::ErrorCode;
using dsn::Rng;
using dsn::TensorFile;
using dsn_test::TempFolder;
using dsn_test::Tensors;

namespace {

std::string random_text(Rng& rng, std::size_t longest) {
  std::string text(rng.below(longest + 1), '\0');
  for (char& c : text) c = static_cast<char>(1 + rng.below(127));
  return text;
}

Tensors random_tensors(Rng& rng) {
  Tensors tensors;
  const std::uint64_t count = rng.below(8);
  for (std::uint64_t t = 0; t < count; ++t) {
    const DType dtype = std::array{DType::f32, DType::i64, DType::u8}[rng.below(3)];
    std::vector<std::int64_t> shape(rng.below(4));
    std::size_t size = dtype == DType::f32 ? 4 : dtype == DType::i64 ? 8 : 1;
    for (std::int64_t& dimension : shape) {
      dimension = static_cast<std::int64_t>(rng.below(6));
      size *= static_cast<std::size_t>(dimension);
    }
    std::string data(size, '\0');
    for (char& c : data) c = static_cast<char>(rng.below(256));
    tensors.add(random_text(rng, 12), dtype, std::move(shape), data);
  }
  return tensors;
}

std::string sample_file(const TempFolder& folder) {
  Tensors tensors;
  tensors.add_floats("w", {2, 2}, {1, 2, 3, 4});
  tensors.add("n", DType::i64, {1}, "12345678");
  tensors.add("m", DType::u8, {3}, "abc");
  dsn::write_safetensors(folder / "sample", tensors.views(), {{"k", "v"}});
  return dsn::read_file(folder / "sample");
}

// True if the file was accepted; then all of its data is touched, for sanitizers to see.
bool survives(const TempFolder& folder, const std::string& content) {
  const auto path = folder.put("damaged", content);
  try {
    const TensorFile file = TensorFile::open(path);
    (void)dsn::tensors_sha256(file.tensors());
    for (const auto& [name, view] : file.tensors()) {
      if (view.dtype == DType::f32) REQUIRE(view.floats().size() == static_cast<std::size_t>(view.numel()));
    }
    return true;
  } catch (const dsn::Error& error) {
    REQUIRE(error.code() == ErrorCode::bad_input);
    return false;
  }
}

}  // namespace

TEST_CASE("safetensors: random tensors come back as they were, and twice the same") {
  const TempFolder folder;
  Rng rng(17);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    const Tensors tensors = random_tensors(rng);
    const std::map<std::string, std::string> metadata{{random_text(rng, 5), random_text(rng, 20)}};
    dsn::write_safetensors(folder / "a", tensors.views(), metadata);
    const TensorFile file = TensorFile::open(folder / "a");
    REQUIRE(dsn_test::same_tensors(file.tensors(), tensors.views()));
    REQUIRE(file.metadata() == metadata);
    dsn::write_safetensors(folder / "b", file.tensors(), file.metadata());
    REQUIRE(dsn::read_file(folder / "a") == dsn::read_file(folder / "b"));
  }
}

TEST_CASE("safetensors: a file cut after any byte is refused") {
  const TempFolder folder;
  const std::string whole = sample_file(folder);
  REQUIRE(survives(folder, whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(survives(folder, whole.substr(0, size)));
  }
}

TEST_CASE("safetensors: any one byte changed is refused or read within the file") {
  const TempFolder folder;
  const std::string whole = sample_file(folder);
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {0x01, 0x04, 0x20, 0x80, 0xff}) {
      CAPTURE(at);
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      refused += survives(folder, damaged) ? 0 : 1;
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("safetensors: random damage to several bytes is refused or read within the file") {
  const TempFolder folder;
  const std::string whole = sample_file(folder);
  Rng rng(23);
  for (int round = 0; round < 1500; ++round) {
    std::string damaged = whole;
    const std::uint64_t changes = 1 + rng.below(6);
    for (std::uint64_t i = 0; i < changes; ++i) {
      // Digits in place of digits make offsets and shapes that parse.
      const std::size_t at = rng.below(damaged.size());
      damaged[at] =
          rng.below(2) == 0 ? static_cast<char>('0' + rng.below(10)) : static_cast<char>(rng.below(256));
    }
    survives(folder, damaged);
  }
}
