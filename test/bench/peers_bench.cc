// SPDX-License-Identifier: Apache-2.0
// Times what dsn exported with the libraries that dsn itself is built with: ONNX in OpenCV's dnn, TorchScript
// in LibTorch (frozen and optimised for inference). One JSON line each, as engine_bench.
//
// usage: peers_bench [--threads N] [--runs N] [--warmup N] EXPORT_FOLDER
#include <fmt/format.h>
#include <torch/script.h>

#include <functional>
#include <opencv2/dnn.hpp>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/random.h"
#include "dsn/supernet/torch_threads.h"
#include "timing.h"

namespace dsn::bench {
namespace {

struct Peer {
  std::string name;
  std::function<void()> infer;
};

Peer opencv(const fs::path& file, std::vector<float>& image, const std::vector<int>& shape) {
  cv::dnn::Net net = cv::dnn::readNetFromONNX(file.string());
  net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
  const cv::Mat input(shape, CV_32F, image.data());
  return {"OpenCV dnn " CV_VERSION, [net, input]() mutable {
            net.setInput(input);
            (void)net.forward();
          }};
}

Peer torchscript(const fs::path& file, std::vector<float>& image, const std::vector<int>& shape) {
  torch::jit::Module module = torch::jit::load(file.string());
  module.eval();
  module = torch::jit::optimize_for_inference(module);
  const torch::Tensor input = torch::from_blob(image.data(), {shape[0], shape[1], shape[2], shape[3]});
  return {"LibTorch " TORCH_VERSION ", frozen", [module, input]() mutable {
            const c10::InferenceMode inference;
            (void)module.forward({input});
          }};
}

void time(const Options& o) {
  cv::setNumThreads(o.threads);
  set_torch_threads(o.threads);
  const fs::path folder = o.files.front();
  const Json index = read_json(folder / "index.json");
  const int channels = index.at("input").at("channels").get<int>();
  for (const Json& network : index.at("networks")) {
    const int r = network.at("resolution").get<int>();
    const fs::path file = folder / network.at("files").at(0).at("file").get<std::string>();
    std::vector<float> image(static_cast<std::size_t>(channels * r * r));
    Rng rng(1);
    for (float& v : image) v = static_cast<float>(rng.normal());
    const std::vector<int> shape{1, channels, r, r};
    Peer peer = file.extension() == ".onnx" ? opencv(file, image, shape) : torchscript(file, image, shape);
    Json line = figures(timed(o.warmup, o.runs, peer.infer));
    line.update({{"model", file.string()},
                 {"engine", peer.name},
                 {"mmacs", network.at("macs").get<double>() / 1e6},
                 {"threads", o.threads}});
    fmt::print("{}\n", line.dump());
  }
}

}  // namespace
}  // namespace dsn::bench

int main(int argc, char** argv) {
  try {
    const dsn::bench::Options o(argc, argv, {});
    if (o.files.size() != 1) {
      fmt::print(stderr, "usage: peers_bench [--threads N] [--runs N] [--warmup N] EXPORT_FOLDER\n");
      return 2;
    }
    dsn::bench::time(o);
    return 0;
  } catch (const dsn::Error& error) {
    fmt::print(stderr, "peers_bench: error: {}\n  hint: {}\n", error.message(), error.hint());
    return dsn::exit_status(error.code());
  }
}
