// SPDX-License-Identifier: Apache-2.0
// Compiled with NDEBUG (see meson.build): RecordFunction::inputs() checks a flag that only a LibTorch built
// without NDEBUG sets, and Debian's is built with it.
#include "dsn/supernet/pass_count.h"

#include <ATen/record_function.h>
#include <fmt/format.h>

#include <set>
#include <string_view>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/supernet/supernet.h"

namespace dsn {

struct PassCounter::State {
  PassCount count;
  std::set<const void*> ignored;  // storages of weights that are not of the sub-network
  State* outer = nullptr;         // counters nest: the inner one listens
  at::CallbackHandle handle = 0;
};

namespace {

thread_local PassCounter::State* active = nullptr;

std::int64_t size_of(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() ? value.toTensor().numel() : 0;
}

// What an operation was given: its inputs can be read when it starts, its result when it ends.
struct Op : at::ObserverContext {
  std::int64_t weight = 0;  // elements
};

std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& op) {
  const std::string_view name = op.name();
  const bool norm = name == "aten::batch_norm";
  if (active == nullptr || (!norm && name != "aten::convolution" && name != "aten::linear")) return nullptr;
  const auto inputs = op.inputs();  // input, weight, bias, ...
  if (inputs.size() < 3 || !inputs[1].isTensor() || !inputs[1].toTensor().defined()) return nullptr;
  if (active->ignored.count(inputs[1].toTensor().storage().data()) != 0) return nullptr;
  active->count.params += size_of(inputs[1]) + size_of(inputs[2]);
  if (norm) {
    ++active->count.norms;
    return nullptr;
  }
  auto context = std::make_unique<Op>();
  context->weight = size_of(inputs[1]);
  return context;
}

void finish(const at::RecordFunction& op, at::ObserverContext* context) {
  if (active == nullptr || context == nullptr || op.outputs().empty()) return;
  const c10::IValue& output = op.outputs()[0];
  if (!output.isTensor()) return;
  const torch::Tensor& result = output.toTensor();
  // Every weight is used once per pixel of the result.
  const std::int64_t pixels = result.dim() == 4 ? result.size(2) * result.size(3) : 1;
  active->count.macs += static_cast<Op*>(context)->weight * pixels;
}

}  // namespace

PassCounter::PassCounter() : state_(std::make_unique<State>()) {
  state_->outer = std::exchange(active, state_.get());
  if (state_->outer != nullptr) return;
  state_->handle = at::addThreadLocalCallback(at::RecordFunctionCallback(&start, &finish)
                                                  .needsInputs(true)
                                                  .needsOutputs(true)
                                                  .scopes({at::RecordScope::FUNCTION}));
}

PassCounter::PassCounter(const Supernet& net) : PassCounter() {
  for (const auto& [name, tensor] : net.parameters()) {
    if (name.find(".transform_") != std::string::npos) state_->ignored.insert(tensor.storage().data());
  }
}

PassCounter::~PassCounter() {
  active = state_->outer;
  if (state_->outer == nullptr) at::removeCallback(state_->handle);
}

const PassCount& PassCounter::count() const noexcept {
  return state_->count;
}

void require_count(const PassCount& found, const Network& network, const std::string& what) {
  const auto require = [&](const char* unit, std::int64_t counted, std::int64_t expected) {
    if (counted == expected) return;
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: the activated network has {} {}, expected {} for its configuration", what,
                            counted, unit, expected),
                "another sub-network would run than the one that was asked for");
  };
  require("multiply-accumulates", found.macs, network.macs());
  require("parameters", found.params, network.params());
}

}  // namespace dsn
