// SPDX-License-Identifier: Apache-2.0
// A family of the two ends of the chain's space. Needs a build with LibTorch.
#pragma once

#include "chain.h"
#include "dsn/profile/lut.h"
#include "dsn/space/network.h"
#include "fakes/tiny_space.h"

namespace dsn::test {

// A family of the smallest and the largest sub-network, without statistics of their own, and its bundle: what
// a search finds depends on how fast this machine is just now, these do not.
struct Ends {
  std::string family, bundle, lut;
  Outcome exported;

  explicit Ends(const Chain& c) {
    const SearchSpace space = fakes::tiny_space(10);
    fs::create_directories(c.temp / "ends");
    nlohmann::json document = nlohmann::json::parse(read_file(c.family));
    document["bn_file"] = nullptr;
    document["lut_file"] = nullptr;
    document["levels"] = Json::array();
    Lut costs = Lut::load(c.lut);
    const OperatingPoint point = costs.points().front();
    costs.levels.clear();
    for (const SubnetConfig& config : {space.canonical(space.smallest()), space.largest()}) {
      const auto network = make_network(space, config);
      const std::size_t id = document["levels"].size();
      document["levels"].push_back({{"id", id},
                                    {"config", space.to_json(config)},
                                    {"accuracy", 0.5 + 0.1 * static_cast<double>(id)},
                                    {"accuracy_origin", "measured"},
                                    {"accuracy_on", "made up"},
                                    {"macs", network.macs()},
                                    {"params", network.params()},
                                    {"bn_prefix", nullptr}});
      LutEntry entry;
      entry.latency_s = 0.001 * static_cast<double>(id + 1);
      entry.mad_s = 1e-5;
      entry.samples = 100;
      costs.levels.push_back({config, {{point, entry}}});
    }
    family = write_json(c.temp.path() / "ends" / "family.json", document);
    Json lut_document = pure_envelope("dsn.lut", 1, {}, Json::object());
    lut_document.update(costs.to_json());
    lut = write_json(c.temp.path() / "ends" / "lut.json", lut_document);
    bundle = c.temp.path() / "ends" / "bundle";
    exported =
        dsn_tool({"export", "--supernet", c.supernet, "--family", family, "--lut", lut, "--out", bundle});
  }
};

inline const Ends& ends() {
  static const Ends instance(chain());
  return instance;
}

}  // namespace dsn::test
