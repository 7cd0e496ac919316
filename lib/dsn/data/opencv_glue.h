// SPDX-License-Identifier: Apache-2.0
// OpenCV's types and manners, kept inside this module; not installed.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>

#include "dsn/data/dataset.h"

namespace dsn::datasets {

// Makes OpenCV and FFmpeg keep their warnings to themselves, once per process, unless the user set
// OPENCV_LOG_LEVEL or OPENCV_FFMPEG_LOGLEVEL. thread-safe.
void quiet_opencv();

// 8-bit grey, BGR or BGRA -> Image. Throws Error{bad_input} naming `file` for any other type.
[[nodiscard]] Image to_image(const cv::Mat& mat, const std::string& file);

}  // namespace dsn::datasets
