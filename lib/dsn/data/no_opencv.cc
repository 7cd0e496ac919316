// SPDX-License-Identifier: Apache-2.0
// What needs OpenCV, in a build without it.
#include <fmt/format.h>

#include "dsn/data/confusion.h"
#include "dsn/data/internal.h"

namespace dsn::datasets {

void require_opencv(const std::string& what) {
  throw Error(
      ErrorCode::unsupported, fmt::format("{}: this build of dsn has no OpenCV", what),
      "install libopencv-dev and build with -Dopencv=enabled; fashion-mnist, idx and cifar10 need no OpenCV");
}

Image decode_image(const fs::path& path) {
  require_opencv(path.string());
  return {};
}

std::unique_ptr<FrameSource> open_video(const std::string& file, bool /*repeat*/) {
  require_opencv("video:" + file);
  return nullptr;
}

std::unique_ptr<FrameSource> open_camera(const std::string& device) {
  require_opencv("camera:" + device);
  return nullptr;
}

}  // namespace dsn::datasets

namespace dsn {

void write_confusion_picture(const ConfusionMatrix& /*confusion*/, const std::vector<std::string>& /*names*/,
                             const std::string& /*title*/, const fs::path& path) {
  datasets::require_opencv(path.string());
}

}  // namespace dsn
