// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/evaluate.h"

#include <doctest/doctest.h>

#include <limits>
#include <thread>

#include "dsn/core/error.h"
#include "dsn/supernet/logits.h"
#include "dsn/supernet/pass_count.h"
#include "tiny.h"

namespace dsn {
namespace {

using testing::StripeDataset;
using testing::tiny_space;

Supernet noisy(const SearchSpace& space) {
  Supernet net(space, 3);
  torch::manual_seed(4);
  torch::NoGradGuard no_grad;
  for (auto& [name, p] : net.parameters()) p.add_(torch::randn_like(p) * 0.1);
  for (auto& [name, b] : net.buffers()) b.add_(torch::rand_like(b) * 0.5);
  return net;
}

PassCount counted(Supernet& net, const SubnetConfig& config) {
  torch::NoGradGuard no_grad;
  const PassCounter counter(net);
  (void)net.forward(torch::rand({2, net.space().in_channels(), config.r, config.r}), config, BnMode::stored);
  return counter.count();
}

// What `call` is refused with.
template <typename Call>
Error refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("was accepted");
  return {ErrorCode::failed, ""};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("PassCounter: the operations of random sub-networks have the MACs and parameters of their units") {
  std::vector<SearchSpace> spaces{tiny_space()};
  for (const std::string& name : SearchSpace::shipped())
    spaces.push_back(SearchSpace::load(name, 0.25, 10).with_resolution(32));
  CHECK(spaces.size() > 4);
  for (const SearchSpace& space : spaces) {
    CAPTURE(space.name());
    Supernet net = noisy(space);
    Rng rng(17);
    std::vector<SubnetConfig> configs{space.largest(), space.smallest()};
    for (int i = 0; i < 4; ++i) configs.push_back(space.sample(rng));
    for (SubnetConfig& config : configs) {
      config.r = space.resolutions().front();  // the largest are slow
      const Network network = make_network(space, config);
      const PassCount count = counted(net, config);
      CHECK(count.macs == network.macs());
      CHECK(count.params == network.params());
      CHECK_NOTHROW(require_count(count, network, "it"));
    }
  }
}

TEST_CASE("require_count: a pass of another sub-network than the one asked for is refused with both counts") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  const PassCount count = counted(net, space.largest());
  const Network smallest = make_network(space, space.smallest());
  const Error error = refusal([&] { require_count(count, smallest, "level 3"); });
  CHECK(error.code() == ErrorCode::mismatch);
  CHECK(has(error.message(), "level 3"));
  CHECK(has(error.message(), std::to_string(count.macs)));
  CHECK(has(error.message(), std::to_string(smallest.macs())));

  PassCount params_only = counted(net, space.smallest());
  params_only.params += 1;
  CHECK(has(refusal([&] { require_count(params_only, smallest, "x"); }).message(), "parameters"));
}

TEST_CASE("PassCounter: counts its own thread while it lives, and nothing before or after") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  (void)counted(net, space.smallest());
  torch::NoGradGuard no_grad;
  const torch::Tensor x = torch::rand({1, 1, 12, 12});
  const PassCounter outer(net);
  {
    const PassCounter inner(net);
    (void)net.forward(x, space.smallest(), BnMode::stored);
    CHECK(inner.count().macs == make_network(space, space.smallest()).macs());
  }
  std::thread([&] {
    torch::NoGradGuard also_no_grad;
    (void)net.forward(x, space.smallest(), BnMode::stored);
  }).join();
  CHECK(outer.count().macs == 0);
}

TEST_CASE("evaluate: counts are those of the logits, the same for any number of threads") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  const StripeDataset calibration(60, 1, "stripes/train"), data(130, 2, "stripes/test");
  const Preprocessing how;
  EvaluateOptions options;
  options.calibration_images = 50;
  options.calibration_batch = 20;
  options.batch = 40;
  std::vector<SubnetConfig> configs{space.largest(), space.smallest()};
  Rng rng(9);
  for (int i = 0; i < 5; ++i) configs.push_back(space.sample(rng));
  const auto one = evaluate(net, configs, calibration, data, how, options, silent_job());
  for (const int threads : {2, 5}) {
    options.threads = threads;
    const auto more = evaluate(net, configs, calibration, data, how, options, silent_job());
    for (std::size_t i = 0; i < configs.size(); ++i) {
      CHECK(more[i].confusion == one[i].confusion);
      CHECK(more[i].top5 == one[i].top5);
      for (const auto& [name, stats] : one[i].bn) {
        CHECK(torch::equal(more[i].bn.at(name).mean, stats.mean));
        CHECK(torch::equal(more[i].bn.at(name).variance, stats.variance));
      }
    }
  }
  // By hand, image by image.
  torch::NoGradGuard no_grad;
  ConfusionMatrix expected(3);
  for (std::size_t i = 0; i < data.size(); ++i) {
    torch::Tensor x = torch::empty({1, 1, 12, 12});
    preprocess(data.image(i), how, 12, std::span(x.data_ptr<float>(), 144));
    const torch::Tensor logits = net.forward(x, space.smallest(), BnMode::stored, &one[1].bn);
    expected.add(data.label(i), logits.argmax(1).item<std::int64_t>());
  }
  CHECK(one[1].confusion == expected);
  CHECK(one[1].images() == 130);
  CHECK(one[1].top5 == 130);  // three classes: the label is always among five
}

TEST_CASE("evaluate: given statistics give what calibrating gave, shared ones do not") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  const StripeDataset calibration(60, 1, "stripes/train"), data(90, 2, "stripes/test");
  const EvaluateOptions options{.calibration_images = 50};
  const SubnetConfig config = space.smallest();
  const auto calibrated =
      evaluate(net, std::vector{config}, calibration, data, Preprocessing{}, options, silent_job());
  const std::vector<EvaluateTask> tasks{{config, BnSource::given, calibrated[0].bn},
                                        {config, BnSource::shared, {}}};
  const auto results = evaluate(net, tasks, nullptr, data, Preprocessing{}, options, silent_job());
  CHECK(results[0].confusion == calibrated[0].confusion);
  CHECK_FALSE(results[1].confusion == calibrated[0].confusion);
  CHECK(results[1].bn.empty());
}

TEST_CASE("evaluate: statistics of another sub-network, and a part of them, are refused, never filled up") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  const StripeDataset data(20, 2, "stripes/test");
  const auto run = [&](BnTensorMap bn) {
    const std::vector<EvaluateTask> tasks{{space.smallest(), BnSource::given, std::move(bn)}};
    (void)evaluate(net, tasks, nullptr, data, Preprocessing{}, {}, silent_job());
  };
  BnTensorMap own = net.calibrate({torch::rand({8, 1, 12, 12})}, space.smallest());
  CHECK_NOTHROW(run(own));
  BnTensorMap partial = own;
  partial.erase("final_expand.bn");
  Error error = refusal([&] { run(partial); });
  CHECK(error.code() == ErrorCode::mismatch);
  CHECK(has(error.message(), "final_expand.bn: found none"));
  error = refusal([&] { run(net.calibrate({torch::rand({8, 1, 16, 16})}, space.largest())); });
  CHECK(error.code() == ErrorCode::mismatch);
  BnTensorMap more = own;
  more["blocks.1.depth.bn"] = own.begin()->second;
  CHECK(has(refusal([&] { run(more); }).message(), "expected those of its"));
}

TEST_CASE("evaluate: no images, no calibration images and weights that are not finite are errors") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  const StripeDataset none(0, 1, "none"), data(20, 2, "stripes/test");
  const std::vector<EvaluateTask> tasks{{space.smallest(), BnSource::calibrated, {}}};
  CHECK(refusal([&] { (void)evaluate(net, tasks, &data, none, {}, {}, silent_job()); }).code() ==
        ErrorCode::bad_input);
  CHECK(refusal([&] { (void)evaluate(net, tasks, nullptr, data, {}, {}, silent_job()); }).code() ==
        ErrorCode::bad_usage);
  torch::NoGradGuard no_grad;
  net.parameters().at("classifier.bias").fill_(std::numeric_limits<float>::quiet_NaN());
  CHECK(has(refusal([&] { (void)evaluate(net, tasks, &data, data, {}, {}, silent_job()); }).message(),
            "not finite"));
}

TEST_CASE("evaluate: the job hears of progress up to one per task, and can stop it") {
  struct Listener : Job {
    double last = 0;
    int calls = 0;
    bool stop = false;
    void advance(double done, std::string_view) override {
      CHECK(done >= last);
      last = done;
      stop = stop || ++calls == stop_after;
    }
    [[nodiscard]] bool stop_requested() const noexcept override { return stop; }
    int stop_after = -1;
  };
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  const StripeDataset data(200, 2, "stripes/test");
  EvaluateOptions options{.batch = 20};
  Listener job;
  const std::vector<SubnetConfig> configs{space.smallest(), space.largest()};
  (void)evaluate(net, configs, data, data, Preprocessing{}, options, job);
  CHECK(job.last == doctest::Approx(2));
  CHECK(job.calls > 10);
  Listener stopping;
  stopping.stop_after = 3;
  CHECK(refusal([&] {
          (void)evaluate(net, configs, data, data, Preprocessing{}, options, stopping);
        }).code() == ErrorCode::interrupted);
  CHECK(stopping.calls == 3);
}

TEST_CASE("logits_of: many images give what each gives alone; another shape is refused by name") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  std::vector<float> values(70 * 144);
  Rng rng(3);
  for (float& v : values) v = static_cast<float>(rng.normal());
  const auto view = [&](std::vector<std::int64_t> shape, std::size_t first, std::size_t count) {
    return TensorView{DType::f32, std::move(shape), std::as_bytes(std::span(values).subspan(first, count))};
  };
  const auto all = logits_of(net, space.smallest(), view({70, 1, 12, 12}, 0, 70 * 144), "x", {});
  REQUIRE(all.size() == 70);
  const auto last = logits_of(net, space.smallest(), view({1, 1, 12, 12}, 69 * 144, 144), "x", {});
  for (std::size_t k = 0; k < 3; ++k) CHECK(all[69][k] == doctest::Approx(last[0][k]).epsilon(1e-4));
  const Error error = refusal([&] {
    (void)logits_of(net, space.smallest(), view({1, 1, 16, 9}, 0, 144), "f: images", {});
  });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(error.message() == "f: images: found F32 [1, 1, 16, 9], expected F32 [N, 1, 12, 12]");
}

TEST_CASE("calibrate_on: mean and biased variance of exactly that batch") {
  const SearchSpace space = tiny_space();
  Supernet net = noisy(space);
  std::vector<float> values(10 * 144);
  Rng rng(5);
  for (float& v : values) v = static_cast<float>(rng.normal() * 2 + 1);
  const TensorView batch{DType::f32, {10, 1, 12, 12}, std::as_bytes(std::span(values))};
  const BnTensorMap bn = calibrate_on(net, space.smallest(), batch, "x");
  torch::NoGradGuard no_grad;
  const torch::Tensor x = torch::from_blob(values.data(), {10, 1, 12, 12});
  const torch::Tensor stem = torch::conv2d(x, net.parameters().at("stem.conv.weight"), {}, 1, 1);
  CHECK((bn.at("stem.bn").mean - stem.mean({0, 2, 3})).abs().max().item<double>() < 1e-5);
  CHECK((bn.at("stem.bn").variance - stem.var({0, 2, 3}, false)).abs().max().item<double>() < 1e-4);
}

}  // namespace dsn
