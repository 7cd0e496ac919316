// SPDX-License-Identifier: Apache-2.0
#include "cli/replay_models.h"

#include <algorithm>

#include "dsn/deploy/bundle.h"

namespace dsn::cli {

AppModel read_bundle(const fs::path& path, const std::string& platform_sha256) {
  Bundle bundle = Bundle::open(path);
  const auto on_platform = std::find_if(bundle.luts.begin(), bundle.luts.end(), [&](const Lut& lut) {
    return lut.platform_sha256 == platform_sha256;
  });
  // A platform that none of them is of is refused where they are bound together.
  Lut& lut = on_platform == bundle.luts.end() ? bundle.luts.front() : *on_platform;
  return {std::move(bundle.family), std::move(lut), {{"bundle", bundle.sha256}}};
}

CostTable costs_of_bundle(const fs::path& path, const fs::path& platform_file) {
  std::optional<Platform> platform;
  if (!platform_file.empty()) platform = load_platform(platform_file);
  const AppModel model = read_bundle(path, platform ? platform->sha256 : std::string());
  if (!platform)
    platform = parse_platform(model.lut.platform_document, "platform in the bundle's look-up table");
  return CostTable(model.family, model.lut, *platform);
}

}  // namespace dsn::cli
