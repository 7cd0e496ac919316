// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/torch_executor.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include "dsn/core/error.h"
#include "dsn/engine/call_rules.h"
#include "dsn/engine/executor.h"
#include "dsn/supernet/own_statistics.h"
#include "dsn/supernet/pass_count.h"
#include "dsn/supernet/supernet.h"
#include "dsn/supernet/torch_threads.h"

namespace dsn {
namespace {

// A convolution with the batch norm that follows it folded in.
struct Folded {
  torch::Tensor weight, bias;
};

// What one unit computes with; undefined where a unit has no such part. In a bottleneck expand, depth and
// project are its three convolutions; units that are no block have project alone.
struct UnitWeights {
  Folded expand, depth, project, shortcut;
  torch::Tensor se_reduce_weight, se_reduce_bias, se_expand_weight, se_expand_bias;
};

torch::Tensor activate(torch::Tensor x, Activation act) {
  switch (act) {
    case Activation::none:
      return x;
    case Activation::relu:
      return torch::relu_(x);
    case Activation::relu6:
      return torch::relu6_(x);
    case Activation::hswish:
      return torch::hardswish_(x);
  }
  return x;
}

// One level: its own folded copy of the weights, so that activating it is a change of index and an inference
// runs the fewest operations. LibTorch has no convolution over weight slices; the elastic executor is where
// weights are shared at run time.
struct PreparedLevel {
  Network network;
  std::vector<UnitWeights> units;
  std::int64_t folded_channels = 0;  // of batch norms that are folded into biases
};

class LevelBuilder {
 public:
  LevelBuilder(Supernet& net, const BnStats& bn) : net_(net), bn_(to_bn_tensors(bn)) {}

  // Once; `name` is for messages.
  PreparedLevel build(const SubnetConfig& config, const std::string& name) {
    torch::NoGradGuard no_grad;
    PreparedLevel level{make_network(net_.space(), config), {}, 0};
    for (const Unit& unit : level.network.units) level.units.push_back(weights_of(unit));
    level.folded_channels = folded_channels_;
    if (!bn_.empty()) require_all_used(bn_, folded_, name);
    return level;
  }

 private:
  torch::Tensor parameter(const std::string& name) const { return net_.parameters().at(name).detach(); }

  Folded fold(torch::Tensor weight, const std::string& bn) {
    const std::int64_t channels = weight.size(0);
    torch::Tensor mean, variance;
    if (bn_.empty()) {
      mean = net_.buffers().at(bn + ".running_mean").narrow(0, 0, channels);
      variance = net_.buffers().at(bn + ".running_var").narrow(0, 0, channels);
    } else {
      const BnTensors& own = require_statistics(bn_, bn, channels);
      mean = own.mean;
      variance = own.variance;
    }
    ++folded_;
    folded_channels_ += channels;
    const torch::Tensor scale =
        parameter(bn + ".weight").narrow(0, 0, channels) / torch::sqrt(variance + net_.space().bn_eps());
    return {(weight * scale.view({-1, 1, 1, 1})).contiguous(),
            (parameter(bn + ".bias").narrow(0, 0, channels) - mean * scale).contiguous()};
  }

  torch::Tensor weight(const std::string& name, int out, int in) const {
    return net_.weight(name + ".weight", out, in).detach();
  }

  // The convolution and batch norm of one layer.
  Folded layer(const std::string& name, int out, int in) {
    return fold(weight(name + ".conv", out, in), name + ".bn");
  }

  UnitWeights weights_of(const Unit& unit) {
    UnitWeights w;
    const std::string name = unit.name();
    const int in = unit.in_channels, mid = unit.mid_channels, out = unit.out_channels, se = unit.se_channels;
    switch (unit.kind) {
      case UnitKind::stem:
      case UnitKind::stem_residual:
      case UnitKind::stem_pool:
      case UnitKind::final_expand:
        w.project = layer(name, out, in);
        break;
      case UnitKind::feature_mix:
        w.project.weight = weight(name, out, in).clone();
        break;
      case UnitKind::classifier:
        w.project = {weight(name, out, in).clone(), parameter(name + ".bias").clone()};
        break;
      case UnitKind::bottleneck:
        w.expand = layer(name + ".conv1", mid, in);
        w.depth = layer(name + ".conv2", mid, mid);
        w.project = layer(name + ".conv3", out, mid);
        if (!unit.residual) w.shortcut = layer(name + ".shortcut", out, in);
        break;
      case UnitKind::mbconv:
        if (unit.expands) w.expand = layer(name + ".expand", mid, in);
        w.depth = fold(net_.depthwise_weight(unit.block, mid, unit.kernel).detach(), name + ".depth.bn");
        w.project = layer(name + ".project", out, mid);
        if (se > 0) {
          w.se_reduce_weight = weight(name + ".se.reduce", se, mid).clone();
          w.se_reduce_bias = parameter(name + ".se.reduce.bias").narrow(0, 0, se).clone();
          w.se_expand_weight = weight(name + ".se.expand", mid, se).clone();
          w.se_expand_bias = parameter(name + ".se.expand.bias").narrow(0, 0, mid).clone();
        }
        break;
    }
    return w;
  }

  Supernet& net_;
  BnTensorMap bn_;
  std::size_t folded_ = 0;
  std::int64_t folded_channels_ = 0;
};

torch::Tensor run_mbconv(const torch::Tensor& input, const Unit& unit, const UnitWeights& w) {
  torch::Tensor x = input;
  if (unit.expands) x = activate(torch::conv2d(x, w.expand.weight, w.expand.bias), unit.act);
  x = activate(
      torch::conv2d(x, w.depth.weight, w.depth.bias, unit.stride, unit.kernel / 2, 1, unit.mid_channels),
      unit.act);
  if (unit.se_channels > 0) {
    const torch::Tensor hidden =
        torch::conv2d(x.mean({2, 3}, true), w.se_reduce_weight, w.se_reduce_bias).relu_();
    x.mul_(torch::hardsigmoid(torch::conv2d(hidden, w.se_expand_weight, w.se_expand_bias)));
  }
  x = torch::conv2d(x, w.project.weight, w.project.bias);
  return unit.residual ? x.add_(input) : x;
}

torch::Tensor run_bottleneck(const torch::Tensor& input, const Unit& unit, const UnitWeights& w) {
  torch::Tensor x = activate(torch::conv2d(input, w.expand.weight, w.expand.bias), unit.act);
  x = activate(torch::conv2d(x, w.depth.weight, w.depth.bias, unit.stride, unit.kernel / 2), unit.act);
  x = torch::conv2d(x, w.project.weight, w.project.bias);
  if (unit.residual) return activate(x.add_(input), unit.act);
  const torch::Tensor averaged =
      unit.stride == 1 ? input : torch::avg_pool2d(input, unit.stride, unit.stride, 0, /*ceil_mode=*/true);
  return activate(x.add_(torch::conv2d(averaged, w.shortcut.weight, w.shortcut.bias)), unit.act);
}

torch::Tensor run_unit(const torch::Tensor& x, const Unit& unit, const UnitWeights& w) {
  const auto conv = [&] {
    return activate(torch::conv2d(x, w.project.weight, w.project.bias, unit.stride, unit.kernel / 2),
                    unit.act);
  };
  switch (unit.kind) {
    case UnitKind::stem:
    case UnitKind::final_expand:
      return conv();
    case UnitKind::stem_residual:
      return conv().add_(x);
    case UnitKind::stem_pool:
      return torch::max_pool2d(conv(), 3, 2, 1);
    case UnitKind::mbconv:
      return run_mbconv(x, unit, w);
    case UnitKind::bottleneck:
      return run_bottleneck(x, unit, w);
    case UnitKind::feature_mix:
      return activate(torch::conv2d(x.mean({2, 3}, true), w.project.weight), unit.act);
    case UnitKind::classifier:
      return torch::linear(unit.in_size > 1 ? x.mean({2, 3}) : x.flatten(1), w.project.weight,
                           w.project.bias);
  }
  return x;
}

class TorchExecutor : public Executor {
 public:
  TorchExecutor(const SearchSpace& space, const TensorFile& weights, const std::string& device)
      : net_(space, weights), device_(parse_device(device)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "torch"; }

  void prepare(std::vector<LevelSpec> levels) override {
    std::vector<PreparedLevel> prepared;
    for (const LevelSpec& level : levels) {
      const std::string name = fmt::format("level {}", prepared.size());
      prepared.push_back(LevelBuilder(net_, level.bn).build(level.config, name));
      if (device_.is_cuda()) each_tensor(prepared.back(), [&](torch::Tensor& t) { t = t.to(device_); });
      check(prepared.back(), name);
    }
    levels_ = std::move(prepared);
    active_.prepared(levels_.size());
  }

  void activate(std::size_t index) override { active_.activate(index); }

  [[nodiscard]] const Network& network() const override { return active().network; }

  void set_threads(int threads) override {
    require_threads(threads);
    threads_ = threads;
  }

  void infer(std::span<const float> input, int batch, std::span<float> logits,
             const UnitObserver* observer) override {
    const PreparedLevel& level = active();
    const Network& net = level.network;
    require_sizes(net, batch, input.size(), logits.size());
    if (applied_threads_ != threads_) set_torch_threads(applied_threads_ = threads_);
    const c10::InferenceMode inference;
    torch::Tensor x = torch::from_blob(const_cast<float*>(input.data()),
                                       {batch, net.in_channels, net.resolution, net.resolution});
    if (device_.is_cuda()) x = x.to(device_);
    x = run_units(level, x, observer);
    torch::from_blob(logits.data(), {batch, net.classes}).copy_(x);
  }

  [[nodiscard]] MemoryUse memory() const override {
    MemoryUse use;
    for (const auto& [name, view] : net_.tensor_views()) use.weights += view.bytes.size();
    for (const PreparedLevel& level : levels_)
      each_tensor(level, [&](const torch::Tensor& t) { use.levels += t.nbytes(); });
    return use;
  }

 private:
  torch::Tensor run_units(const PreparedLevel& level, torch::Tensor x, const UnitObserver* observer) const {
    for (std::size_t i = 0; i < level.units.size(); ++i) {
      x = run_unit(x, level.network.units[i], level.units[i]);
      if (observer != nullptr) {
        if (device_.is_cuda()) (void)x.flatten()[0].item<float>();  // waits for the device
        (*observer)(i);
      }
    }
    return x;
  }

  // Runs the level once and holds what was computed against what it should cost. A folded batch norm has its
  // scale in the weights: only its shift is left to count.
  void check(const PreparedLevel& level, const std::string& name) const {
    const Network& net = level.network;
    const c10::InferenceMode inference;
    const torch::Tensor x = torch::zeros({1, net.in_channels, net.resolution, net.resolution}, device_);
    const PassCounter counter;
    (void)run_units(level, x, nullptr);
    PassCount count = counter.count();
    count.params += level.folded_channels;
    require_count(count, net, name);
  }

  static torch::Device parse_device(const std::string& device) {
    try {
      const torch::Device parsed(device);
      if (parsed.is_cpu()) return parsed;
      if (parsed.is_cuda() && torch::cuda::is_available()) return parsed;
    } catch (const c10::Error&) {
      throw Error(ErrorCode::bad_usage, fmt::format("unknown device \"{}\"", device),
                  "use cpu, cuda or cuda:N");
    }
    throw Error(ErrorCode::unsupported,
                fmt::format("device \"{}\" is not available to this build of LibTorch", device), "use cpu");
  }

  template <typename Level, typename F>
  static void each_tensor(Level& level, F f) {
    for (auto& w : level.units) {
      for (auto* t : {&w.expand.weight, &w.expand.bias, &w.depth.weight, &w.depth.bias, &w.project.weight,
                      &w.project.bias, &w.shortcut.weight, &w.shortcut.bias, &w.se_reduce_weight,
                      &w.se_reduce_bias, &w.se_expand_weight, &w.se_expand_bias}) {
        if (t->defined()) f(*t);
      }
    }
  }

  const PreparedLevel& active() const { return levels_[active_.index()]; }

  Supernet net_;
  torch::Device device_;
  std::vector<PreparedLevel> levels_;
  ActiveLevel active_;
  int threads_ = 1, applied_threads_ = 0;
};

}  // namespace

void register_torch_executor() {
  register_executor("torch",
                    [](const SearchSpace& space, const TensorFile& weights, const std::string& device) {
                      return std::unique_ptr<Executor>(new TorchExecutor(space, weights, device));
                    });
}

}  // namespace dsn
