// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/torchscript_format.h"

#include <fmt/format.h>
#include <torch/script.h>
#include <torch/version.h>

#include <map>
#include <sstream>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// The module's methods in TorchScript: a line per layer, its weights being parameters.
class Program {
 public:
  explicit Program(const FoldedNetwork& net) : module_("DsnLevel") {
    names_[FoldedNetwork::kInput] = "x";
    std::string body;
    for (const Layer& layer : net.layers) {
      const std::string input = names_.at(layer.inputs[0]);
      const std::string output = fmt::format("v{}", names_.size());
      body += fmt::format("    {} = {}\n", output, expression(layer, input));
      names_[layer.name] = output;
    }
    module_.define(
        fmt::format("def forward(self, x):\n{}    return {}\n", body, names_.at(net.layers.back().name)));
    module_.eval();
  }

  [[nodiscard]] const torch::jit::Module& module() const { return module_; }

 private:
  // Parameters by name: "blocks_3_depth_weight".
  std::string parameter(const Layer& layer, const char* part, const std::vector<float>& values,
                        const std::vector<std::int64_t>& shape) {
    std::string name = fmt::format("{}_{}", layer.name, part);
    for (char& c : name) {
      if (c == '.') c = '_';
    }
    const torch::Tensor tensor =
        torch::from_blob(const_cast<float*>(values.data()), shape, torch::kFloat32).clone();
    module_.register_parameter(name, tensor, /*is_buffer=*/false);
    return "self." + name;
  }

  std::string expression(const Layer& layer, const std::string& x) {
    const int k = layer.kernel, s = layer.stride, p = layer.padding;
    switch (layer.kind) {
      case LayerKind::conv:
        return fmt::format("torch.conv2d({}, {}, {}, [{}, {}], [{}, {}], [1, 1], {})", x,
                           parameter(layer, "weight", layer.weight, layer.weight_shape),
                           parameter(layer, "bias", layer.bias, {layer.channels}), s, s, p, p, layer.groups);
      case LayerKind::linear:
        return fmt::format("torch.linear(torch.flatten({}, 1), {}, {})", x,
                           parameter(layer, "weight", layer.weight, layer.weight_shape),
                           parameter(layer, "bias", layer.bias, {layer.channels}));
      case LayerKind::relu:
        return fmt::format("torch.relu({})", x);
      case LayerKind::relu6:
        return fmt::format("torch.hardtanh({}, 0., 6.)", x);
      case LayerKind::hswish:
        return fmt::format("torch.hardswish({})", x);
      case LayerKind::hsigmoid:
        return fmt::format("torch.hardsigmoid({})", x);
      case LayerKind::add:
        return fmt::format("torch.add({}, {})", x, names_.at(layer.inputs[1]));
      case LayerKind::multiply:
        return fmt::format("torch.mul({}, {})", x, names_.at(layer.inputs[1]));
      case LayerKind::max_pool:
        return fmt::format("torch.max_pool2d({}, [{}, {}], [{}, {}], [{}, {}])", x, k, k, s, s, p, p);
      case LayerKind::avg_pool:  // ceil_mode: what is cut at the edge averages over what is inside
        return fmt::format("torch.avg_pool2d({}, [{}, {}], [{}, {}], [{}, {}], True)", x, k, k, s, s, p, p);
      case LayerKind::global_avg_pool:
        return fmt::format("torch.adaptive_avg_pool2d({}, [1, 1])", x);
    }
    return x;
  }

  torch::jit::Module module_;
  std::map<std::string, std::string> names_;  // of layers, in the program
};

// LibTorch's messages span many lines, the last ones being its own stack.
std::string first_line(const std::exception& error) {
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

class TorchScriptRunner final : public LogitsRunner {
 public:
  TorchScriptRunner(const fs::path& file, const FoldedNetwork& net)
      : file_(file.string()), channels_(net.in_channels), resolution_(net.resolution) {
    try {
      module_ = torch::jit::load(file_);
    } catch (const c10::Error& error) {
      throw Error(ErrorCode::failed,
                  fmt::format("{}: LibTorch cannot load it: {}", file_, first_line(error)));
    }
  }

  [[nodiscard]] std::string name() const override { return "LibTorch " TORCH_VERSION; }

  [[nodiscard]] std::vector<float> logits(std::span<const float> input, int batch) override {
    const c10::InferenceMode inference;
    const torch::Tensor x =
        torch::from_blob(const_cast<float*>(input.data()), {batch, channels_, resolution_, resolution_});
    try {
      const torch::Tensor out = module_.forward({x}).toTensor().to(torch::kFloat32).contiguous();
      return {out.data_ptr<float>(), out.data_ptr<float>() + out.numel()};
    } catch (const std::exception& error) {
      throw Error(ErrorCode::failed, fmt::format("{}: LibTorch cannot run it: {}", file_, first_line(error)));
    }
  }

 private:
  std::string file_;
  int channels_, resolution_;
  torch::jit::Module module_;
};

class TorchScriptFormat final : public ExportFormat {
 public:
  [[nodiscard]] std::string name() const override { return "torchscript"; }
  [[nodiscard]] Json settings() const override { return Json::object(); }
  [[nodiscard]] std::vector<int> batches() const override { return {1, 4}; }

  std::vector<std::string> write(const FoldedNetwork& net, const ExportLabels& labels, const fs::path& folder,
                                 const std::string& stem) const override {
    const std::string file = stem + ".pt";
    const Json about = {{"name", labels.name},
                        {"config", labels.config},
                        {"space_sha256", labels.space_sha256},
                        {"weights_sha256", labels.weights_sha256},
                        {"preprocessing", labels.preprocessing.to_json()},
                        {"class_names", labels.class_names}};
    std::ostringstream bytes;
    try {
      Program(net).module().save(bytes, {{"dsn.json", dump_json(about)}});
    } catch (const c10::Error& error) {
      throw Error(ErrorCode::failed, fmt::format("{}: LibTorch cannot write it: {}", (folder / file).string(),
                                                 first_line(error)));
    }
    write_file_atomic(folder / file, bytes.str());
    return {file};
  }

  [[nodiscard]] std::unique_ptr<LogitsRunner> open(const fs::path& file, const FoldedNetwork& net,
                                                   std::string& /*why_not*/) const override {
    return std::make_unique<TorchScriptRunner>(file, net);
  }
};

}  // namespace

std::unique_ptr<ExportFormat> torchscript_format() {
  return std::make_unique<TorchScriptFormat>();
}

}  // namespace dsn
