// SPDX-License-Identifier: Apache-2.0
// The only file that knows the commit, so that a commit recompiles this and nothing else.
#include "dsn/version.h"

#include "dsn/core/build_config.h"
#include "dsn/core/version_data.h"

#if defined(__has_feature)
#define DSN_HAS_FEATURE(name) __has_feature(name)
#else
#define DSN_HAS_FEATURE(name) 0
#endif

namespace dsn {
namespace {

#if defined(__OPTIMIZE__)
constexpr bool kOptimized = true;
#else
constexpr bool kOptimized = false;
#endif
#if defined(NDEBUG)
constexpr bool kAssertions = false;
#else
constexpr bool kAssertions = true;
#endif
#if defined(__SANITIZE_ADDRESS__) || DSN_HAS_FEATURE(address_sanitizer)
constexpr bool kAddress = true;
#else
constexpr bool kAddress = false;
#endif
#if defined(__SANITIZE_THREAD__) || DSN_HAS_FEATURE(thread_sanitizer)
constexpr bool kThread = true;
#else
constexpr bool kThread = false;
#endif
// GCC defines nothing for UBSan: what Meson was asked for has to tell.
constexpr bool kUndefined =
    std::string_view(DSN_BUILD_SANITIZERS).find("undefined") != std::string_view::npos ||
    DSN_HAS_FEATURE(undefined_behavior_sanitizer);

BuildInfo make() {
  BuildInfo info;
  info.version = DSN_GIT_VERSION;
  info.commit = DSN_GIT_COMMIT;
  info.date = DSN_GIT_DATE;
  info.build_type = kOptimized ? (kAssertions ? "debugoptimized" : "release") : "debug";
  info.optimization = DSN_BUILD_OPTIMIZATION;
  info.compiler = DSN_BUILD_COMPILER;
  info.machine = DSN_BUILD_MACHINE;
  if (kAddress) info.sanitizers.emplace_back("address");
  if (kThread) info.sanitizers.emplace_back("thread");
  if (kUndefined) info.sanitizers.emplace_back("undefined");
  info.features = {DSN_BUILD_FEATURES};
  return info;
}

}  // namespace

const BuildInfo& build_info() {
  static const BuildInfo info = make();
  return info;
}

}  // namespace dsn
