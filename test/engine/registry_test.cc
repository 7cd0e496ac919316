// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "dsn/core/error.h"
#include "dsn/engine/executor.h"

namespace dsn {
namespace {

fs::path weights_file() {
  const fs::path path = fs::temp_directory_path() / "dsn_registry_test.safetensors";
  write_safetensors(path, {}, {});
  return path;
}

// What making one fails with; `failed` where it does not.
ErrorCode code_of(const std::string& kind, const std::string& device = "cpu") {
  const fs::path path = weights_file();
  try {
    (void)make_executor(kind, SearchSpace::load("fmnist-mbv3"), TensorFile::open(path), device);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::failed;
}

}  // namespace

TEST_CASE("make_executor: the elastic executor is in every build and first, for CPUs; others come after it") {
  REQUIRE(executor_names() == std::vector<std::string>{"elastic"});
  CHECK(code_of("torch") == ErrorCode::unsupported);
  CHECK(code_of("auto", "cuda") == ErrorCode::unsupported);
  CHECK(code_of("elastic", "cuda") == ErrorCode::unsupported);
  CHECK(code_of("auto") == ErrorCode::bad_input);  // it was asked to, and the file has no weights

  std::string made_for;
  register_executor(
      "fake",
      [&](const SearchSpace&, const TensorFile&, const std::string& device) -> std::unique_ptr<Executor> {
        made_for = device;
        return nullptr;
      });
  CHECK(executor_names() == std::vector<std::string>{"elastic", "fake"});
  CHECK(code_of("auto", "cuda:1") == ErrorCode::failed);  // nothing was thrown
  CHECK(made_for == "cuda:1");
  CHECK(code_of("fake") == ErrorCode::failed);
  CHECK(made_for == "cpu");
}

}  // namespace dsn
