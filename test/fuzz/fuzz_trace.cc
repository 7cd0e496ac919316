// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a trace (`dsn.trace`). Either they are refused with Error{bad_input}, or the
// trace keeps what its type promises: phases in order inside its duration, and arrivals in order inside their
// phases.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dsn/core/error.h"
#include "dsn/replay/arrivals.h"
#include "dsn/replay/trace.h"

namespace {

void require(bool good) {
  if (!good) std::abort();
}

void walk(const dsn::Trace& trace) {
  require(trace.duration_s > 0 && !trace.apps.empty());
  for (const dsn::TraceApp& app : trace.apps) {
    double end = 0;
    for (const dsn::AppPhase& phase : app.phases) {
      require(phase.start_s >= end * (1 - 1e-9) && phase.duration_s > 0 && phase.arrivals.period_s > 0);
      end = phase.start_s + phase.duration_s;
    }
    require(end <= trace.duration_s * (1 + 1e-9));
    dsn::ArrivalStream stream(app, trace.seed);
    double last = 0;
    for (int i = 0; i < 50; ++i) {
      const double at = stream.next();
      if (at == dsn::ArrivalStream::kNone) break;
      require(at >= last && at < end * (1 + 1e-9));
      last = at;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    walk(dsn::parse_trace(dsn::parse_json(text, "fuzz", /*allow_comments=*/true), "fuzz", "/"));
  } catch (const dsn::Error& error) {
    if (error.code() != dsn::ErrorCode::bad_input) std::abort();
  }
  return 0;
}
