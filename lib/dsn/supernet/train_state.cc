// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train_state.h"

#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/supernet/train_options.h"

namespace dsn {
namespace {

constexpr const char* kKey = "dsn.train_state";

}  // namespace

Json to_json(const TrainProgress& p) {
  return {{"epoch", p.epoch},         {"step", p.step},
          {"steps", p.updates},       {"curve", p.curve},
          {"elapsed_s", p.elapsed_s}, {"loss", {p.loss_first, p.loss_second, p.loss_steps}},
          {"lr_scale", p.lr_scale},   {"rollbacks", p.rollbacks},
          {"skipped", p.skipped},     {"recent_losses", p.recent_losses}};
}

TrainProgress parse_train_progress(const Json& json, const std::string& file, int epochs, std::size_t steps) {
  const JsonView v(json, file);
  TrainProgress p;
  p.epoch = static_cast<int>(v["epoch"].integer(0, epochs));
  p.step = static_cast<std::size_t>(v["step"].integer(0, static_cast<std::int64_t>(steps)));
  p.updates = v["steps"].integer(0, std::int64_t{1} << 60);
  p.curve = v["curve"].json();
  p.elapsed_s = v["elapsed_s"].number();
  p.loss_first = v["loss"][0].number();
  p.loss_second = v["loss"][1].number();
  p.loss_steps = v["loss"][2].number();
  // Absent in states of before there were rollbacks.
  if (v.has("lr_scale")) p.lr_scale = v["lr_scale"].number(0, 1);
  if (v.has("rollbacks")) p.rollbacks = static_cast<int>(v["rollbacks"].integer(0, 1 << 30));
  if (v.has("skipped")) p.skipped = static_cast<std::size_t>(v["skipped"].integer(0, 1 << 30));
  if (v.has("recent_losses")) p.recent_losses = v["recent_losses"].numbers();
  return p;
}

void write_train_state(const fs::path& path, const TrainProgress& progress, const Json& options,
                       const Json& plan, const std::string& space_sha256,
                       const std::map<std::string, TensorView>& tensors) {
  Json state = to_json(progress);
  state["options"] = options;
  state["plan"] = plan;
  state["space_sha256"] = space_sha256;
  write_safetensors(path, tensors, {{kKey, state.dump()}});
}

TrainState read_train_state(const fs::path& path, const Json& options, const std::string& space_sha256,
                            int epochs, std::size_t steps) {
  if (!fs::exists(path)) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no training state to resume from", path.string()),
                "start without --resume");
  }
  TensorFile file = TensorFile::open(path);
  const auto it = file.metadata().find(kKey);
  const Json state = it == file.metadata().end() ? Json() : Json::parse(it->second, nullptr, false);
  if (!state.is_object())
    throw Error(ErrorCode::bad_input, fmt::format("{}: not a training state of dsn", path.string()));
  if (state.value("space_sha256", "") != space_sha256 ||
      !same_training(state.value("options", Json()), options)) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: this state is of another space or other training options", path.string()),
                "give the same options as before, or start without --resume");
  }
  TrainProgress progress = parse_train_progress(state, path.string(), epochs, steps);
  return {std::move(progress), std::move(file)};
}

}  // namespace dsn
