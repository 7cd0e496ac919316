// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/ofa_predictor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "dsn/core/safetensors.h"
#include "fakes/temp_folder.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Gene;
using dsn::GeneSpace;
using dsn::OfaPredictor;
using dsn::SubnetConfig;
using dsn::fakes::code_of;

namespace {

const std::filesystem::path kFile =
    std::filesystem::path(DSN_TEST_DATA) / "dynamic-ofa/acc_predictor.safetensors";

// The same network by plain loops in double precision.
double plain(const dsn::TensorFile& file, std::vector<double> x) {
  for (const char* layer : {"0", "2", "4", "6"}) {
    const auto weight = file.at(std::string(layer) + ".weight").floats();
    const auto bias = file.at(std::string(layer) + ".bias").floats();
    std::vector<double> y(bias.begin(), bias.end());
    for (std::size_t n = 0; n < y.size(); ++n) {
      for (std::size_t k = 0; k < x.size(); ++k) y[n] += static_cast<double>(weight[n * x.size() + k]) * x[k];
      if (layer[0] != '6') y[n] = std::max(y[n], 0.0);
    }
    x = std::move(y);
  }
  return x.front();
}

std::vector<double> one_hot(const SubnetConfig& config) {
  std::vector<double> x(128, 0);
  for (std::size_t stage = 0; stage < 5; ++stage) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(config.d[stage]); ++i) {
      const std::size_t b = 4 * stage + i;
      x[3 * b + static_cast<std::size_t>((config.k[b] - 3) / 2)] = 1;
      x[60 + 3 * b + (config.e[b] == 3 ? 0U : config.e[b] == 4 ? 1U : 2U)] = 1;
    }
  }
  x[120 + static_cast<std::size_t>((config.r - 112) / 16)] = 1;
  return x;
}

}  // namespace

TEST_CASE("OfaPredictor: what plain loops over the same file compute, one by one and many at once") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  const OfaPredictor predictor = OfaPredictor::open(kFile, space);
  CHECK(predictor.resolutions() == std::vector<int>{128, 144, 160, 176, 192, 208, 224});
  const GeneSpace genes(space, predictor.resolutions());
  const dsn::TensorFile file = dsn::TensorFile::open(kFile);
  dsn::Rng rng(5);
  constexpr std::size_t kCount = 150;  // more than one pass, the last one not full
  std::vector<Gene> rows(kCount * genes.size());
  for (std::size_t i = 0; i < kCount; ++i) genes.draw(rng, rows.data() + i * genes.size());
  std::vector<double> many(kCount);
  predictor.rows(genes)->values(rows.data(), kCount, many.data());
  for (std::size_t i = 0; i < kCount; ++i) {
    const SubnetConfig config = genes.config(rows.data() + i * genes.size());
    CHECK(many[i] == doctest::Approx(plain(file, one_hot(config))).epsilon(1e-5));
    CHECK(predictor.predict(config) == many[i]);
  }
}

TEST_CASE("OfaPredictor: refuses what it does not understand, naming it") {
  const dsn::SearchSpace ofa = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  CHECK(code_of([] { (void)OfaPredictor::open(kFile, dsn::fakes::tiny_space()); }, "2 stages") ==
        dsn::ErrorCode::mismatch);
  CHECK(code_of([] { (void)OfaPredictor::open(kFile, dsn::SearchSpace::load("ofa-resnet50")); },
                "elastic width") == dsn::ErrorCode::mismatch);
  const OfaPredictor predictor = OfaPredictor::open(kFile, ofa);
  SubnetConfig odd = ofa.largest();
  odd.r = 132;
  CHECK(code_of([&] { (void)predictor.predict(odd); }, "resolution 132") == dsn::ErrorCode::bad_usage);

  const dsn::fakes::TempFolder temp;
  const std::vector<float> numbers(20, 0.5F);
  const auto tensor = [&](std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const auto n : shape) count *= static_cast<std::size_t>(n);
    return dsn::TensorView{dsn::DType::f32, shape, std::as_bytes(std::span(numbers).first(count))};
  };
  const auto write = [&](const std::map<std::string, dsn::TensorView>& tensors) {
    dsn::write_safetensors(temp.path() / "p.safetensors", tensors, {});
    return [&] { (void)OfaPredictor::open(temp.path() / "p.safetensors", ofa); };
  };
  CHECK(code_of(write({{"conv", tensor({2})}}), "no linear layers") == dsn::ErrorCode::bad_input);
  CHECK(code_of(write({{"0.weight", tensor({2, 3})}}), "0.bias") == dsn::ErrorCode::bad_input);
  CHECK(code_of(write({{"0.weight", tensor({2, 3})}, {"0.bias", tensor({3})}}), "expected F32 [2]") ==
        dsn::ErrorCode::bad_input);
  CHECK(code_of(write({{"0.weight", tensor({2, 3})},
                       {"0.bias", tensor({2})},
                       {"2.weight", tensor({1, 3})},
                       {"2.bias", tensor({1})}}),
                "2 inputs, as the layer before") == dsn::ErrorCode::bad_input);
  CHECK(code_of(write({{"0.weight", tensor({1, 3})}, {"0.bias", tensor({1})}}), "3 inputs") ==
        dsn::ErrorCode::bad_input);
}
