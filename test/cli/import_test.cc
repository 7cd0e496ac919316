// SPDX-License-Identifier: Apache-2.0
// dsn import, on the real binary.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "dsn/core/file.h"
#include "dsn/supernet/checkpoint.h"
#include "fakes/temp_folder.h"
#include "process.h"

using dsn::fakes::TempFolder;
using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kTorch = fs::path(DSN_TEST_DATA) / "torch";
const fs::path kParity = fs::path(DSN_TEST_DATA) / "ofa-parity";

std::vector<std::string> import_args(const fs::path& checkpoint, const fs::path& out) {
  return {"import", "ofa", checkpoint, "--space", kTorch / "tiny.space.json", "--out", out};
}

}  // namespace

TEST_CASE("dsn import: writes a checkpoint and its space, and says what to do next") {
  const TempFolder temp;
  const Outcome outcome = dsn_tool({"import", "ofa", kParity / "ofa-mbv3-w0.25.legacy.pth", "--width-mult",
                                    "0.25", "--classes", "10", "--out", temp / "ofa"});
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.out, "largest"));
  CHECK(has(outcome.out, "584"));  // thousand parameters of the largest
  CHECK(has(outcome.out, "smallest"));
  CHECK(has(outcome.out, "wrote "));
  CHECK(has(outcome.out, "next: dsn profile --supernet "));
  const dsn::Checkpoint checkpoint = dsn::Checkpoint::open(temp.path() / "ofa" / "supernet.safetensors");
  CHECK(checkpoint.info.space.name() == "ofa-mbv3");
  CHECK(checkpoint.info.space.classes() == 10);
  CHECK(checkpoint.info.record["file"] == "ofa-mbv3-w0.25.legacy.pth");
  const dsn::SearchSpace space = dsn::SearchSpace::load((temp.path() / "ofa" / "space.json").string());
  CHECK(space.sha256() == checkpoint.info.space.sha256());
  CHECK_FALSE(fs::exists(temp / "ofa.tmp"));
}

TEST_CASE("dsn import: --json prints the result, the same weights for the legacy and the zip file") {
  const TempFolder temp;
  std::vector<std::string> hashes;
  for (const char* name : {"tiny.legacy.pth", "tiny.training.zip.pth"}) {
    auto args = import_args(kTorch / name, temp / name);
    args.push_back("--json");
    const Outcome outcome = dsn_tool(args);
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    const Json result = Json::parse(outcome.out);
    CHECK(result["tensors"] == 99);
    CHECK(result["largest"]["macs"].get<std::int64_t>() > result["smallest"]["macs"].get<std::int64_t>());
    CHECK(result["record"]["file_sha256"] == dsn::sha256_file(kTorch / name));
    hashes.push_back(result["weights_sha256"]);
    CHECK(dsn::Checkpoint::open(temp.path() / name / "supernet.safetensors").weights_sha256 == hashes.back());
  }
  CHECK(hashes[0] == hashes[1]);
}

TEST_CASE("dsn import: an older import is replaced, anything else in the folder's place is not") {
  const TempFolder temp;
  auto args = import_args(kTorch / "tiny.legacy.pth", temp / "out");
  REQUIRE(dsn_tool(args).status == 0);
  CHECK(dsn_tool(args).status == 0);
  std::ofstream(temp.path() / "out" / "mine.txt") << "keep";
  const Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn import"));
  CHECK(has(outcome.err, "is not an imported super-network"));
  CHECK(dsn::read_file(temp.path() / "out" / "mine.txt") == "keep");
}

TEST_CASE("dsn import: what is wrong with the input is one line, exit 2, and nothing is written") {
  const TempFolder temp;
  fs::path checkpoint = temp / "a.pth";
  auto args = import_args(checkpoint, temp / "out");
  std::string named;
  SUBCASE("code in the checkpoint") {
    std::ofstream(checkpoint)
        << "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.cposix\nsystem\n.";
    named = "posix.system";
  }
  SUBCASE("truncated") {
    fs::copy_file(kTorch / "tiny.training.zip.pth", checkpoint);
    fs::resize_file(checkpoint, fs::file_size(checkpoint) / 2);
    named = "a.pth";
  }
  SUBCASE("another width") {
    fs::copy_file(kTorch / "tiny.legacy.pth", checkpoint);
    args.insert(args.end(), {"--width-mult", "1.5"});
    named = "--width-mult 1 --classes 4";
  }
  SUBCASE("a checkpoint of another space") {
    fs::copy_file(kParity / "ofa-mbv3-w0.25.zip.pth", checkpoint);
    named = "unexpected";
  }
  SUBCASE("no checkpoint at all") {
    std::ofstream(checkpoint) << "hello";
    named = "expected a checkpoint of torch.save()";
  }
  SUBCASE("absent") {
    named = "a.pth";
  }
  SUBCASE("another format") {
    args[1] = "onnx";
    named = "expected ofa or lut";
  }
  SUBCASE("an unknown space") {
    args[4] = "ofa-none";
    named = "ofa-none";
  }
  const Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn import"));
  CHECK_MESSAGE(has(outcome.err, named), outcome.err);
  CHECK_FALSE(fs::exists(temp / "out"));
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
}

TEST_CASE("dsn import: a full disk leaves nothing behind") {
  const TempFolder temp;
  const Outcome outcome =
      dsn_tool(import_args(kTorch / "tiny.legacy.pth", temp / "out"), {.file_size_limit = 1024});
  CHECK(outcome.status == 1);
  CHECK(is_one_error(outcome.err, "dsn import"));
  CHECK_FALSE(fs::exists(temp / "out"));
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
}
