// SPDX-License-Identifier: Apache-2.0
// Which dsn this is: the macros say which headers a program is compiled with, build_info() which library it
// runs with.
#pragma once

// DSN_VERSION_MAJOR, DSN_VERSION_MINOR and DSN_VERSION_PATCH: the release of these headers, for #if; also in
// C.
#include "dsn/core/release.h"

#ifdef __cplusplus
#include <string_view>
#include <vector>

namespace dsn {

// A part of dsn that a build may be without.
struct Feature {
  std::string_view name;     // "LibTorch"
  bool built = false;        // in this build
  std::string_view version;  // of the library behind it; empty when not built or when it has none
};

struct BuildInfo {
  // From git's tags: "0.2.0" at the tag v0.2.0, "0.2.0+5.g83b6da6" five commits later, "0.1.0+g83b6da6"
  // before the first tag (0.1.0 is meson.build's version), ".dirty" at the end when files were changed;
  // meson.build's version alone when neither git nor a release's archive tells the commit.
  std::string_view version;
  std::string_view commit;        // 12 hex digits, "-dirty" after them when files were changed; "unknown"
  std::string_view date;          // of the commit, or SOURCE_DATE_EPOCH when built: "2026-11-21", UTC
  std::string_view build_type;    // "release" (optimised, without assertions), "debugoptimized", "debug"
  std::string_view optimization;  // as given to Meson: "0", "2", "s", ...
  std::string_view compiler;      // "gcc 12.2.0"
  std::string_view machine;       // what it was built for: "x86_64 linux"
  std::vector<std::string_view> sanitizers;  // "address", "thread", "undefined"
  std::vector<Feature> features;  // what the whole build was configured with, libdsn-torch included
};

// thread-safe. The same text is in `tool` of every file that dsn writes (see dsn/core/json.h).
[[nodiscard]] const BuildInfo& build_info();

}  // namespace dsn
#endif
