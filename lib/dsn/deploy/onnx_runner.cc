// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/onnx_runner.h"

#ifdef DSN_HAVE_OPENCV_DNN
#include <fmt/format.h>

#include <algorithm>

#include <opencv2/core/utility.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// What came with 4.7: Clip with its bounds as inputs (https://github.com/opencv/opencv/pull/22100), and
// element-wise operations that broadcast.
constexpr bool kReadsClip = CV_VERSION_MAJOR > 4 || CV_VERSION_MINOR >= 7, kBroadcasts = kReadsClip;

class OpencvRunner final : public LogitsRunner {
 public:
  OpencvRunner(const fs::path& file, const FoldedNetwork& net)
      : file_(file.string()), channels_(net.in_channels), resolution_(net.resolution), classes_(net.classes) {
    gated_ = std::any_of(net.layers.begin(), net.layers.end(),
                         [](const Layer& layer) { return layer.kind == LayerKind::multiply; });
    guarded([&] { net_ = cv::dnn::readNetFromONNX(file_); });
  }

  // Versions without broadcasting scale a blob by as many values as one image has channels.
  [[nodiscard]] std::string why_single() const override {
    return !kBroadcasts && gated_ ? name() + " applies squeeze-and-excitation to one image at a time" : "";
  }

  [[nodiscard]] std::string name() const override { return fmt::format("OpenCV dnn {}", CV_VERSION); }

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
  bool gated_ = false;
  cv::dnn::Net net_;
};

}  // namespace

std::unique_ptr<LogitsRunner> open_onnx(const fs::path& file, const FoldedNetwork& net, int opset,
                                        std::string& why_not) {
  const bool clips = std::any_of(net.layers.begin(), net.layers.end(),
                                 [](const Layer& layer) { return layer.kind == LayerKind::relu6; });
  if (!kReadsClip && clips && opset >= 11) {
    why_not =
        "OpenCV " CV_VERSION " does not read the Clip (relu6) of opset 11 and later; with --opset 10 it does";
    return nullptr;
  }
  return std::make_unique<OpencvRunner>(file, net);
}

}  // namespace dsn
#else

namespace dsn {

std::unique_ptr<LogitsRunner> open_onnx(const fs::path& /*file*/, const FoldedNetwork& /*net*/, int /*opset*/,
                                        std::string& why_not) {
  why_not = "this build has no OpenCV dnn (-Dopencv=enabled, libopencv-dev), which runs ONNX files";
  return nullptr;
}

}  // namespace dsn
#endif
