// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/level_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dsn/core/error.h"
#include "dsn/deploy/plain_run.h"

namespace dsn {
namespace {

constexpr std::array kKinds{LayerKind::conv,     LayerKind::linear,         LayerKind::relu,
                            LayerKind::relu6,    LayerKind::hswish,         LayerKind::hsigmoid,
                            LayerKind::add,      LayerKind::multiply,       LayerKind::max_pool,
                            LayerKind::avg_pool, LayerKind::global_avg_pool};

bool has_window(LayerKind kind) {
  return kind == LayerKind::conv || kind == LayerKind::max_pool || kind == LayerKind::avg_pool;
}

bool has_weight(LayerKind kind) {
  return kind == LayerKind::conv || kind == LayerKind::linear;
}

std::string weight_name(const Layer& layer) {
  return layer.name + ".weight";
}
std::string bias_name(const Layer& layer) {
  return layer.name + ".bias";
}

Json layer_json(const Layer& layer) {
  Json json = {{"name", layer.name}, {"op", to_string(layer.kind)}, {"inputs", layer.inputs}};
  json["output"] =
      layer.kind == LayerKind::linear ? Json{layer.channels} : Json{layer.channels, layer.size, layer.size};
  if (has_window(layer.kind)) {
    json["kernel"] = layer.kernel;
    json["stride"] = layer.stride;
    json["padding"] = layer.padding;
  }
  if (layer.kind == LayerKind::conv) json["groups"] = layer.groups;
  if (has_weight(layer.kind)) {
    json["weight"] = weight_name(layer);
    json["bias"] = bias_name(layer);
  }
  return json;
}

std::map<std::string, TensorView> views(const FoldedNetwork& net) {
  std::map<std::string, TensorView> tensors;
  for (const Layer& layer : net.layers) {
    if (!has_weight(layer.kind)) continue;
    tensors[weight_name(layer)] = {DType::f32, layer.weight_shape, std::as_bytes(std::span(layer.weight))};
    tensors[bias_name(layer)] = {DType::f32, {layer.channels}, std::as_bytes(std::span(layer.bias))};
  }
  return tensors;
}

int small(const JsonView& json, int lowest) {
  return static_cast<int>(json.integer(lowest, 1 << 24));
}

Layer read_layer(const JsonView& json, const TensorFile& tensors) {
  Layer layer;
  const std::string op = json["op"].text();
  const auto* kind =
      std::find_if(kKinds.begin(), kKinds.end(), [&](LayerKind k) { return to_string(k) == op; });
  if (kind == kKinds.end()) json["op"].fail("an operation that this build knows");
  layer.kind = *kind;
  layer.name = json["name"].text();
  for (std::size_t i = 0; i < json["inputs"].size(); ++i) layer.inputs.push_back(json["inputs"][i].text());
  const JsonView output = json["output"];
  layer.channels = small(output[0], 1);
  layer.size = layer.kind == LayerKind::linear ? 1 : small(output[1], 1);
  if (layer.kind != LayerKind::linear && small(output[2], 1) != layer.size) output.fail("a square");
  if (has_window(layer.kind)) {
    layer.kernel = small(json["kernel"], 1);
    layer.stride = small(json["stride"], 1);
    layer.padding = small(json["padding"], 0);
  }
  if (layer.kind == LayerKind::conv) layer.groups = small(json["groups"], 1);
  if (has_weight(layer.kind)) {
    const TensorView& weight = tensors.at(json["weight"].text());
    layer.weight_shape = weight.shape;
    layer.weight.assign(weight.floats().begin(), weight.floats().end());
    const auto bias = tensors.at(json["bias"].text()).floats();
    layer.bias.assign(bias.begin(), bias.end());
  }
  return layer;
}

class PlainRunner final : public LogitsRunner {
 public:
  explicit PlainRunner(FoldedNetwork net) : net_(std::move(net)) {}
  [[nodiscard]] std::string name() const override { return "dsn's plain loops"; }
  [[nodiscard]] std::vector<float> logits(std::span<const float> input, int batch) override {
    return run_plain(net_, input, batch);
  }

 private:
  FoldedNetwork net_;
};

class LevelFormat final : public ExportFormat {
 public:
  [[nodiscard]] std::string name() const override { return "safetensors"; }
  [[nodiscard]] Json settings() const override { return Json::object(); }
  [[nodiscard]] std::vector<int> batches() const override { return {1}; }

  std::vector<std::string> write(const FoldedNetwork& net, const ExportLabels& labels, const fs::path& folder,
                                 const std::string& stem) const override {
    const std::string document = stem + ".json", tensors = stem + ".safetensors";
    write_safetensors(folder / tensors, views(net), {{"dsn.level", document}});
    Json json = pure_envelope("dsn.level", 0, {{"supernet", labels.weights_sha256}}, Json::object());
    json["name"] = labels.name;
    json["space_sha256"] = labels.space_sha256;
    json["weights_sha256"] = labels.weights_sha256;
    json["config"] = labels.config;
    json["macs"] = labels.macs;
    json["params"] = labels.params;
    json["input"] = {{"name", FoldedNetwork::kInput},
                     {"channels", net.in_channels},
                     {"resolution", net.resolution},
                     {"preprocessing", labels.preprocessing.to_json()}};
    json["classes"] = net.classes;
    json["class_names"] = labels.class_names;
    json["tensors"] = {{"file", tensors}, {"sha256", sha256_file(folder / tensors)}};
    json["layers"] = Json::array();
    for (const Layer& layer : net.layers) json["layers"].push_back(layer_json(layer));
    write_file_atomic(folder / document, dump_json(json));
    return {document, tensors};
  }

  [[nodiscard]] std::unique_ptr<LogitsRunner> open(const fs::path& file, const FoldedNetwork& /*net*/,
                                                   std::string& /*why_not*/) const override {
    return std::make_unique<PlainRunner>(read_level(file));
  }
};

}  // namespace

std::unique_ptr<ExportFormat> level_format() {
  return std::make_unique<LevelFormat>();
}

FoldedNetwork read_level(const fs::path& document) {
  const Json json = read_document(document, "dsn.level");
  const JsonView view(json, document.string());
  const std::string name = view["tensors"]["file"].text();
  if (name.empty() || fs::path(name).filename() != name)
    view["tensors"]["file"].fail("the name of a file beside it");
  const fs::path path = document.parent_path() / name;
  const TensorFile tensors = TensorFile::open(path);
  if (const std::string hash = sha256_file(path); hash != view["tensors"]["sha256"].text()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: found sha256 {}, {} expects {}", path.string(), hash.substr(0, 12),
                            document.string(), view["tensors"]["sha256"].text().substr(0, 12)));
  }
  FoldedNetwork net;
  net.in_channels = small(view["input"]["channels"], 1);
  net.resolution = small(view["input"]["resolution"], 1);
  net.classes = small(view["classes"], 1);
  for (std::size_t i = 0; i < view["layers"].size(); ++i)
    net.layers.push_back(read_layer(view["layers"][i], tensors));
  check_layers(net);
  return net;
}

}  // namespace dsn
