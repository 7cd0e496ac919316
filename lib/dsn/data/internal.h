// SPDX-License-Identifier: Apache-2.0
// What the files of this module share; not installed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/data/dataset.h"

namespace dsn::datasets {

// "kind[:dir]" of a data set; dir is empty when the spec has none.
struct Spec {
  std::string kind;
  std::string dir;
};

// Nothing when `text` does not start with the name of a kind of data set.
[[nodiscard]] std::optional<Spec> parse_spec(std::string_view text);

// Images of one size, held in memory.
struct MemoryImages {
  std::string name;
  std::vector<std::string> class_names;
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> pixels;  // images one after another, each as in Image
  std::vector<std::uint8_t> labels;  // one per image, below class_names.size()
};
[[nodiscard]] std::unique_ptr<Dataset> make_memory_dataset(MemoryImages images);

// Items [first, first + count) of the training or the test files.
struct Range {
  std::size_t first = 0;
  std::size_t count = 0;
};
// Where `split` lies in the `available` images of its files; `where` is named when val_count does not fit.
[[nodiscard]] Range split_range(std::size_t available, Split split, std::size_t val_count,
                                const std::string& where);

// Throws Error{not_found} saying that data set `set` has no `index`-th image.
void check_index(const Dataset& set, std::size_t index);

// One class name per line, blank lines left out.
[[nodiscard]] std::vector<std::string> read_class_names(const fs::path& path);

// Throws Error{not_found} with `hint` unless `dir` is a folder.
void check_folder(const fs::path& dir, const std::string& hint);

// Last part of a path, for names of data sets: the same on every machine that holds a copy.
[[nodiscard]] std::string base_name(const fs::path& path);

[[nodiscard]] std::unique_ptr<Dataset> open_idx(const Spec& spec, Split split, std::size_t val_count);
[[nodiscard]] std::unique_ptr<Dataset> open_cifar10(const Spec& spec, Split split, std::size_t val_count);
[[nodiscard]] std::unique_ptr<Dataset> open_image_folder(const Spec& spec, Split split);

// Files of `dir` (not below it) whose names end as images do, in byte order of their names; hidden ones left
// out.
[[nodiscard]] std::vector<fs::path> list_images(const fs::path& dir);
// Folders in `dir`, in byte order of their names; hidden ones left out.
[[nodiscard]] std::vector<std::string> list_folders(const fs::path& dir);

// --- with OpenCV; without it (no_opencv.cc) all of these throw Error{unsupported} ---

// Throws Error{unsupported} naming `what` when this build has no OpenCV.
void require_opencv(const std::string& what);
// Decodes an image file to 8-bit grey or RGB, turned upright by its EXIF orientation. thread-safe.
[[nodiscard]] Image decode_image(const fs::path& path);
[[nodiscard]] std::unique_ptr<FrameSource> open_video(const std::string& file, bool repeat);
[[nodiscard]] std::unique_ptr<FrameSource> open_camera(const std::string& device);

// --- image_check.cc ---

// Throws Error{bad_input} naming `file` if `bytes` are a truncated or damaged PNG, JPEG, BMP, PGM or PPM, or
// hold more than kMaxPixels: decoders print to stderr about that, or go on with grey.
// Returns what to decode: `bytes`, or a PNG without the chunks that carry no pixels (libpng prints about
// some).
[[nodiscard]] std::string check_image_bytes(std::string bytes, const std::string& file);

constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 28;

}  // namespace dsn::datasets
