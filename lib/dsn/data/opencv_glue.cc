// SPDX-License-Identifier: Apache-2.0
#include "dsn/data/opencv_glue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>

#include "dsn/core/error.h"

namespace dsn::datasets {

void quiet_opencv() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("OPENCV_LOG_LEVEL") == nullptr) {
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    }
    // -8 is FFmpeg's AV_LOG_QUIET; OpenCV reads the variable when it first opens a video, and offers no other
    // way.
    setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
  });
}

Image to_image(const cv::Mat& mat, const std::string& file) {
  const int channels = mat.channels();
  if (mat.empty() || mat.depth() != CV_8U || (channels != 1 && channels != 3 && channels != 4)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} x {} pixels, OpenCV type {}, expected 8-bit grey or colour", file,
                            mat.cols, mat.rows, mat.type()));
  }
  Image image{mat.cols, mat.rows, channels == 1 ? 1 : 3, {}};
  image.pixels.resize(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) *
                      static_cast<std::size_t>(image.channels));
  std::uint8_t* out = image.pixels.data();
  for (int y = 0; y < mat.rows; ++y) {
    const std::uint8_t* row = mat.ptr<std::uint8_t>(y);
    if (channels == 1) {
      out = std::copy(row, row + mat.cols, out);
      continue;
    }
    // Not cv::cvtColor: it starts OpenCV's thread pool, which would disturb what dsn measures and schedules.
    for (int x = 0; x < mat.cols; ++x, row += channels, out += 3) {
      out[0] = row[2];
      out[1] = row[1];
      out[2] = row[0];
    }
  }
  return image;
}

}  // namespace dsn::datasets
