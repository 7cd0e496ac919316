// SPDX-License-Identifier: Apache-2.0
// CIFAR-10, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label byte and a 32
// x 32 image as three planes, red, green, blue.
#include <fmt/format.h>

#include "dsn/data/internal.h"

namespace dsn::datasets {
namespace {

constexpr std::size_t kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::size_t kRecord = 1 + 3 * kPlane;
constexpr std::size_t kClasses = 10;
constexpr const char* kHint =
    "cifar10:DIR needs the binary version (cifar-10-binary.tar.gz): data_batch_1.bin to data_batch_5.bin, "
    "test_batch.bin";

struct Batch {
  std::string bytes;
  std::size_t count = 0;
};

Batch read_batch(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no such file", path.string()), kHint);
  }
  Batch batch{read_file(path)};
  if (batch.bytes.empty() || batch.bytes.size() % kRecord != 0) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} bytes, expected a multiple of {} (1 label + 3 x 32 x 32)",
                            path.string(), batch.bytes.size(), kRecord));
  }
  batch.count = batch.bytes.size() / kRecord;
  for (std::size_t i = 0; i < batch.count; ++i) {
    const auto label = static_cast<std::uint8_t>(batch.bytes[i * kRecord]);
    if (label >= kClasses) {
      throw Error(ErrorCode::bad_input, fmt::format("{}: found label {} at image {}, expected 0 to {}",
                                                    path.string(), label, i, kClasses - 1));
    }
  }
  return batch;
}

std::vector<std::string> cifar_class_names(const fs::path& dir) {
  const fs::path file = dir / "batches.meta.txt";
  std::error_code error;
  if (!fs::exists(file, error)) {
    return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  }
  std::vector<std::string> names = read_class_names(file);
  if (names.size() != kClasses) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found {} class names, expected {}, one per line",
                                                  file.string(), names.size(), kClasses));
  }
  return names;
}

void append_record(const char* record, MemoryImages& set) {
  set.labels.push_back(static_cast<std::uint8_t>(*record));
  const char* planes = record + 1;
  for (std::size_t i = 0; i < kPlane; ++i) {
    for (std::size_t c = 0; c < 3; ++c)
      set.pixels.push_back(static_cast<std::uint8_t>(planes[c * kPlane + i]));
  }
}

}  // namespace

std::unique_ptr<Dataset> open_cifar10(const Spec& spec, Split split, std::size_t val_count) {
  fs::path dir = spec.dir;
  check_folder(dir, kHint);
  // The archive unpacks into a folder of its own: both that folder and the one around it are accepted.
  std::error_code error;
  if (fs::is_directory(dir / "cifar-10-batches-bin", error)) dir /= "cifar-10-batches-bin";

  std::vector<Batch> batches;
  std::size_t available = 0;
  for (int i = 1; i <= (split == Split::test ? 1 : 5); ++i) {
    batches.push_back(
        read_batch(dir / (split == Split::test ? "test_batch.bin" : fmt::format("data_batch_{}.bin", i))));
    available += batches.back().count;
  }
  const Range range = split_range(available, split, val_count, dir.string());
  MemoryImages set;
  set.name = "cifar10/" + to_string(split);
  set.class_names = cifar_class_names(dir);
  set.width = set.height = static_cast<int>(kSide);
  set.channels = 3;
  set.labels.reserve(range.count);
  set.pixels.reserve(range.count * 3 * kPlane);
  std::size_t index = 0;
  for (const Batch& batch : batches) {
    for (std::size_t i = 0; i < batch.count; ++i, ++index) {
      if (index >= range.first && index < range.first + range.count) {
        append_record(batch.bytes.data() + i * kRecord, set);
      }
    }
  }
  return make_memory_dataset(std::move(set));
}

}  // namespace dsn::datasets
