// SPDX-License-Identifier: Apache-2.0
// The IDX format of MNIST (http://yann.lecun.com/exdb/mnist/): a magic number that gives element type and
// number of dimensions, the dimensions as big-endian 32-bit integers, then the elements.
#include <fmt/format.h>

#include <cstddef>
#include <span>

#include "dsn/data/internal.h"

namespace dsn::datasets {
namespace {

constexpr const char* kFashionMnistDir = "/usr/share/datasets/fashion-mnist";
constexpr const char* kFashionMnistHint =
    "install the Debian package dataset-fashion-mnist, or name a folder that holds its files: "
    "fashion-mnist:DIR";

constexpr std::uint32_t kMagicLabels = 0x00000801;  // unsigned bytes, 1 dimension
constexpr std::uint32_t kMagicImages = 0x00000803;  // unsigned bytes, 3 dimensions
constexpr std::uint32_t kMaxSide = 16384;

std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

struct IdxFile {
  fs::path path;
  std::vector<std::byte> bytes;
  std::vector<std::size_t> dims;

  [[nodiscard]] std::size_t header() const { return 4 + 4 * dims.size(); }
};

// DIR/name, or DIR/name.gz.
fs::path find_idx(const fs::path& dir, const std::string& name, const std::string& hint) {
  for (const char* ending : {"", ".gz"}) {
    fs::path path = dir / (name + ending);
    std::error_code error;
    if (fs::exists(path, error)) return path;
  }
  throw Error(ErrorCode::not_found,
              fmt::format("{}: neither {} nor {}.gz is there", dir.string(), name, name), hint);
}

// Reads the file and checks that it is as long as its header says.
IdxFile read_idx(const fs::path& path, std::uint32_t magic) {
  IdxFile file{path, read_maybe_gzip(path), {}};
  const std::size_t rank = magic & 0xff;
  const std::size_t header = 4 + 4 * rank;
  if (file.bytes.size() < header) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} bytes, expected at least the {} bytes of an IDX header",
                            path.string(), file.bytes.size(), header));
  }
  const std::uint32_t found = big_endian(file.bytes, 0);
  if (found != magic) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: found magic number 0x{:08x}, expected 0x{:08x} (IDX unsigned bytes, {} dimension{})",
                    path.string(), found, magic, rank, rank == 1 ? "" : "s"));
  }
  std::size_t expected = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint32_t dim = big_endian(file.bytes, 4 + 4 * i);
    if (dim == 0 || (i > 0 && dim > kMaxSide)) {
      throw Error(ErrorCode::bad_input, fmt::format("{}: found dimension {} = {}, expected 1 to {}",
                                                    path.string(), i, dim, i == 0 ? UINT32_MAX : kMaxSide));
    }
    file.dims.push_back(dim);
    expected *= dim;  // at most 2^32 * 2^14 * 2^14
  }
  if (file.bytes.size() - header != expected) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} bytes after the header, expected {} ({})", path.string(),
                            file.bytes.size() - header, expected, fmt::join(file.dims, " x ")));
  }
  return file;
}

std::vector<std::string> idx_class_names(const Spec& spec, const fs::path& dir) {
  if (spec.kind == "fashion-mnist") {
    return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  }
  const fs::path file = dir / "labels.txt";
  std::error_code error;
  if (!fs::exists(file, error)) return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  std::vector<std::string> names = read_class_names(file);
  if (names.empty() || names.size() > 256) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found {} class names, expected 1 to 256, one per line",
                                                  file.string(), names.size()));
  }
  return names;
}

std::vector<std::uint8_t> slice(const IdxFile& file, std::size_t first, std::size_t count) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(file.bytes.data()) + file.header();
  return {bytes + first, bytes + first + count};
}

}  // namespace

std::unique_ptr<Dataset> open_idx(const Spec& spec, Split split, std::size_t val_count) {
  const bool fashion = spec.kind == "fashion-mnist";
  const fs::path dir = spec.dir.empty() ? fs::path(kFashionMnistDir) : fs::path(spec.dir);
  const std::string hint =
      fashion ? kFashionMnistHint
              : "idx:DIR needs MNIST's file names: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]";
  check_folder(dir, hint);
  const std::string prefix = split == Split::test ? "t10k" : "train";
  const IdxFile labels = read_idx(find_idx(dir, prefix + "-labels-idx1-ubyte", hint), kMagicLabels);
  const IdxFile images = read_idx(find_idx(dir, prefix + "-images-idx3-ubyte", hint), kMagicImages);
  if (labels.dims[0] != images.dims[0]) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: found {} labels, expected {}, one for each image in {}", labels.path.string(),
                    labels.dims[0], images.dims[0], images.path.filename().string()));
  }

  MemoryImages set;
  set.name = fmt::format("{}/{}", fashion ? "fashion-mnist" : "idx:" + base_name(dir), to_string(split));
  set.class_names = idx_class_names(spec, dir);
  const std::vector<std::uint8_t> all = slice(labels, 0, labels.dims[0]);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] >= set.class_names.size()) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: found label {} at image {}, expected 0 to {}", labels.path.string(),
                              all[i], i, set.class_names.size() - 1));
    }
  }
  const Range range = split_range(all.size(), split, val_count, dir.string());
  const std::size_t image_bytes = images.dims[1] * images.dims[2];
  set.width = static_cast<int>(images.dims[2]);
  set.height = static_cast<int>(images.dims[1]);
  set.channels = 1;
  set.labels = slice(labels, range.first, range.count);
  set.pixels = slice(images, range.first * image_bytes, range.count * image_bytes);
  return make_memory_dataset(std::move(set));
}

}  // namespace dsn::datasets
