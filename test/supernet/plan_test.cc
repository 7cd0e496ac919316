// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/plan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>

#include "dsn/core/error.h"
#include "dsn/supernet/loss_watch.h"
#include "tiny.h"

namespace dsn {
namespace {

TrainOptions with(Method method, int epochs) {
  TrainOptions options;
  options.method = method;
  options.epochs = epochs;
  return options;
}

std::vector<std::string> names(const TrainPlan& plan) {
  std::vector<std::string> out;
  for (const TrainPhase& p : plan.phases) out.push_back(p.name);
  return out;
}

}  // namespace

TEST_CASE("make_plan: shrinking has Once-for-All's phases, proportions and learning rates") {
  TrainOptions options = with(Method::shrink, 605);
  options.learning_rate = 2.6;
  const TrainPlan plan = make_plan(SearchSpace::load("fmnist-mbv3"), options);
  REQUIRE(names(plan) ==
          std::vector<std::string>{"full", "kernel", "depth 1", "depth 2", "expand 1", "expand 2"});
  const std::vector<int> epochs{180, 125, 25, 125, 25, 125};
  const std::vector<double> rates{2.6, 0.96, 0.08, 0.24, 0.08, 0.24};
  const std::vector<int> subnets{1, 1, 2, 2, 4, 4};
  int first = 0;
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    CAPTURE(i);
    CHECK(plan.phases[i].epochs == epochs[i]);
    CHECK(plan.phases[i].first_epoch == first);
    CHECK(plan.phases[i].learning_rate == doctest::Approx(rates[i]));
    CHECK(plan.phases[i].subnets == subnets[i]);
    CHECK((plan.phases[i].rule == (i == 0 ? StepRule::labels : StepRule::distil)));
    CHECK(plan.phases[i].sort_channels == (i == 4));
    CHECK(plan.phase_of(first) == i);
    CHECK(plan.phase_of(first + epochs[i] - 1) == i);
    first += epochs[i];
  }
}

TEST_CASE("make_plan: a phase samples what its name says and nothing more, always within the whole space") {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  const TrainPlan plan = make_plan(space, with(Method::shrink, 24));
  int total = 0;
  for (const TrainPhase& phase : plan.phases) {
    CAPTURE(phase.name);
    total += phase.epochs;
    std::set<int> resolutions, kernels, depths;
    std::set<double> expands;
    Rng rng(3);
    for (int i = 0; i < 200; ++i) {
      const SubnetConfig config = phase.space.sample(rng);
      CHECK_NOTHROW(space.validate(config));
      resolutions.insert(config.r);
      for (int s = 0; s < space.stage_count(); ++s) {
        depths.insert(config.d[static_cast<std::size_t>(s)]);
        for (int b = 0; b < config.d[static_cast<std::size_t>(s)]; ++b) {
          kernels.insert(config.k[static_cast<std::size_t>(space.first_block(s) + b)]);
          expands.insert(config.e[static_cast<std::size_t>(space.first_block(s) + b)]);
        }
      }
    }
    const bool past_kernel = phase.name != "full";
    CHECK(resolutions == std::set<int>{24, 28});
    CHECK(kernels == (past_kernel ? std::set<int>{3, 5} : std::set<int>{5}));
    CHECK(depths == (phase.name == "full" || phase.name == "kernel" ? std::set<int>{3}
                     : phase.name == "depth 1"                      ? std::set<int>{2, 3}
                                                                    : std::set<int>{1, 2, 3}));
    CHECK(expands == (phase.name == "expand 1"   ? std::set<double>{3, 4}
                      : phase.name == "expand 2" ? std::set<double>{2, 3, 4}
                                                 : std::set<double>{4}));
  }
  CHECK(total == 24);
  CHECK(plan.phases.back().space.sha256() == space.sha256());
}

TEST_CASE("make_plan: phases that add nothing are left out, and too few epochs are bad usage") {
  const TrainPlan plan = make_plan(testing::tiny_space(), with(Method::shrink, 9));
  CHECK(names(plan) == std::vector<std::string>{"full", "kernel", "depth 1", "expand 1"});
  CHECK(plan.phases.back().first_epoch + plan.phases.back().epochs == 9);
  for (const TrainPhase& p : plan.phases) CHECK(p.epochs >= 1);
  CHECK_THROWS_AS((void)make_plan(testing::tiny_space(), with(Method::shrink, 3)), Error);
}

TEST_CASE("make_plan: every shipped space can be shrunk, and what its phases sample is of the whole space") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const SearchSpace space = SearchSpace::load(name);
    const TrainPlan plan = make_plan(space, with(Method::shrink, 100));
    Rng rng(5);
    for (const TrainPhase& phase : plan.phases) {
      CAPTURE(phase.name);
      for (int i = 0; i < 20; ++i)
        CHECK_NOTHROW(space.validate(in_whole_space(space, phase.space.sample(rng))));
      CHECK(in_whole_space(space, phase.space.largest()) == space.canonical(space.largest()));
    }
    CHECK(plan.phases.back().space.sha256() == space.sha256());
  }
}

TEST_CASE("make_plan: static needs a sub-network, and only static takes one") {
  const SearchSpace space = testing::tiny_space();
  TrainOptions options = with(Method::fixed, 5);
  CHECK_THROWS_AS((void)make_plan(space, options), Error);
  options.subnet = space.smallest();
  const TrainPlan plan = make_plan(space, options);
  REQUIRE(plan.phases.size() == 1);
  CHECK((plan.phases[0].rule == StepRule::labels));
  CHECK(plan.phases[0].elastic == "nothing");
  options.method = Method::sandwich;
  CHECK_THROWS_AS((void)make_plan(space, options), Error);
}

TEST_CASE("TrainPhase::learning_rate_at: rises through the warm-up, then falls to zero at the phase's end") {
  TrainPhase phase{"x", "", testing::tiny_space()};
  phase.first_epoch = 10;
  phase.epochs = 5;
  phase.learning_rate = 0.4;
  phase.warmup_epochs = 1;
  CHECK(phase.learning_rate_at(10) < 0.001);
  CHECK(phase.learning_rate_at(10.5) == doctest::Approx(0.2).epsilon(0.01));
  CHECK(phase.learning_rate_at(11) == doctest::Approx(0.4));
  CHECK(phase.learning_rate_at(13) == doctest::Approx(0.2));
  CHECK(phase.learning_rate_at(15) == doctest::Approx(0).epsilon(1e-9));
}

TEST_CASE("same_training: an older state lacks the method and is sandwich; the guard may change") {
  const SearchSpace space = testing::tiny_space();
  TrainOptions options;
  const Json now = to_json(options, space);
  Json old = now;
  for (const char* key : {"method", "subnet", "guard"}) old.erase(key);
  CHECK(same_training(old, now));
  options.guard.rollbacks = 99;
  CHECK(same_training(now, to_json(options, space)));
  options.method = Method::shrink;
  CHECK_FALSE(same_training(old, to_json(options, space)));
  options = {};
  options.seed = 2;
  CHECK_FALSE(same_training(old, to_json(options, space)));
  old.erase("seed");
  CHECK_FALSE(same_training(old, now));
  CHECK_FALSE(same_training(Json(), now));
}

TEST_CASE("same_training: ranks times workers is what counts") {
  const SearchSpace space = testing::tiny_space();
  TrainOptions options;
  options.workers = 2;
  const Json one_rank = to_json(options, space);
  options.workers = 1;
  CHECK(same_training(one_rank, to_json(options, space, 2)));
  CHECK_FALSE(same_training(one_rank, to_json(options, space, 1)));
}

TEST_CASE("LossWatch: noise and slow drift pass, a jump and what is not finite do not") {
  GuardOptions options;
  LossWatch watch(options);
  Rng rng(1);
  for (int i = 0; i < 400; ++i) {
    CAPTURE(i);
    CHECK(watch.check(2.0 - 0.003 * i + 0.05 * rng.normal(), 1.0).empty());
  }
  CHECK(watch.recent().size() == options.window);
  const auto before = watch.recent();
  CHECK(watch.check(8.0, 1.0).find("median") != std::string::npos);
  CHECK_FALSE(watch.check(std::numeric_limits<double>::quiet_NaN(), 1.0).empty());
  CHECK_FALSE(watch.check(0.8, std::numeric_limits<double>::infinity()).empty());
  CHECK(watch.recent() == before);  // what was refused is no yardstick
  options.spike = 0;
  LossWatch finite_only(options);
  finite_only.set_recent(before);
  CHECK(finite_only.check(1e6, 1.0).empty());
  LossWatch young(GuardOptions{});
  for (const double loss : {2.0, 2.0, 2.0, 9.0}) CHECK(young.check(loss, 1.0).empty());
  CHECK(young.check(91.0, 1.0).find("highest") != std::string::npos);
}

}  // namespace dsn
