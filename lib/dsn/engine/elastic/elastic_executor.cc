// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/engine/call_rules.h"
#include "dsn/engine/elastic/elastic_executor.h"
#include "dsn/engine/elastic/runner.h"

namespace dsn {
namespace {

using namespace elastic;  // NOLINT(google-build-using-namespace)

class ElasticExecutor : public Executor {
 public:
  ElasticExecutor(const SearchSpace& space, const TensorFile& weights)
      : kernels_(kernels_for()), space_(space), weights_(Weights::shared(space, weights)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "elastic"; }

  void prepare(std::vector<LevelSpec> levels) override {
    std::vector<LevelPlan> plans;
    Needs needs;
    for (const LevelSpec& level : levels) {
      plans.push_back(make_plan(space_, *weights_, level, fmt::format("level {}", plans.size())));
      needs = larger(needs, needs_of(plans.back()));
    }
    work_.fit(needs, 1, pool_.threads());
    levels_ = std::move(plans);
    needs_ = needs;
    active_.prepared(levels_.size());
  }

  void activate(std::size_t index) override { active_.activate(index); }

  [[nodiscard]] const Network& network() const override { return active().network; }

  void set_threads(int threads) override {
    require_threads(threads);
    if (pool_.threads() == threads) return;
    work_.fit(needs_, 1, threads);
    pool_.use(threads);
  }

  void infer(std::span<const float> input, int batch, std::span<float> logits,
             const UnitObserver* observer) override {
    const LevelPlan& level = active();
    require_sizes(level.network, batch, input.size(), logits.size());
    if (batch > work_.images) work_.fit(needs_, batch, pool_.threads());
    Runner(kernels_, pool_, work_, batch).run(level, input.data(), logits.data(), observer);
  }

  [[nodiscard]] MemoryUse memory() const override {
    MemoryUse use{weights_->bytes(), 0, work_.bytes()};
    for (const LevelPlan& level : levels_) use.levels += level.bytes();
    return use;
  }

 private:
  static Needs larger(const Needs& a, const Needs& b) {
    return {std::max(a.plane, b.plane), std::max(a.middle, b.middle), std::max(a.padded, b.padded),
            std::max(a.vector, b.vector), std::max(a.ring, b.ring)};
  }

  const LevelPlan& active() const { return levels_[active_.index()]; }

  const Kernels& kernels_;
  SearchSpace space_;
  std::shared_ptr<const Weights> weights_;
  Workspace work_;
  TaskPool pool_;  // goes first: its threads use the rest
  Needs needs_;
  std::vector<LevelPlan> levels_;
  ActiveLevel active_;
};

}  // namespace

std::unique_ptr<Executor> make_elastic_executor(const SearchSpace& space, const TensorFile& weights,
                                                const std::string& device) {
  if (device != "cpu") {
    throw Error(ErrorCode::unsupported,
                fmt::format("the elastic engine does not run on device \"{}\"", device),
                "use --device cpu, or --engine torch");
  }
  return std::make_unique<ElasticExecutor>(space, weights);
}

}  // namespace dsn
