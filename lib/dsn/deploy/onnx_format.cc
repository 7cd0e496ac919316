// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/onnx_format.h"

#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/deploy/onnx_runner.h"
#include "dsn/deploy/onnx_write.h"

namespace dsn {
namespace {

class OnnxFormat final : public ExportFormat {
 public:
  explicit OnnxFormat(const OnnxOptions& options) : options_(options) {}
  [[nodiscard]] std::string name() const override { return "onnx"; }
  [[nodiscard]] Json settings() const override {
    return {{"opset", options_.opset}, {"dynamic_batch", options_.dynamic_batch}};
  }
  [[nodiscard]] std::vector<int> batches() const override {
    return options_.dynamic_batch ? std::vector<int>{1, 4} : std::vector<int>{1};
  }

  std::vector<std::string> write(const FoldedNetwork& net, const ExportLabels& labels, const fs::path& folder,
                                 const std::string& stem) const override {
    check_onnx_size(net.weight_bytes());
    const std::string file = stem + ".onnx";
    write_onnx(net, options_,
               {{"name", labels.name},
                {"config", labels.config.dump()},
                {"space_sha256", labels.space_sha256},
                {"weights_sha256", labels.weights_sha256},
                {"preprocessing", labels.preprocessing.to_json().dump()},
                {"class_names", Json(labels.class_names).dump()}},
               folder / file);
    return {file};
  }

  [[nodiscard]] std::unique_ptr<LogitsRunner> open(const fs::path& file, const FoldedNetwork& net,
                                                   std::string& why_not) const override {
    return open_onnx(file, net, options_.opset, why_not);
  }

 private:
  OnnxOptions options_;
};

}  // namespace

std::unique_ptr<ExportFormat> onnx_format(const OnnxOptions& options) {
  if (options.opset < OnnxOptions::kOldestOpset || options.opset > OnnxOptions::kNewestOpset) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("--opset: found {}, expected {} to {}", options.opset, OnnxOptions::kOldestOpset,
                            OnnxOptions::kNewestOpset),
                "14 is the first with HardSwish as one node, and widely read");
  }
  if (!have_onnx()) {
    throw Error(ErrorCode::unsupported, "this build cannot write ONNX",
                "install libonnx-dev and libprotobuf-dev, and build with meson setup build -Donnx=enabled");
  }
  return std::make_unique<OnnxFormat>(options);
}

void check_onnx_size(std::int64_t weight_bytes) {
  // Names, shapes and metadata besides the weights: far below a mebibyte.
  constexpr std::int64_t kLimit = (std::int64_t{1} << 31) - (std::int64_t{1} << 20);
  if (weight_bytes <= kLimit) return;
  throw Error(ErrorCode::failed,
              fmt::format("found {} bytes of weights, expected at most {}: an ONNX file holds 2 GiB",
                          weight_bytes, kLimit),
              "--format safetensors has no such limit");
}

}  // namespace dsn
