// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <opencv2/imgcodecs.hpp>

#include "dsn/data/internal.h"
#include "dsn/data/opencv_glue.h"

namespace dsn::datasets {

void require_opencv(const std::string& /*what*/) {}

Image decode_image(const fs::path& path) {
  quiet_opencv();
  const std::string file = path.string();
  const std::string bytes = check_image_bytes(read_file(path), file);
  cv::Mat decoded;
  try {
    // OpenCV only reads it, though Mat has no const form.
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    decoded = cv::imdecode(raw, cv::IMREAD_ANYCOLOR);
  } catch (const cv::Exception& error) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: cannot be decoded as an image ({})", file, error.err));
  }
  if (decoded.empty())
    throw Error(ErrorCode::bad_input, fmt::format("{}: cannot be decoded as an image", file));
  return to_image(decoded, file);
}

}  // namespace dsn::datasets
