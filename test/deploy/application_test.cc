// SPDX-License-Identifier: Apache-2.0
// Application and the C API over it: on a bundle of a whole small network, with this build's executor.
#include "dsn/deploy/application.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/random.h"
#include "dsn/dsn.h"
#include "fakes/small_bundle.h"
#include "fakes/temp_folder.h"

using dsn::Application;
using dsn::ApplicationOptions;
using dsn::Error;
using dsn::ErrorCode;
using dsn::fakes::TempFolder;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

dsn::Image noise_image(int width, int height, std::uint64_t seed) {
  dsn::Rng rng(seed);
  dsn::Image image{width, height, 1, {}};
  for (int i = 0; i < width * height; ++i) image.pixels.push_back(static_cast<std::uint8_t>(rng.below(256)));
  return image;
}

// Bundle and platform file of it.
struct Setup {
  TempFolder temp;
  // A bundle needs costs of some engine, also where there is none to run it.
  dsn::fakes::SmallBundle bundle = dsn::fakes::write_small_bundle(
      temp.path(), dsn::executor_names().empty() ? std::vector<std::string>{"none"} : dsn::executor_names());
  ApplicationOptions options;

  Setup() {
    options.goal.target_s = 0.5;
    options.platform = bundle.platform;
  }
};

ErrorCode code_of(const Setup& setup, const ApplicationOptions& options) {
  try {
    const Application app(setup.bundle.path, options);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("expected an error");
  return ErrorCode::failed;
}

}  // namespace

TEST_CASE("Application: answers as the executor does on the same image, at the level it names") {
  if (dsn::executor_names().empty()) return;
  const Setup setup;
  for (const char* policy : {"static:smallest", "static:largest"}) {
    ApplicationOptions options = setup.options;
    options.policy = policy;
    Application app(setup.bundle.path, options);
    CHECK(app.logits().empty());
    const dsn::Image image = noise_image(40, 30, 3);
    const dsn::Answer answer = app.classify(image);
    const dsn::Bundle& bundle = app.bundle();
    CHECK(answer.level == (std::string(policy) == "static:smallest" ? 0 : 1));
    CHECK(answer.latency_s > 0);
    CHECK(answer.met == (answer.latency_s <= 0.5));
    CHECK(app.class_name(answer.class_index) ==
          bundle.class_names[static_cast<std::size_t>(answer.class_index)]);

    const auto executor = dsn::make_executor("auto", bundle.space, bundle.weights);
    executor->prepare(bundle.levels);
    executor->activate(static_cast<std::size_t>(answer.level));
    const int r = executor->network().resolution;
    std::vector<float> input(static_cast<std::size_t>(r * r)), logits(bundle.class_names.size());
    dsn::preprocess(image, bundle.preprocessing, r, input);
    executor->infer(input, 1, logits);
    REQUIRE(app.logits().size() == logits.size());
    double sum = 0;
    for (std::size_t c = 0; c < logits.size(); ++c) {
      CHECK(app.logits()[c] == doctest::Approx(logits[c]));
      sum += std::exp(logits[c] - logits[static_cast<std::size_t>(answer.class_index)]);
      CHECK(logits[c] <= logits[static_cast<std::size_t>(answer.class_index)]);
    }
    CHECK(answer.confidence == doctest::Approx(1 / sum));
  }
}

TEST_CASE(
    "Application: the age of a frame counts, and a goal that nothing meets is refused and changes nothing") {
  if (dsn::executor_names().empty()) return;
  const Setup setup;
  Application app(setup.bundle.path, setup.options);
  const dsn::Image image = noise_image(28, 28, 1);
  CHECK(app.classify(image).met);
  const dsn::Answer late = app.classify(image, 2.0);
  CHECK(late.latency_s > 2.0);
  CHECK_FALSE(late.met);
  CHECK_THROWS_AS(app.classify(image, -1), Error);
  CHECK_THROWS_AS(app.classify(dsn::Image{}), Error);
  CHECK_THROWS_AS(app.set_goal({.target_s = 1e-9}), Error);
  CHECK_THROWS_AS(app.set_goal({.target_s = 0.1, .min_accuracy = 2}), Error);
  CHECK(app.goal().target_s == 0.5);
  app.set_goal({.target_s = 3});
  CHECK(app.classify(image, 2.0).met);
}

TEST_CASE("Application: what does not fit this machine or the bundle is refused with the fitting status") {
  const Setup setup;
  ApplicationOptions options = setup.options;
  if (dsn::executor_names().empty()) {
    CHECK(code_of(setup, options) == ErrorCode::unsupported);
    return;
  }
  options.goal.target_s = 1e-9;
  CHECK(code_of(setup, options) == ErrorCode::infeasible);
  options = setup.options;
  options.goal.target_s = 0;
  CHECK(code_of(setup, options) == ErrorCode::bad_usage);
  options = setup.options;
  options.policy = "static:7";
  CHECK(code_of(setup, options) == ErrorCode::bad_usage);
  options = setup.options;
  options.engine = "none";
  CHECK(code_of(setup, options) == ErrorCode::mismatch);
  options = setup.options;
  options.platform.clear();  // this machine is not the one in the bundle
  CHECK(code_of(setup, options) == ErrorCode::mismatch);
}

TEST_CASE("C API: opens, answers, takes a new goal, and closes") {
  if (dsn::executor_names().empty()) return;
  const Setup setup;
  const std::string options =
      R"({"policy": "static:largest", "warmup": 1, "platform": ")" + setup.bundle.platform.string() + "\"}";
  dsn_app* app = nullptr;
  dsn_goal goal = {0.5, 0, 0, 0};
  REQUIRE_MESSAGE(dsn_open(setup.bundle.path.c_str(), &goal, options.c_str(), &app) == 0, dsn_last_error());
  CHECK(dsn_api_version() == DSN_API_VERSION);
  CHECK(dsn_classes(app) == 10);
  CHECK(dsn_levels(app) == 2);
  CHECK(dsn_level_accuracy(app, 1) == doctest::Approx(0.93));
  CHECK(dsn_level_accuracy(app, 2) < 0);
  CHECK(dsn_logits(app) == nullptr);
  const dsn::Image image = noise_image(31, 29, 5);
  dsn_answer answer{};
  REQUIRE(dsn_classify(app, image.pixels.data(), 31, 29, 1, 0, &answer) == 0);
  CHECK(answer.level == 1);
  CHECK(answer.met == 1);
  CHECK(std::string(dsn_class_name(app, answer.class_index)) == "class" + std::to_string(answer.class_index));
  REQUIRE(dsn_logits(app) != nullptr);
  for (int c = 0; c < 10; ++c) CHECK(dsn_logits(app)[c] <= dsn_logits(app)[answer.class_index]);
  goal.target_s = 2;
  CHECK(dsn_set_goal(app, &goal) == 0);
  dsn_close(app);
  dsn_close(nullptr);
}

TEST_CASE("C API: a failure is a status, one line of what went wrong, and no crash on NULL") {
  const Setup setup;
  dsn_app* app = reinterpret_cast<dsn_app*>(1);
  const dsn_goal goal = {0.5, 0, 0, 0};
  CHECK(dsn_open((setup.temp / "nowhere").c_str(), &goal, nullptr, &app) == 2);
  CHECK(app == nullptr);
  CHECK(has(dsn_last_error(), "nowhere"));
  CHECK(dsn_open(nullptr, &goal, nullptr, &app) == 2);
  CHECK(dsn_open(setup.bundle.path.c_str(), nullptr, nullptr, &app) == 2);
  CHECK(dsn_open(setup.bundle.path.c_str(), &goal, nullptr, nullptr) == 2);
  CHECK(dsn_open(setup.bundle.path.c_str(), &goal, "{\"polcy\": 1}", &app) == 2);
  CHECK(has(dsn_last_error(), "polcy"));
  CHECK(dsn_set_goal(nullptr, &goal) == 2);
  CHECK(dsn_classify(nullptr, nullptr, 1, 1, 1, 0, nullptr) == 2);
  CHECK(dsn_classes(nullptr) == 0);
  CHECK(dsn_class_name(nullptr, 0) == nullptr);
}
