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

ErrorCode code_of(const std::string& kind) {
  const fs::path path = weights_file();
  try {
    (void)make_executor(kind, SearchSpace::load("fmnist-mbv3"), TensorFile::open(path));
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::failed;
}

}  // namespace

TEST_CASE("make_executor: a build without executors says unsupported; a registered one is found and made") {
  REQUIRE(executor_names().empty());
  CHECK(code_of("auto") == ErrorCode::unsupported);

  bool made = false;
  register_executor(
      "fake",
      [&](const SearchSpace&, const TensorFile&, const std::string& device) -> std::unique_ptr<Executor> {
        made = device == "cpu";
        return nullptr;
      });
  CHECK(executor_names() == std::vector<std::string>{"fake"});
  const fs::path path = weights_file();
  (void)make_executor("auto", SearchSpace::load("fmnist-mbv3"), TensorFile::open(path));
  CHECK(made);
  CHECK_THROWS_AS((void)make_executor("elastic", SearchSpace::load("fmnist-mbv3"), TensorFile::open(path)),
                  Error);
  fs::remove(path);
}

}  // namespace dsn
