// SPDX-License-Identifier: Apache-2.0
// Labelled images and frame streams, all as 8-bit pixels; preprocessing to what a network takes is
// preprocess.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/file.h"

namespace dsn {

// 8-bit image, rows of interleaved channels: pixels[(y * width + x) * channels + c]. Colour is RGB.
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

// A finite set of labelled images with random access. const members are thread-safe.
class Dataset {
 public:
  virtual ~Dataset() = default;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  [[nodiscard]] virtual int classes() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<std::string>& class_names() const noexcept = 0;
  // Throws Error{bad_input} naming the file when an image cannot be decoded, Error{not_found} for an index
  // from size().
  [[nodiscard]] virtual Image image(std::size_t index) const = 0;
  [[nodiscard]] virtual int label(std::size_t index) const = 0;
  // "fashion-mnist/test"; part of what an accuracy was measured on.
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
};

enum class Split { train, val, test };
[[nodiscard]] std::string to_string(Split split);

// Opens `spec`:
// - "fashion-mnist[:DIR]": Debian's dataset-fashion-mnist by default.
// - "idx:DIR": MNIST file names, gz or plain. Class names from DIR/labels.txt, one per line, else 0 to 9.
// - "cifar10:DIR": binary version. Class names from batches.meta.txt if it is there.
// - "folder:DIR": DIR/{train,val,test}/CLASS/*.{jpg,png,...}, decoded when asked for; needs OpenCV. Classes
// are
//   numbered in byte order of the names in DIR/train, or in the split's own folder when there is no train.
//
// Split::val of the first three is the last `val_count` training images, which Split::train leaves out;
// `folder` has its own.
//
// Throws Error{not_found | bad_input | unsupported | permission | io}, saying which package or flag mends it.
[[nodiscard]] std::unique_ptr<Dataset> open_dataset(const std::string& spec, Split split,
                                                    std::size_t val_count = 5000);

// A view of chosen items of another data set, which must outlive it.
[[nodiscard]] std::unique_ptr<Dataset> subset(const Dataset& base, std::vector<std::size_t> indices);

// One frame and, where the source knows it, its label.
struct Frame {
  Image image;
  std::optional<int> label;
};

// Frames one after another. thread-bound.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  // The next frame; nothing at the end. Throws Error{bad_input | io} when a frame cannot be read.
  virtual std::optional<Frame> next() = 0;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
};

// Opens `spec` for `dsn run`:
// - a data set spec as above, optionally with "@train", "@val" or "@test" (default) at its end: every pass in
//   another order, all given by `seed`.
// - FILE or FOLDER: an image, or the images of a folder in byte order of their names; no labels.
// - "video:FILE": no labels.
// - "camera:N" or "camera:/dev/videoN": no labels, no end.
//
// All but cameras start again at their end for ever when `repeat`. Images, videos and cameras need OpenCV.
// Throws Error{not_found | bad_input | unsupported | permission | io}; an unreadable camera names the device.
// The first of them opened sets OPENCV_FFMPEG_LOGLEVEL in the environment, unless it is there.
[[nodiscard]] std::unique_ptr<FrameSource> open_frames(const std::string& spec, std::uint64_t seed,
                                                       bool repeat);

}  // namespace dsn
