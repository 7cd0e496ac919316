// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/checkpoint.h"

#include <doctest/doctest.h>

#include "dsn/core/error.h"
#include "tiny.h"

namespace dsn {
namespace {

const fs::path kPath = fs::temp_directory_path() / "dsn_checkpoint_test.safetensors";

std::string message_of_open() {
  try {
    (void)Checkpoint::open(kPath);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_input);
    return error.message();
  }
  return "no error";
}

std::map<std::string, TensorView> one_tensor() {
  static const std::vector<float> values{1.F, 2.F, 3.F};
  return {{"stem.bn.weight", {DType::f32, {3}, std::as_bytes(std::span(values))}}};
}

}  // namespace

TEST_CASE("write_checkpoint: Checkpoint::open gives back space, preprocessing, labels, record and tensors") {
  const CheckpointInfo info{
      testing::tiny_space(), Preprocessing{}, {"a", "b", "c"}, "stripes", {{"epochs", 2}}};
  write_checkpoint(kPath, info, one_tensor());
  const Checkpoint read = Checkpoint::open(kPath);
  CHECK(read.info.space.sha256() == info.space.sha256());
  CHECK(read.info.class_names == info.class_names);
  CHECK(read.info.dataset == "stripes");
  CHECK(read.info.record == info.record);
  CHECK(read.tensors.at("stem.bn.weight").floats()[2] == 3.F);
  CHECK(read.weights_sha256 == tensors_sha256(one_tensor()));
  fs::remove(kPath);
}

TEST_CASE("Checkpoint::open: foreign, newer, truncated and mislabelled files are refused by name") {
  write_safetensors(kPath, one_tensor(), {});
  CHECK(message_of_open().find("no dsn.checkpoint metadata") != std::string::npos);
  write_safetensors(kPath, one_tensor(), {{"dsn.checkpoint", "{oops"}});
  CHECK(message_of_open().find("not JSON") != std::string::npos);
  write_safetensors(kPath, one_tensor(), {{"dsn.checkpoint", R"({"schema_version": 7})"}});
  CHECK(message_of_open().find("version 7 is newer") != std::string::npos);

  CheckpointInfo info{testing::tiny_space(), Preprocessing{}, {"only one"}, "stripes", Json()};
  write_checkpoint(kPath, info, one_tensor());
  CHECK(message_of_open().find("3 names or none") != std::string::npos);

  info.class_names.clear();
  write_checkpoint(kPath, info, one_tensor());
  fs::resize_file(kPath, fs::file_size(kPath) - 4);
  CHECK(message_of_open().find(kPath.string()) != std::string::npos);
  fs::remove(kPath);
}

}  // namespace dsn
