// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include "dsn/core/random.h"
#include "dsn/data/internal.h"

namespace dsn {

namespace datasets {
namespace {

class DatasetFrames final : public FrameSource {
 public:
  DatasetFrames(std::unique_ptr<Dataset> set, std::uint64_t seed, bool repeat)
      : set_(std::move(set)), rng_(Rng::stream(seed, "frames")), repeat_(repeat), order_(set_->size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    rng_.shuffle(std::span(order_));
  }

  std::optional<Frame> next() override {
    if (at_ == order_.size()) {
      if (!repeat_) return std::nullopt;
      rng_.shuffle(std::span(order_));
      at_ = 0;
    }
    const std::size_t index = order_[at_++];
    return Frame{set_->image(index), set_->label(index)};
  }
  [[nodiscard]] const std::string& name() const noexcept override { return set_->name(); }

 private:
  std::unique_ptr<Dataset> set_;
  Rng rng_;
  bool repeat_;
  std::vector<std::size_t> order_;
  std::size_t at_ = 0;
};

class ImageFrames final : public FrameSource {
 public:
  ImageFrames(std::string name, std::vector<fs::path> paths, bool repeat)
      : name_(std::move(name)), paths_(std::move(paths)), repeat_(repeat) {}

  std::optional<Frame> next() override {
    if (at_ == paths_.size()) {
      if (!repeat_) return std::nullopt;
      at_ = 0;
    }
    return Frame{decode_image(paths_[at_++]), std::nullopt};
  }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }

 private:
  std::string name_;
  std::vector<fs::path> paths_;
  bool repeat_;
  std::size_t at_ = 0;
};

// Takes "@train", "@val" or "@test" off the end of `spec`.
Split take_split(std::string& spec) {
  const std::size_t at = spec.rfind('@');
  if (at == std::string::npos) return Split::test;
  for (const Split split : {Split::train, Split::val, Split::test}) {
    if (std::string_view(spec).substr(at + 1) == to_string(split)) {
      spec.resize(at);
      return split;
    }
  }
  // Folders may have an @ in their names; without a folder it can only be a split.
  if (spec.find(':') == std::string::npos) {
    throw Error(ErrorCode::bad_input, fmt::format("\"{}\": found split \"{}\", expected train, val or test",
                                                  spec, spec.substr(at + 1)));
  }
  return Split::test;
}

std::unique_ptr<FrameSource> open_images(const std::string& spec, bool repeat) {
  const fs::path path = spec;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found || spec.empty()) {
    throw Error(ErrorCode::not_found, fmt::format("\"{}\": no such file, folder or kind of input", spec),
                "inputs are an image, a folder of images, fashion-mnist, idx:DIR, cifar10:DIR, folder:DIR, "
                "video:FILE and "
                "camera:N");
  }
  require_opencv(spec);
  if (status.type() != fs::file_type::directory)
    return std::make_unique<ImageFrames>(spec, std::vector{path}, repeat);
  std::vector<fs::path> paths = list_images(path);
  if (paths.empty()) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found no images in this folder", spec),
                fmt::format("for folders of classes write folder:{}", spec));
  }
  return std::make_unique<ImageFrames>(spec, std::move(paths), repeat);
}

}  // namespace
}  // namespace datasets

std::unique_ptr<FrameSource> open_frames(const std::string& spec, std::uint64_t seed, bool repeat) {
  constexpr std::string_view kVideo = "video:";
  constexpr std::string_view kCamera = "camera:";
  if (spec.starts_with(kVideo)) return datasets::open_video(spec.substr(kVideo.size()), repeat);
  if (spec.starts_with(kCamera)) return datasets::open_camera(spec.substr(kCamera.size()));
  if (datasets::parse_spec(spec.substr(0, spec.find_first_of(":@")))) {
    std::string set = spec;
    const Split split = datasets::take_split(set);
    return std::make_unique<datasets::DatasetFrames>(open_dataset(set, split), seed, repeat);
  }
  return datasets::open_images(spec, repeat);
}

}  // namespace dsn
