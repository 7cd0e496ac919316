// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/onnx_runner.h"

#ifdef DSN_HAVE_OPENCV_DNN
#include <fmt/format.h>

#include <opencv2/core/utility.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>

#include "dsn/core/error.h"

namespace dsn {
namespace {

class OpencvRunner final : public LogitsRunner {
 public:
  OpencvRunner(const fs::path& file, const FoldedNetwork& net)
      : file_(file.string()), channels_(net.in_channels), resolution_(net.resolution), classes_(net.classes) {
    guarded([&] { net_ = cv::dnn::readNetFromONNX(file_); });
  }

  [[nodiscard]] std::string name() const override {
    return fmt::format("OpenCV dnn {}", cv::getVersionString());
  }

  [[nodiscard]] std::vector<float> logits(std::span<const float> input, int batch) override {
    const int shape[] = {batch, channels_, resolution_, resolution_};
    const cv::Mat blob(4, shape, CV_32F, const_cast<float*>(input.data()));
    cv::Mat out;
    guarded([&] {
      net_.setInput(blob);
      out = net_.forward();
    });
    if (out.type() != CV_32F ||
        out.total() != static_cast<std::size_t>(batch) * static_cast<std::size_t>(classes_)) {
      throw Error(ErrorCode::failed, fmt::format("{}: {} gives {} values, expected {} logits for batch {}",
                                                 file_, name(), out.total(), classes_, batch));
    }
    const auto* values = out.ptr<float>();
    return {values, values + out.total()};
  }

 private:
  // OpenCV also logs what it throws: once is enough.
  template <typename F>
  void guarded(const F& f) const {
    const auto level = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    try {
      f();
    } catch (const cv::Exception& error) {
      cv::utils::logging::setLogLevel(level);
      throw Error(ErrorCode::failed, fmt::format("{}: {} cannot run it: {}", file_, name(), error.err));
    }
    cv::utils::logging::setLogLevel(level);
  }

  std::string file_;
  int channels_, resolution_, classes_;
  cv::dnn::Net net_;
};

}  // namespace

std::unique_ptr<LogitsRunner> open_onnx(const fs::path& file, const FoldedNetwork& net,
                                        std::string& /*why_not*/) {
  return std::make_unique<OpencvRunner>(file, net);
}

}  // namespace dsn
#else

namespace dsn {

std::unique_ptr<LogitsRunner> open_onnx(const fs::path& /*file*/, const FoldedNetwork& /*net*/,
                                        std::string& why_not) {
  why_not = "this build has no OpenCV dnn (-Dopencv=enabled, libopencv-dev), which runs ONNX files";
  return nullptr;
}

}  // namespace dsn
#endif
