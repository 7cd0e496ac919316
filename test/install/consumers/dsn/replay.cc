// SPDX-License-Identifier: Apache-2.0
// Replays a shipped trace under one policy: most of libdsn, through its installed headers.
#include <cstdio>
#include <string>

#include "dsn/core/error.h"
#include "dsn/deploy/levels.h"
#include "dsn/replay/replay.h"
#include "dsn/version.h"

#if DSN_VERSION_MAJOR == 0 && DSN_VERSION_MINOR < 1
#error "headers older than any release"
#endif

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const auto loaded =
        dsn::load_workload(std::string(argv[1]) + "/examples/two-apps.trace.json", {}, dsn::BundleReader{});
    dsn::ReplayOptions options;
    options.policies = {"static:smallest"};
    const dsn::Json report = dsn::replay(loaded, options);
    const bool same = report["tool"]["version"] == dsn::build_info().version;
    std::printf("%s, %zu rows\n", std::string(dsn::build_info().version).c_str(),
                dsn::replay_table(report).size());
    return same && dsn::replay_table(report).size() > 1 ? 0 : 1;
  } catch (const dsn::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
