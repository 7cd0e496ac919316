// SPDX-License-Identifier: Apache-2.0
// dsn inspect on each kind of file, and on what is none.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "dsn/core/file.h"
#include "fakes/small_bundle.h"
#include "fakes/temp_folder.h"
#include "process.h"

using dsn::fakes::TempFolder;
using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

TEST_CASE("dsn inspect: a bundle in either form, with its levels, costs and origin") {
  const TempFolder temp;
  for (const bool single : {false, true}) {
    const fs::path folder = temp.path() / (single ? "one" : "many");
    fs::create_directory(folder);
    const auto bundle = dsn::fakes::write_small_bundle(folder, {"torch"}, single);
    Outcome outcome = dsn_tool({"inspect", bundle.path});
    CHECK(outcome.status == 0);
    CHECK(has(outcome.out, "every part as exported"));
    CHECK(has(outcome.out, "fmnist-mbv3"));
    CHECK(has(outcome.out, "measured on test board, engine torch"));
    CHECK(has(outcome.out, "class0, class1"));
    outcome = dsn_tool({"inspect", bundle.path, "--json"});
    const Json manifest = Json::parse(outcome.out);
    CHECK(manifest["schema"] == "dsn.bundle");
    CHECK(manifest["family"]["levels"].size() == 2);
  }
}

TEST_CASE("dsn inspect: a damaged bundle is one line that names the file, exit 2") {
  const TempFolder temp;
  const auto bundle = dsn::fakes::write_small_bundle(temp.path(), {"torch"}, true);
  std::string content = dsn::read_file(bundle.path);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 4);
  dsn::write_file_atomic(bundle.path, content);
  const Outcome outcome = dsn_tool({"inspect", bundle.path});
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn inspect"));
  CHECK(has(outcome.err, "weights.safetensors"));
}

TEST_CASE("dsn inspect: each document, and the super-network") {
  const TempFolder temp;
  (void)dsn::fakes::write_small_bundle(temp.path(), {"torch"});
  const fs::path parts = temp.path() / "parts";
  const auto shown = [](const fs::path& path) {
    const Outcome outcome = dsn_tool({"inspect", path});
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    return outcome.out;
  };
  CHECK(has(shown(parts / "family.json"), "dsn.family version 1"));
  CHECK(has(shown(parts / "family.json"), "accuracy %"));
  CHECK(has(shown(parts / "torch.lut.json"), "device    test board; engine torch"));
  CHECK(has(shown(temp / "board.platform.json"), "test board"));
  const std::string network = shown(parts / "supernet.safetensors");
  CHECK(has(network, "super-network"));
  CHECK(has(network, "and "));  // of its tensors the first are shown
  const Json described = Json::parse(dsn_tool({"inspect", parts / "supernet.safetensors", "--json"}).out);
  CHECK(described["kind"] == "dsn.checkpoint");
  CHECK(described["tensors"].size() > 12);
}

TEST_CASE("dsn inspect: what is no file of dsn's is refused with what was found") {
  const TempFolder temp;
  const auto refused = [&](const std::string& content) {
    dsn::write_file_atomic(temp / "file", content);
    const Outcome outcome = dsn_tool({"inspect", temp / "file"});
    CHECK(outcome.status == 2);
    CHECK(is_one_error(outcome.err, "dsn inspect"));
    return outcome.err;
  };
  CHECK(has(refused("{\"a\": 1}"), "schema"));
  CHECK(has(refused("{\"schema\": \"dsn.nothing\", \"schema_version\": 1}"), "dsn.nothing"));
  CHECK(has(refused("hello"), "file"));
  CHECK(has(refused(""), "file"));
  CHECK(has(refused(std::string("PK\x03\x04", 4) + "zip"), "PyTorch"));
  CHECK(dsn_tool({"inspect", temp / "nowhere"}).status == 2);
  CHECK(dsn_tool({"inspect", temp.path()}).status == 2);
}
