// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/checkpoint.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr const char* kKey = "dsn.checkpoint";
constexpr int kVersion = 1;

Json parse_metadata(const TensorFile& file) {
  const auto it = file.metadata().find(kKey);
  if (it == file.metadata().end()) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: found no {} metadata, expected a checkpoint of dsn train", file.file(), kKey),
        "a checkpoint of another framework has to be imported first");
  }
  Json document = Json::parse(it->second, nullptr, false);
  if (document.is_discarded())
    throw Error(ErrorCode::bad_input, fmt::format("{}: metadata {} is not JSON", file.file(), kKey));
  return document;
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& path) {
  TensorFile tensors = TensorFile::open(path);
  const Json document = parse_metadata(tensors);
  const JsonView v(document, path.string() + ": metadata");
  const auto version = v["schema_version"].integer(1, 1 << 30);
  if (version > kVersion) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: {} version {} is newer than version {} that this build reads", path.string(),
                            kKey, version, kVersion));
  }
  CheckpointInfo info{SearchSpace::parse(v["space"].json(), v.file() + ": space"),
                      Preprocessing::from_json(v["preprocessing"]),
                      {},
                      v["dataset"].text(),
                      document.value("record", Json())};
  for (std::size_t i = 0; i < v["class_names"].size(); ++i)
    info.class_names.push_back(v["class_names"][i].text());
  if (!info.class_names.empty() &&
      info.class_names.size() != static_cast<std::size_t>(info.space.classes())) {
    v["class_names"].fail(fmt::format("{} names or none", info.space.classes()));
  }
  std::string hash = tensors_sha256(tensors.tensors());
  return {std::move(info), std::move(tensors), std::move(hash)};
}

void write_checkpoint(const fs::path& path, const CheckpointInfo& info,
                      const std::map<std::string, TensorView>& tensors) {
  const Json document = {{"schema_version", kVersion},
                         {"space", info.space.document()},
                         {"preprocessing", info.preprocessing.to_json()},
                         {"class_names", info.class_names},
                         {"dataset", info.dataset},
                         {"record", info.record}};
  write_safetensors(path, tensors, {{kKey, document.dump()}});
}

}  // namespace dsn
