// SPDX-License-Identifier: Apache-2.0
// Whatever a trace holds, it is read or refused as bad input with its file named: nothing else is thrown,
// nothing crashes.
#include <doctest/doctest.h>

#include <fstream>
#include <limits>

#include "dsn/core/file.h"
#include "dsn/core/random.h"
#include "dsn/replay/arrivals.h"
#include "fixture.h"

namespace dsn::test {
namespace {

const fs::path kRoot = DSN_SOURCE_ROOT;

// A value that may stand anywhere.
Json odd_value(Rng& rng) {
  const Json values[] = {nullptr,
                         true,
                         0,
                         -1,
                         1,
                         3,
                         1e300,
                         -1e300,
                         1e-300,
                         std::numeric_limits<std::uint64_t>::max(),
                         0.5,
                         "",
                         "gpu",
                         "cam",

                         std::string(1000, 'x'),
                         Json::array(),
                         Json::object(),
                         Json::array({1, 2}),
                         Json::object({{"at_s", 1}}),
                         Json::array({Json::object()})};
  return values[rng.below(std::size(values))];
}

// Any container of the document, chosen by a random walk.
Json& any_container(Json& json, Rng& rng) {
  Json* at = &json;
  while (!at->empty() && rng.below(4) != 0) {
    auto child = at->begin();
    std::advance(child, static_cast<std::ptrdiff_t>(rng.below(at->size())));
    if (!child->is_structured()) break;
    at = &*child;
  }
  return *at;
}

void mutate(Json& json, Rng& rng) {
  Json& container = any_container(json, rng);
  if (container.empty()) return;
  auto child = container.begin();
  std::advance(child, static_cast<std::ptrdiff_t>(rng.below(container.size())));
  switch (rng.below(4)) {
    case 0:
      container.erase(child);
      break;
    case 1:
      *child = odd_value(rng);
      break;
    case 2:
      if (child->is_number()) *child = child->get<double>() * (rng.uniform() * 4 - 1);
      break;
    default: {
      Json copy = *child;
      if (container.is_array()) {
        container.push_back(std::move(copy));
      } else {
        container[rng.below(2) == 0 ? "threads" : "extra"] = std::move(copy);
      }
    }
  }
}

}  // namespace

TEST_CASE("parse_trace: a damaged document is refused as bad input, or means something") {
  Rng rng(11);
  int read = 0, refused = 0;
  for (const char* name : {"xavier-nx-contention", "two-apps", "day"}) {
    const Json original = read_json(kRoot / "examples" / (std::string(name) + ".trace.json"), true);
    for (int i = 0; i < 3000; ++i) {
      Json json = original;
      for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) mutate(json, rng);
      try {
        const Trace trace = parse_trace(json, "t.json", "/");
        ++read;
        CHECK(trace.duration_s > 0);
        for (const TraceApp& app : trace.apps) {
          double end = 0;
          for (const AppPhase& phase : app.phases) {
            CHECK(phase.start_s >= end * (1 - 1e-9));
            CHECK(phase.duration_s > 0);
            CHECK(phase.arrivals.period_s > 0);
            end = phase.start_s + phase.duration_s;
          }
          CHECK(end <= trace.duration_s * (1 + 1e-9));
          ArrivalStream stream(app, 1);
          double last = 0;
          for (int k = 0; k < 20; ++k) {
            const double t = stream.next();
            CHECK(t >= last);
            last = t;
          }
        }
      } catch (const Error& error) {
        ++refused;
        CHECK(error.code() == ErrorCode::bad_input);
        CHECK(error.message().rfind("t.json", 0) == 0);
      }
    }
  }
  CHECK(read > 100);
  CHECK(refused > 1000);
}

TEST_CASE("load_trace: a file with damaged bytes is refused as bad input, or read") {
  Rng rng(12);
  const fs::path path = fs::temp_directory_path() / "dsn-trace-fuzz.json";
  const std::string original = read_file(kRoot / "examples/two-apps.trace.json");
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string text = original;
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
      const std::size_t at = rng.below(text.size());
      switch (rng.below(3)) {
        case 0:
          text[at] = static_cast<char>(rng.below(256));
          break;
        case 1:
          text.erase(at, 1 + rng.below(20));
          break;
        default:
          text.insert(at, text, rng.below(text.size()), rng.below(30));
      }
    }
    std::ofstream(path, std::ios::trunc | std::ios::binary) << text;
    try {
      (void)load_trace(path);
    } catch (const Error& error) {
      ++refused;
      CHECK(error.code() == ErrorCode::bad_input);
    }
  }
  CHECK(refused > 100);
  fs::remove(path);
}

}  // namespace dsn::test
