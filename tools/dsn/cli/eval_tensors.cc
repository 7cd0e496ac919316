// SPDX-License-Identifier: Apache-2.0
#include "cli/eval_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dsn/core/error.h"
#include "dsn/supernet/logits.h"

namespace dsn::cli {
namespace {

// "file.safetensors:NAME"; a file of that whole name wins.
std::pair<std::string, std::string> split_name(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || fs::exists(text)) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string list_of(const TensorFile& file) {
  std::vector<std::string> lines;
  for (const auto& [name, view] : file.tensors()) {
    if (lines.size() == 12) {
      lines.emplace_back("...");
      break;
    }
    lines.push_back(fmt::format("{} [{}]", name, fmt::join(view.shape, ", ")));
  }
  return fmt::format("{} has {}", file.file(), fmt::join(lines, "; "));
}

bool fits(const TensorView& view, const SearchSpace& space, int r) {
  return view.shape.size() == 4 && view.shape[1] == space.in_channels() && view.shape[2] == r &&
         view.shape[3] == r;
}

}  // namespace

std::string choose_tensor(const TensorFile& file, const std::string& name, const SearchSpace& space,
                          const SubnetConfig& config, const std::string& flag) {
  if (!name.empty()) {
    if (file.has(name)) return name;
    throw Error(ErrorCode::not_found, fmt::format("{}: no tensor '{}'", file.file(), name), list_of(file));
  }
  if (file.tensors().size() == 1) return file.tensors().begin()->first;
  const std::string resolution = std::to_string(config.r);
  if (file.has(resolution)) return resolution;
  std::vector<std::string> names;
  for (const auto& [candidate, view] : file.tensors()) {
    if (fits(view, space, config.r)) names.push_back(candidate);
  }
  if (names.size() == 1) return names[0];
  throw Error(ErrorCode::bad_usage,
              fmt::format("{}: found {} tensors of shape [N, {}, {}, {}], expected one: name it with {}",
                          file.file(), names.size(), space.in_channels(), config.r, config.r, flag),
              list_of(file));
}

Json logits_report(const EvalModel& model, const EvalTensors& tensors, std::string& text) {
  if (model.subjects.size() != 1) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("--tensors: found {} sub-networks, expected one", model.subjects.size()),
                "name it with --subnet or --level");
  }
  const EvalSubject& subject = model.subjects[0];
  const TensorFile file = TensorFile::open(tensors.file);
  const std::string name = choose_tensor(file, tensors.input, model.space, subject.config, "--input");
  Supernet net(model.space, model.weights);
  BnTensorMap bn = to_bn_tensors(subject.bn);
  Json source = {{"source", "stored"}, {"of", bn.empty() ? "super-network" : subject.name}};
  auto inputs = model.inputs;
  inputs.push_back({"tensors", tensors_sha256({{name, file.at(name)}})});
  if (!tensors.calibrate.empty()) {
    const auto [path, given] = split_name(tensors.calibrate);
    const TensorFile batches = TensorFile::open(path);
    const std::string batch = choose_tensor(batches, given, model.space, subject.config, "FILE:NAME");
    bn = calibrate_on(net, subject.config, batches.at(batch), path + ": " + batch);
    source = {{"source", "calibrated"}, {"batch", batch}, {"images", batches.at(batch).shape[0]}};
    inputs.push_back({"calibration", tensors_sha256({{batch, batches.at(batch)}})});
  }
  const auto logits = logits_of(net, subject.config, file.at(name), tensors.file + ": " + name, bn);
  const Network network = make_network(model.space, subject.config);
  Json report = pure_envelope("dsn.report", 0, inputs, {{"input", name}});
  report["kind"] = "logits";
  if (bn.empty()) {
    if (const auto doubt = shared_statistics_doubt(model.space, subject))
      report["warnings"].push_back(*doubt);
  }
  report["name"] = subject.name;
  report["config"] = model.space.to_json(subject.config);
  report["macs"] = network.macs();
  report["params"] = network.params();
  report["bn"] = source;
  report["input"] = name;
  report["logits"] = logits;
  text.clear();
  for (const auto& row : logits) text += fmt::format("{}\n", fmt::join(row, " "));
  return report;
}

}  // namespace dsn::cli
