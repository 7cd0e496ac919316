// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train_options.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

namespace dsn {

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::sandwich:
      return "sandwich";
    case Method::shrink:
      return "shrink";
    case Method::fixed:
      return "static";
  }
  return "?";
}

Method parse_method(std::string_view text) {
  for (const Method method : {Method::sandwich, Method::shrink, Method::fixed}) {
    if (to_string(method) == text) return method;
  }
  throw Error(ErrorCode::bad_usage,
              fmt::format("method: found \"{}\", expected one of sandwich, shrink, static", text));
}

std::string_view to_string(Precision precision) noexcept {
  switch (precision) {
    case Precision::float32:
      return "float32";
    case Precision::bfloat16:
      return "bfloat16";
    case Precision::float16:
      return "float16";
  }
  return "?";
}

Precision parse_precision(std::string_view text) {
  for (const Precision precision : {Precision::float32, Precision::bfloat16, Precision::float16}) {
    if (to_string(precision) == text) return precision;
  }
  throw Error(ErrorCode::bad_usage,
              fmt::format("precision: found \"{}\", expected one of float32, bfloat16, float16", text));
}

Json to_json(const TrainOptions& o, const SearchSpace& space, int ranks) {
  return {{"method", to_string(o.method)},
          {"subnet", o.subnet ? space.to_json(*o.subnet) : Json()},
          {"epochs", o.epochs},
          {"batch", o.batch},
          {"learning_rate", o.learning_rate},
          {"warmup_epochs", o.warmup_epochs},
          {"momentum", o.momentum},
          {"weight_decay", o.weight_decay},
          {"label_smoothing", o.label_smoothing},
          {"dropout", o.dropout},
          {"random_subnets", o.random_subnets},
          {"ema_decay", o.ema_decay},
          {"clip_norm", o.clip_norm},
          {"augmentation",
           {{"pad", o.augmentation.pad},
            {"flip", o.augmentation.flip},
            {"erase", o.augmentation.erase},
            {"min_area", o.augmentation.min_area}}},
          {"seed", o.seed},
          {"workers", o.workers * ranks},
          {"calibration_images", o.calibration_images},
          {"guard",
           {{"spike", o.guard.spike},
            {"window", o.guard.window},
            {"lr_factor", o.guard.lr_factor},
            {"rollbacks", o.guard.rollbacks},
            {"snapshot_steps", o.guard.snapshot_steps}}}};
}

bool same_training(const Json& before, const Json& now) {
  if (!before.is_object()) return false;
  const Json first_meaning = {{"method", "sandwich"}, {"subnet", nullptr}};
  for (const auto& [key, value] : now.items()) {
    if (key == "guard") continue;
    if (before.contains(key) ? before.at(key) != value
                             : !first_meaning.contains(key) || first_meaning.at(key) != value)
      return false;
  }
  return true;
}

}  // namespace dsn
