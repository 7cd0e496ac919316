// SPDX-License-Identifier: Apache-2.0
// The elastic engine on spaces, sub-networks, image sizes and batches that were drawn, against the torch
// executor, or a plain computation in builds without LibTorch. A few in the ordinary suite; scripts/fuzz.sh
// goes on for as long as it is told (DSN_FUZZ_SECONDS, from case DSN_FUZZ_FIRST on).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "drawn_case.h"
#include "dsn/engine/elastic/kernels.h"
#include "dsn/engine/executor.h"
#include "fakes/drawn_weights.h"
#include "fakes/forced_target.h"
#include "fakes/temp_folder.h"
#include "plain_network.h"
#ifdef DSN_HAVE_TORCH
#include "dsn/engine/torch_executor.h"
#endif

namespace dsn {
namespace {

double number(const char* variable, double otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtod(text, nullptr);
}

// What the level should give for `images`.
std::vector<float> expected_logits(const SearchSpace& space, const TensorFile& file, const LevelSpec& level,
                                   const std::vector<float>& images, int batch) {
  std::vector<float> logits(static_cast<std::size_t>(space.classes() * batch));
#ifdef DSN_HAVE_TORCH
  const auto executor = make_executor("torch", space, file);
  executor->prepare({level});
  executor->activate(0);
  executor->infer(images, batch, logits);
#else
  test::PlainNetwork plain(space, file);
  const auto classes = static_cast<std::size_t>(space.classes()),
             image = images.size() / static_cast<std::size_t>(batch);
  for (std::size_t n = 0; n < static_cast<std::size_t>(batch); ++n) {
    const auto one = plain.logits(level.config, level.bn, images.data() + n * image);
    std::ranges::copy(one, logits.begin() + static_cast<std::ptrdiff_t>(n * classes));
  }
#endif
  return logits;
}

double largest_difference(std::uint64_t seed, const fakes::TempFolder& temp) {
  test::DrawnCase drawn(seed);
  const SearchSpace space = SearchSpace::parse(drawn.space_document, "drawn");
  const TensorFile file = fakes::draw_weights(temp / "w.safetensors", space, seed);
  Rng rng(seed);
  const LevelSpec other{space.sample(rng), {}};
  LevelSpec level{drawn.config_of(space), {}};
  const Network net = make_network(space, level.config);
  if (drawn.own_statistics) level.bn = fakes::draw_statistics(net, seed);
  const std::vector<float> images = fakes::draw_images(net, drawn.batch, seed);
  const std::vector<float> expected = expected_logits(space, file, level, images, drawn.batch);
  INFO(drawn.describe(space, level.config));
  double worst = 0;
  for (const std::string_view target : elastic::kernel_targets()) {
    INFO(target);
    const fakes::ForcedTarget forced(target);
    const auto executor = make_executor("elastic", space, file);
    executor->prepare({other, level});
    // The other level first: what it leaves behind in the engine's memory must not matter.
    executor->set_threads(drawn.threads);
    executor->activate(0);
    std::vector<float> logits(static_cast<std::size_t>(space.classes()));
    executor->infer(fakes::draw_images(executor->network(), 1), 1, logits);
    executor->activate(1);
    logits.resize(expected.size());
    executor->infer(images, drawn.batch, logits);
    const double off = fakes::relative_difference(logits, expected);
    CHECK(off <= 1e-4);
    worst = std::max(worst, off);
  }
  return worst;
}

}  // namespace

TEST_CASE("ElasticExecutor: drawn spaces, sub-networks, sizes and batches give the reference's logits") {
#ifdef DSN_HAVE_TORCH
  register_torch_executor();
#endif
  const fakes::TempFolder temp;
  const double seconds = number("DSN_FUZZ_SECONDS", 0);
  const auto first = static_cast<std::uint64_t>(number("DSN_FUZZ_FIRST", 1));
#ifdef DSN_HAVE_TORCH
  constexpr std::uint64_t kQuick = 40;
#else
  constexpr std::uint64_t kQuick = 10;  // the plain computation takes its time, in unoptimised builds above all
#endif
  const auto start = std::chrono::steady_clock::now();
  const auto goes_on = [&](std::uint64_t cases) {
    if (seconds <= 0) return cases < kQuick;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds;
  };
  double worst = 0;
  std::uint64_t cases = 0;
  for (; goes_on(cases); ++cases) worst = std::max(worst, largest_difference(first + cases, temp));
  REQUIRE(cases > 0);
  MESSAGE(fmt::format("{} cases, largest difference over largest logit {:.1e}", cases, worst));
}

}  // namespace dsn
