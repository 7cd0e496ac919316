// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/onnx_write.h"

#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include "dsn/core/error.h"
#include "dsn/core/json.h"

namespace dsn {
namespace {

constexpr const char* kOutput = "logits";

// The IR version that came with an opset: older readers refuse newer ones.
int ir_version(int opset) {
  return opset < 11 ? 5 : opset < 12 ? 6 : opset < 15 ? 7 : 8;
}

class GraphWriter {
 public:
  GraphWriter(const FoldedNetwork& net, const OnnxOptions& options, onnx::GraphProto& graph)
      : net_(net), options_(options), graph_(graph) {}

  void write() {
    graph_.set_name("dsn");
    describe(*graph_.add_input(), FoldedNetwork::kInput,
             {net_.in_channels, net_.resolution, net_.resolution});
    describe(*graph_.add_output(), kOutput, {net_.classes});
    for (const Layer& layer : net_.layers) add(layer);
  }

 private:
  void describe(onnx::ValueInfoProto& value, const std::string& name, const std::vector<int>& shape) const {
    value.set_name(name);
    auto& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(onnx::TensorProto::FLOAT);
    auto& batch = *tensor.mutable_shape()->add_dim();
    if (options_.dynamic_batch) {
      batch.set_dim_param("N");
    } else {
      batch.set_dim_value(1);
    }
    for (const int n : shape) tensor.mutable_shape()->add_dim()->set_dim_value(n);
  }

  // What a layer gives, by the name that the graph has for it.
  [[nodiscard]] std::string value(const std::string& layer) const {
    return layer == net_.layers.back().name ? kOutput : layer;
  }

  std::string constant(const std::string& name, const std::vector<std::int64_t>& shape,
                       const std::vector<float>& values) {
    auto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t n : shape) tensor.add_dims(n);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }

  onnx::NodeProto& node(const char* type, const std::vector<std::string>& inputs, const std::string& output) {
    auto& made = *graph_.add_node();
    made.set_op_type(type);
    made.set_name(output);
    for (const std::string& input : inputs) made.add_input(input);
    made.add_output(output);
    return made;
  }

  static void set(onnx::NodeProto& node, const char* name, std::int64_t value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  static void set(onnx::NodeProto& node, const char* name, float value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(value);
  }

  static void set(onnx::NodeProto& node, const char* name, const std::vector<std::int64_t>& values) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t v : values) attribute.add_ints(v);
  }

  // padding at the lower and right edge: symmetric, and `more`.
  static void set_window(onnx::NodeProto& node, const Layer& layer, int more = 0) {
    const std::int64_t k = layer.kernel, s = layer.stride, p = layer.padding, end = p + more;
    set(node, "kernel_shape", std::vector<std::int64_t>{k, k});
    set(node, "strides", std::vector<std::int64_t>{s, s});
    set(node, "pads", std::vector<std::int64_t>{p, p, end, end});
  }

  void hsigmoid(const std::string& input, const std::string& output) {
    auto& made = node("HardSigmoid", {input}, output);
    set(made, "alpha", 1.F / 6.F);
    set(made, "beta", 0.5F);
  }

  void relu6(const std::string& input, const std::string& output) {
    if (options_.opset < 11) {
      auto& made = node("Clip", {input}, output);
      set(made, "min", 0.F);
      set(made, "max", 6.F);
      return;
    }
    if (!has_relu6_) {
      constant("relu6.lowest", {}, {0.F});
      constant("relu6.highest", {}, {6.F});
      has_relu6_ = true;
    }
    node("Clip", {input, "relu6.lowest", "relu6.highest"}, output);
  }

  void hswish(const std::string& input, const std::string& output) {
    if (options_.opset >= 14) {
      node("HardSwish", {input}, output);
      return;
    }
    hsigmoid(input, output + ".gate");
    node("Mul", {input, output + ".gate"}, output);
  }

  // OpenCV, 4.6 at least, takes x * HardSigmoid(y) for HardSwish(y) whatever x is, unless the gate comes
  // first or a node lies between; and where the batch is not known, it wants the larger factor first.
  void multiply(const std::string& input, const std::string& gate, const std::string& output) {
    if (!options_.dynamic_batch) {
      node("Mul", {gate, input}, output);
      return;
    }
    node("Identity", {gate}, output + ".same");
    node("Mul", {input, output + ".same"}, output);
  }

  void conv(const Layer& layer, const std::string& input, const std::string& output) {
    auto& made = node("Conv",
                      {input, constant(layer.name + ".weight", layer.weight_shape, layer.weight),
                       constant(layer.name + ".bias", {layer.channels}, layer.bias)},
                      output);
    set_window(made, layer);
    set(made, "group", std::int64_t{layer.groups});
  }

  void linear(const Layer& layer, const std::string& input, const std::string& output) {
    auto& flat = node("Flatten", {input}, layer.name + ".flat");
    set(flat, "axis", std::int64_t{1});
    auto& made =
        node("Gemm",
             {layer.name + ".flat", constant(layer.name + ".weight", layer.weight_shape, layer.weight),
              constant(layer.name + ".bias", {layer.channels}, layer.bias)},
             output);
    set(made, "transB", std::int64_t{1});
  }

  // Padding that the average leaves out instead of ceil_mode, which runtimes have read in different ways.
  void avg_pool(const Layer& layer, const std::string& input, const std::string& output) {
    const int in_size = size_of(layer.inputs[0]), covered = (layer.size - 1) * layer.stride + layer.kernel;
    auto& made = node("AveragePool", {input}, output);
    set_window(made, layer, covered - in_size);
    set(made, "count_include_pad", std::int64_t{0});
  }

  [[nodiscard]] int size_of(const std::string& name) const {
    for (const Layer& layer : net_.layers) {
      if (layer.name == name) return layer.size;
    }
    return net_.resolution;
  }

  void add(const Layer& layer) {
    const std::string input = value(layer.inputs[0]), output = value(layer.name);
    switch (layer.kind) {
      case LayerKind::conv:
        return conv(layer, input, output);
      case LayerKind::linear:
        return linear(layer, input, output);
      case LayerKind::relu:
        node("Relu", {input}, output);
        return;
      case LayerKind::relu6:
        return relu6(input, output);
      case LayerKind::hswish:
        return hswish(input, output);
      case LayerKind::hsigmoid:
        return hsigmoid(input, output);
      case LayerKind::add:
        node("Add", {input, value(layer.inputs[1])}, output);
        return;
      case LayerKind::multiply:
        return multiply(input, value(layer.inputs[1]), output);
      case LayerKind::max_pool:
        set_window(node("MaxPool", {input}, output), layer);
        return;
      case LayerKind::avg_pool:
        return avg_pool(layer, input, output);
      case LayerKind::global_avg_pool:
        node("GlobalAveragePool", {input}, output);
        return;
    }
  }

  const FoldedNetwork& net_;
  const OnnxOptions& options_;
  onnx::GraphProto& graph_;
  bool has_relu6_ = false;
};

}  // namespace

bool have_onnx() noexcept {
  return true;
}

void write_onnx(const FoldedNetwork& net, const OnnxOptions& options,
                const std::vector<std::pair<std::string, std::string>>& metadata, const fs::path& path) {
  onnx::ModelProto model;
  model.set_ir_version(ir_version(options.opset));
  model.set_producer_name("dsn");
  model.set_producer_version(tool_info().value("version", ""));
  auto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(options.opset);
  GraphWriter(net, options, *model.mutable_graph()).write();
  for (const auto& [key, value] : metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  std::string bytes;
  try {
    onnx::checker::check_model(model);
    if (!model.SerializeToString(&bytes)) {
      throw Error(ErrorCode::failed, fmt::format("{}: protobuf cannot serialise the model", path.string()));
    }
  } catch (const onnx::checker::ValidationError& error) {
    throw Error(ErrorCode::failed, fmt::format("{}: onnx's checker: {}", path.string(), error.what()));
  }
  write_file_atomic(path, bytes);
}

}  // namespace dsn
