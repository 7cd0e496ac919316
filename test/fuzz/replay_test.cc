// SPDX-License-Identifier: Apache-2.0
// The fuzzers' corpus in the ordinary suite: every seed, and every seed with one byte changed, through the
// same entry points. What a fuzzer once broke is kept as a seed.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "dsn/core/file.h"
#include "dsn/core/random.h"

namespace targets {
// fuzz_torch_file.cc, fuzz_safetensors.cc, fuzz_trace.cc and fuzz_request.cc, each under a name of its own:
// see meson.build.
extern "C" int dsn_fuzz_torch_file(const std::uint8_t* data, std::size_t size);
extern "C" int dsn_fuzz_safetensors(const std::uint8_t* data, std::size_t size);
extern "C" int dsn_fuzz_trace(const std::uint8_t* data, std::size_t size);
extern "C" int dsn_fuzz_request(const std::uint8_t* data, std::size_t size);
}  // namespace targets

namespace {

namespace fs = std::filesystem;
using Target = int (*)(const std::uint8_t*, std::size_t);

const fs::path kCorpus = fs::path(DSN_SOURCE_ROOT) / "test/fuzz/corpus";

// The target aborts on what must not happen, so returning is passing.
void feed(Target target, const std::string& content) {
  REQUIRE(target(reinterpret_cast<const std::uint8_t*>(content.data()), content.size()) == 0);
}

void replay(Target target, const fs::path& folder) {
  std::size_t seeds = 0;
  dsn::Rng rng(1);
  for (const auto& entry : fs::directory_iterator(folder)) {
    CAPTURE(entry.path().filename().string());
    const std::string seed = dsn::read_file(entry.path());
    feed(target, seed);
    ++seeds;
    for (std::size_t at = 0; at < seed.size(); ++at) {
      std::string damaged = seed;
      for (const int flip : {0x01, 0x80, 0xff}) {
        damaged[at] = static_cast<char>(seed[at] ^ flip);
        feed(target, damaged);
      }
      damaged[at] = seed[rng.below(seed.size())];
      damaged[rng.below(seed.size())] = seed[at];
      feed(target, damaged);
    }
  }
  CHECK(seeds >= 3);
}

}  // namespace

TEST_CASE("fuzz corpus: PyTorch checkpoints, whole and with any byte changed, are read or refused") {
  replay(targets::dsn_fuzz_torch_file, kCorpus / "torch_file");
}

TEST_CASE("fuzz corpus: safetensors, whole and with any byte changed, are read or refused") {
  replay(targets::dsn_fuzz_safetensors, kCorpus / "safetensors");
}

TEST_CASE("fuzz corpus: control requests, whole and with any byte changed, are understood or refused") {
  replay(targets::dsn_fuzz_request, kCorpus / "request");
}

TEST_CASE("fuzz corpus: traces, whole and with any byte changed, are read or refused") {
  replay(targets::dsn_fuzz_trace, kCorpus / "trace");
}
