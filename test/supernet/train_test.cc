// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train.h"

#include <doctest/doctest.h>

#include <cmath>

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
    CHECK(e.accuracy() > 0.75);
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

TEST_CASE(
    "train_supernet: stopped after an epoch it writes a checkpoint, and resumed it ends as if never "
    "stopped") {
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

TEST_CASE(
    "train_supernet: derailed by an absurd learning rate it goes back, lowers it and learns after all") {
  const Folder folder;
  const StripeDataset train(480, 1, "stripes/train"), val(150, 2, "stripes/val");
  TrainOptions options = quick();
  options.learning_rate = 1e6;
  options.warmup_epochs = 0;
  options.clip_norm = 0;
  options.guard.lr_factor = 1e-7;
  const fs::path out = folder.path / "net.safetensors", curve = folder.path / "curve.jsonl";
  train_supernet(info(), train, val, options, {out, curve, false}, silent_job());
  const Json record = Checkpoint::open(out).info.record;
  CHECK(record["train"]["rollbacks"] == 1);
  CHECK(record["train"]["lr_scale"] == 1e-7);
  CHECK(record["validation"]["accuracy_largest"].get<double>() > 0.9);
  std::size_t epochs = 0, rollbacks = 0;
  for (const Json& row : record["curve"]) {
    if (!row.contains("event")) {
      CHECK(row["epoch"] == ++epochs);
    } else if (row["event"] == "rollback") {
      ++rollbacks;
      CHECK(row["lr_scale"] == 1e-7);
      CHECK(row["reason"].get<std::string>().find_first_of("lg") == 0);  // loss or gradient
    }
  }
  CHECK(epochs == 6);
  CHECK(rollbacks == 1);
  CHECK(read_file(curve).find("\"event\":\"rollback\"") != std::string::npos);
}

TEST_CASE(
    "train_supernet: a hopeless training ends as failed after its rollbacks, and the last good state stays") {
  const Folder folder;
  const StripeDataset train(200, 1, "stripes/train"), val(30, 2, "stripes/val");
  TrainOptions options = quick();
  options.learning_rate = 1e30;
  options.warmup_epochs = 0;
  options.clip_norm = 0;
  options.guard.rollbacks = 2;
  const fs::path out = folder.path / "net.safetensors";
  const auto failure = [&](bool resume) {
    try {
      train_supernet(info(), train, val, options, {out, {}, resume}, silent_job());
    } catch (const Error& error) {
      CHECK((error.code() == ErrorCode::failed));
      return error.message();
    }
    return std::string("went on");
  };
  CHECK(failure(false).find("2 rollback") != std::string::npos);
  CHECK_FALSE(fs::exists(out));
  const TensorFile state = TensorFile::open(out.string() + ".state");
  for (const float w : state.at("raw/classifier.weight").floats()) CHECK(std::isfinite(w));
  // More rollbacks go on from there, and are counted on.
  options.guard.rollbacks = 3;
  CHECK(failure(true).find("3 rollback") != std::string::npos);
}

TEST_CASE(
    "train_supernet: method shrink goes through its phases, learns, and resumes in the right one bit for "
    "bit") {
  const Folder folder;
  const StripeDataset train(200, 1, "stripes/train"), val(90, 2, "stripes/val");
  TrainOptions options = quick();
  options.method = Method::shrink;
  options.epochs = 9;
  options.evaluate_every = 1;
  const fs::path whole = folder.path / "whole.safetensors", parts = folder.path / "parts.safetensors";
  train_supernet(info(), train, val, options, {whole, {}, false}, silent_job());
  const Checkpoint checkpoint = Checkpoint::open(whole);
  const Json& record = checkpoint.info.record;
  REQUIRE(record["plan"].size() == 4);
  CHECK(record["curve"].front()["phase"] == "full");
  CHECK(record["curve"].back()["phase"] == "expand 1");
  CHECK(record["validation"]["accuracy_largest"].get<double>() > 0.8);
  CHECK(record["validation"]["accuracy_smallest"].get<double>() > 0.6);

  // Stopped in the full network's phase, at a phase's first step, and with the teacher at work.
  bool resume = false;
  for (const int looks : {9, 16, 20}) {
    StopAfter stop(looks);
    CHECK_THROWS_AS(train_supernet(info(), train, val, options, {parts, {}, resume}, stop), Error);
    resume = true;
  }
  train_supernet(info(), train, val, options, {parts, {}, true}, silent_job());
  CHECK(Checkpoint::open(parts).weights_sha256 == checkpoint.weights_sha256);
}

TEST_CASE(
    "train_supernet: method static trains one sub-network, says so in the record, and leaves the others "
    "behind") {
  const Folder folder;
  const StripeDataset train(480, 1, "stripes/train"), val(150, 2, "stripes/val");
  TrainOptions options = quick();
  options.method = Method::fixed;
  options.subnet = tiny_space().canonical(tiny_space().smallest());
  const fs::path out = folder.path / "net.safetensors";
  train_supernet(info(), train, val, options, {out, {}, false}, silent_job());
  const Checkpoint checkpoint = Checkpoint::open(out);
  const Json& record = checkpoint.info.record;
  CHECK(record["only_subnet"] == tiny_space().to_json(*options.subnet));
  CHECK(record["validation"]["accuracy"].get<double>() > 0.85);
  CHECK(record["curve"].back()["accuracy"] == record["validation"]["accuracy"]);
  Supernet net(checkpoint.info.space, checkpoint.tensors);
  EvaluateOptions evaluation;
  evaluation.calibration_images = 200;
  const auto results = evaluate(net, {*options.subnet, net.space().largest()}, train, val,
                                checkpoint.info.preprocessing, evaluation, silent_job());
  CHECK(results[0].accuracy() > results[1].accuracy());
}

TEST_CASE("train_supernet: the number of loader threads changes nothing") {
  const Folder folder;
  const StripeDataset train(200, 1, "stripes/train"), val(60, 2, "stripes/val");
  TrainOptions options = quick();
  options.epochs = 2;
  std::vector<std::string> hashes;
  for (const int loaders : {1, 3}) {
    options.loaders = loaders;
    const fs::path out = folder.path / "net.safetensors";
    train_supernet(info(), train, val, options, {out, {}, false}, silent_job());
    hashes.push_back(Checkpoint::open(out).weights_sha256);
  }
  CHECK(hashes[0] == hashes[1]);
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
