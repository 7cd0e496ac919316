// SPDX-License-Identifier: Apache-2.0
// What tests of export formats say about a sub-network.
#pragma once

#include <string>

#include "dsn/deploy/export_format.h"
#include "dsn/space/network.h"

namespace dsn::fakes {

inline ExportLabels labels_of(const SearchSpace& space, const SubnetConfig& config) {
  return {"a level",
          space.to_json(config),
          space.sha256(),
          std::string(64, 'a'),
          Preprocessing::for_dataset("fashion-mnist"),
          {"one", "two"},
          make_network(space, config).macs(),
          make_network(space, config).params()};
}

}  // namespace dsn::fakes
