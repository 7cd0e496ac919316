// SPDX-License-Identifier: Apache-2.0
// The networks that engines are compared on: super-networks with drawn weights, and for each a family with
// statistics, which dsn export reads.
//   ofa-mbv3     width 1.0: four sub-networks of 63 to 566 MMACs
//   dynamic-ofa  width 1.2: the six levels published for the Jetson Xavier NX's GPU
//   fmnist-mbv3  four sub-networks
//
// usage: engine_models DIR PROFILES      (PROFILES: the repository's profiles folder)
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/search/family.h"
#include "dsn/supernet/checkpoint.h"
#include "fakes/drawn_weights.h"

namespace dsn::bench {
namespace {

// The first random sub-network at resolution `r` whose cost is within 2 % of `mmacs`.
SubnetConfig of_cost(const SearchSpace& space, int r, double mmacs) {
  Rng rng(1);
  const bool small = mmacs < 0.5e-6 * static_cast<double>(make_network(space, space.largest()).macs());
  for (int i = 0; i < 2000000; ++i) {
    SubnetConfig config = space.sample(rng, r);
    // Independent choices meet in the middle: the ends are reached by leaning towards the smallest or
    // largest.
    const SubnetConfig end = small ? space.smallest() : space.largest();
    const double lean = i % 100 * 0.01;
    for (std::size_t s = 0; s < config.d.size(); ++s) {
      if (rng.uniform() < lean) config.d[s] = end.d[s];
    }
    for (std::size_t b = 0; b < config.e.size(); ++b) {
      if (rng.uniform() < lean) config.e[b] = end.e[b];
      if (rng.uniform() < lean) config.k[b] = end.k[b];
    }
    const double found = static_cast<double>(make_network(space, config).macs()) / 1e6;
    if (std::abs(found / mmacs - 1) < 0.02) return space.canonical(config);
  }
  throw Error(ErrorCode::failed, fmt::format("no sub-network of {} MMACs at {} pixels", mmacs, r));
}

// NAME.safetensors, NAME.family.json with its statistics, and NAME-LEVEL.json.
void write_models(const fs::path& folder, const std::string& name, const SearchSpace& space,
                  const std::vector<SubnetConfig>& configs) {
  Family family;
  family.space_document = space.document();
  family.space_sha256 = space.sha256();
  family.weights_sha256 = fakes::draw_checkpoint(folder / fmt::format("{}.safetensors", name), space,
                                                 space.in_channels() == 1 ? "fashion-mnist" : "imagenet");
  family.bn_file = fmt::format("{}.bn.safetensors", name);
  std::vector<BnStats> statistics;
  std::map<std::string, TensorView> tensors;
  statistics.reserve(configs.size());
  for (const SubnetConfig& config : configs) {
    Level level;
    level.id = static_cast<int>(family.levels.size());
    level.config = config;
    const Network net = make_network(space, level.config);
    level.accuracy = 0.1 * (level.id + 1);  // a family ascends
    level.accuracy_on = "nothing: made up";
    level.macs = net.macs();
    level.params = net.params();
    level.predicted_latency_s = 1e-9 * static_cast<double>(level.macs);
    level.bn_prefix = fmt::format("level{}", level.id);
    statistics.push_back(fakes::draw_statistics(net));
    append_bn_stats(statistics.back(), level.bn_prefix, tensors);
    write_file_atomic(folder / fmt::format("{}-{}.json", name, level.id), dump_json(space.to_json(config)));
    family.levels.push_back(level);
  }
  write_safetensors(folder / family.bn_file, tensors, {});
  Json document = pure_envelope("dsn.family", 1, {}, Json::object());
  document.update(family.to_json());
  write_file_atomic(folder / fmt::format("{}.family.json", name), dump_json(document));
}

void make(const fs::path& folder, const fs::path& profiles) {
  fs::create_directories(folder);
  const SearchSpace ofa = SearchSpace::load("ofa-mbv3");
  write_models(
      folder, "ofa-mbv3", ofa,
      {of_cost(ofa, 160, 63), of_cost(ofa, 176, 150), of_cost(ofa, 208, 243), of_cost(ofa, 224, 566)});
  const SearchSpace wide = SearchSpace::load("ofa-mbv3", 1.2);
  std::vector<SubnetConfig> published;
  const fs::path file = profiles / "dynamic-ofa-xavier-nx.family.json";
  const Json document = read_json(file);
  for (const Json& level : document.at("levels"))
    published.push_back(wide.from_json(JsonView(level.at("config"), file.string())));
  write_models(folder, "dynamic-ofa", wide, published);
  const SearchSpace grey = SearchSpace::load("fmnist-mbv3");
  write_models(folder, "fmnist-mbv3", grey,
               {of_cost(grey, 24, 1.6), of_cost(grey, 24, 3), of_cost(grey, 28, 6), of_cost(grey, 28, 11.3)});
}

}  // namespace
}  // namespace dsn::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: engine_models DIR PROFILES\n");
    return 2;
  }
  try {
    dsn::bench::make(argv[1], argv[2]);
    return 0;
  } catch (const dsn::Error& error) {
    fmt::print(stderr, "engine_models: error: {}\n  hint: {}\n", error.message(), error.hint());
    return dsn::exit_status(error.code());
  }
}
