// SPDX-License-Identifier: Apache-2.0
// From a bundle on disk to the first answer of its largest level, in a process that has done nothing yet:
// what a user waits for. Prints one line of JSON (milliseconds); open_bundle.sh runs it beside ONNX Runtime.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/deploy/bundle.h"
#ifdef DSN_HAVE_TORCH
#include "dsn/engine/torch_executor.h"
#endif

namespace {

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

int measure(const char* path, const std::string& engine) {
  const auto start = std::chrono::steady_clock::now();
  const dsn::Bundle bundle = dsn::Bundle::open(path);
  const double open_ms = ms_since(start);
  const auto executor = dsn::make_executor(engine, bundle.space, bundle.weights);
  executor->prepare(bundle.levels);
  const double ready_ms = ms_since(start);
  executor->activate(bundle.levels.size() - 1);
  const dsn::Network& network = executor->network();
  std::vector<float> input(
      static_cast<std::size_t>(network.in_channels * network.resolution * network.resolution), 0.5F);
  std::vector<float> logits(static_cast<std::size_t>(network.classes));
  executor->infer(input, 1, logits);
  const double first_ms = ms_since(start);
  const auto again = std::chrono::steady_clock::now();
  executor->infer(input, 1, logits);
  fmt::print(
      "{{\"engine\": \"{}\", \"levels\": {}, \"bundle_mb\": {:.2f}, \"open_ms\": {:.2f}, \"prepare_ms\": "
      "{:.2f}, \"first_ms\": "
      "{:.2f}, \"total_ms\": {:.2f}, \"steady_ms\": {:.3f}}}\n",
      executor->name(), bundle.levels.size(), static_cast<double>(bundle.size_bytes) / 1e6, open_ms,
      ready_ms - open_ms, first_ms - ready_ms, first_ms, ms_since(again));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: open_bench BUNDLE [ENGINE]\n");
    return 2;
  }
#ifdef DSN_HAVE_TORCH
  dsn::register_torch_executor();
#endif
  return measure(argv[1], argc == 3 ? argv[2] : "auto");
} catch (const dsn::Error& error) {
  fmt::print(stderr, "open_bench: error: {}\n", error.message());
  return dsn::exit_status(error.code());
}
