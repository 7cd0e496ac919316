// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train.h"

#include <doctest/doctest.h>

#include "dsn/supernet/evaluate.h"
#include "tiny.h"

namespace dsn {
namespace {

using testing::StripeDataset;
using testing::tiny_space;

struct Folder {
  fs::path path = fs::temp_directory_path() / "dsn_train_test";
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
};

TrainOptions quick() {
  TrainOptions options;
  options.epochs = 6;
  options.batch = 32;
  options.learning_rate = 0.1;
  options.workers = 2;
  options.ema_decay = 0.9;
  options.augmentation = {1, false, 0, 1};
  options.calibration_images = 96;
  options.evaluate_every = 3;
  return options;
}

CheckpointInfo info() {
  return {tiny_space(), Preprocessing{1, {0.5F}, {0.25F}, 1.0}, {}, "stripes", Json()};
}

// Stops after so many looks.
struct StopAfter : Job {
  explicit StopAfter(int looks) : left(looks) {}
  [[nodiscard]] bool stop_requested() const noexcept override { return left-- <= 0; }
  mutable int left;
};

}  // namespace

TEST_CASE("train_supernet: learns, and every sub-network of the space is far above chance") {
  const Folder folder;
  const StripeDataset train(480, 1, "stripes/train"), val(150, 2, "stripes/val");
  const fs::path out = folder.path / "net.safetensors";
  train_supernet(info(), train, val, quick(), {out, folder.path / "curve.jsonl", false}, silent_job());
  CHECK_FALSE(fs::exists(out.string() + ".state"));

  const Checkpoint checkpoint = Checkpoint::open(out);
  CHECK(checkpoint.info.record["validation"]["accuracy_largest"].get<double>() > 0.9);
  CHECK(checkpoint.info.record["curve"].size() == 6);
  CHECK(read_file(folder.path / "curve.jsonl").find("\"epoch\":6") != std::string::npos);
  Supernet net(checkpoint.info.space, checkpoint.tensors);
  std::vector<SubnetConfig> configs{net.space().smallest()};
  Rng rng(2);
  for (int i = 0; i < 4; ++i) configs.push_back(net.space().sample(rng));
  EvaluateOptions options;
  options.calibration_images = 200;
  for (const Evaluation& e :
       evaluate(net, configs, train, val, checkpoint.info.preprocessing, options, silent_job())) {
    CHECK(e.accuracy > 0.75);
  }
}

TEST_CASE("train_supernet: interrupted and resumed equals never interrupted, bit for bit") {
  const Folder folder;
  const StripeDataset train(200, 1, "stripes/train"), val(60, 2, "stripes/val");
  TrainOptions options = quick();
  options.epochs = 3;
  const fs::path whole = folder.path / "whole.safetensors", parts = folder.path / "parts.safetensors";
  train_supernet(info(), train, val, options, {whole, {}, false}, silent_job());

  StopAfter stop(9);  // in the middle of the second epoch
  try {
    train_supernet(info(), train, val, options, {parts, {}, false}, stop);
    FAIL("was not interrupted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::interrupted);
  }
  CHECK_FALSE(fs::exists(parts));
  train_supernet(info(), train, val, options, {parts, {}, true}, silent_job());
  CHECK(Checkpoint::open(parts).weights_sha256 == Checkpoint::open(whole).weights_sha256);
}

TEST_CASE("train_supernet: stopped after an epoch it writes a checkpoint, and resumed it ends as if never stopped") {
  const Folder folder;
  const StripeDataset train(200, 1, "stripes/train"), val(60, 2, "stripes/val");
  TrainOptions options = quick();
  options.epochs = 3;
  const fs::path whole = folder.path / "whole.safetensors", parts = folder.path / "parts.safetensors";
  train_supernet(info(), train, val, options, {whole, {}, false}, silent_job());
  options.stop_after = 2;
  train_supernet(info(), train, val, options, {parts, {}, false}, silent_job());
  CHECK(Checkpoint::open(parts).info.record["train"]["epochs_done"] == 2);
  CHECK(fs::exists(parts.string() + ".state"));
  options.stop_after = 0;
  train_supernet(info(), train, val, options, {parts, {}, true}, silent_job());
  CHECK(Checkpoint::open(parts).weights_sha256 == Checkpoint::open(whole).weights_sha256);
  CHECK_FALSE(fs::exists(parts.string() + ".state"));
}

TEST_CASE("train_supernet: a state of other options, a missing one and a truncated one are refused") {
  const Folder folder;
  const StripeDataset train(100, 1, "stripes/train"), val(30, 2, "stripes/val");
  TrainOptions options = quick();
  const fs::path out = folder.path / "net.safetensors";
  const auto code_of = [&](const TrainOptions& o) {
    try {
      train_supernet(info(), train, val, o, {out, {}, true}, silent_job());
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::failed;
  };
  CHECK(code_of(options) == ErrorCode::not_found);
  StopAfter stop(2);
  CHECK_THROWS_AS(train_supernet(info(), train, val, options, {out, {}, false}, stop), Error);
  options.learning_rate = 0.3;
  CHECK(code_of(options) == ErrorCode::mismatch);
  options.learning_rate = 0.1;
  fs::resize_file(out.string() + ".state", 100);
  CHECK(code_of(options) == ErrorCode::bad_input);
}

TEST_CASE("train_supernet: a loss that is no longer finite ends it and leaves no checkpoint") {
  const Folder folder;
  const StripeDataset train(200, 1, "stripes/train"), val(30, 2, "stripes/val");
  TrainOptions options = quick();
  options.learning_rate = 1e30;
  options.warmup_epochs = 0;
  options.clip_norm = 0;
  const fs::path out = folder.path / "net.safetensors";
  try {
    train_supernet(info(), train, val, options, {out, {}, false}, silent_job());
    FAIL("went on");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::failed);
    CHECK(error.message().find("loss") != std::string::npos);
  }
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("train_supernet: batches that do not divide, or are larger than the data, are bad usage") {
  const Folder folder;
  const StripeDataset train(20, 1, "stripes/train"), val(30, 2, "stripes/val");
  TrainOptions options = quick();
  const TrainFiles files{folder.path / "net.safetensors", {}, false};
  CHECK_THROWS_AS(train_supernet(info(), train, val, options, files, silent_job()), Error);
  options.batch = 15;
  CHECK_THROWS_AS(train_supernet(info(), train, val, options, files, silent_job()), Error);
}

}  // namespace dsn
