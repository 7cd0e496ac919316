// SPDX-License-Identifier: Apache-2.0
// Sub-networks of an imported Once-for-All checkpoint against the reference implementation's outputs.
#include <torch/torch.h>  // before doctest: both define CHECK, and doctest's is meant

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "dsn/supernet/ofa_import.h"
#include "dsn/supernet/supernet.h"
#include "dsn/supernet/tensor_shapes.h"
#include "fakes/temp_folder.h"

namespace dsn {
namespace {

constexpr double kTolerance = 1e-4;  // of the largest logit
const fs::path kParity = fs::path(DSN_TEST_DATA) / "ofa-parity";
const char* const kFiles[] = {"ofa-mbv3-w0.25.legacy.pth", "ofa-mbv3-w0.25.zip.pth"};

// ofa-mbv3 at width 0.25 with 10 classes, and the small resolutions of the reference's inputs.
SearchSpace parity_space() {
  Json document = SearchSpace::load("ofa-mbv3", 0.25, 10).document();
  document["resolutions"] = {48, 64, 96};
  return SearchSpace::parse(document, "parity");
}

Supernet imported(const fs::path& checkpoint) {
  const fakes::TempFolder temp;
  const OfaImport import = import_ofa(checkpoint, parity_space());
  write_checkpoint(temp / "supernet.safetensors", import.info, import.views());
  const Checkpoint read = Checkpoint::open(temp / "supernet.safetensors");
  return {read.info.space, read.tensors};
}

torch::Tensor input(const TensorFile& file, const std::string& name) {
  const TensorView& view = file.at(name);
  return torch::from_blob(const_cast<float*>(view.floats().data()), view.shape, torch::kFloat32).clone();
}

// Largest difference over the largest expected logit.
double error_of(const torch::Tensor& logits, const Json& expected) {
  double largest = 0, difference = 0;
  REQUIRE(logits.size(0) == static_cast<std::int64_t>(expected.size()));
  for (std::size_t n = 0; n < expected.size(); ++n) {
    REQUIRE(logits.size(1) == static_cast<std::int64_t>(expected[n].size()));
    for (std::size_t c = 0; c < expected[n].size(); ++c) {
      const auto value = expected[n][c].get<double>();
      const auto found = logits[static_cast<std::int64_t>(n)][static_cast<std::int64_t>(c)].item<double>();
      largest = std::max(largest, std::abs(value));
      difference = std::max(difference, std::abs(found - value));
    }
  }
  return difference / largest;
}

}  // namespace

TEST_CASE(
    "Once-for-All parity: logits of eight sub-networks, from the legacy and the zip file, within 1e-4") {
  const Json expected = read_json(kParity / "ofa-mbv3-w0.25.expected.json");
  const TensorFile inputs = TensorFile::open(kParity / "ofa-mbv3-w0.25.inputs.safetensors");
  REQUIRE(expected["cases"].size() == 8);
  torch::NoGradGuard no_grad;
  for (const char* file : kFiles) {
    CAPTURE(file);
    Supernet net = imported(kParity / file);
    double worst = 0;
    for (const Json& one : expected["cases"]) {
      const SubnetConfig config = net.space().from_json(JsonView(one["config"], "expected"));
      CHECK(make_network(net.space(), config).params() == one["params"].get<std::int64_t>());
      const auto logits = net.forward(input(inputs, std::to_string(config.r)), config, BnMode::stored);
      worst = std::max(worst, error_of(logits, one["logits"]));
    }
    MESSAGE(fmt::format("{}: largest difference over largest logit {:.2e}", file, worst));
    CHECK(worst < kTolerance);
  }
}

TEST_CASE("Once-for-All parity: logits after batch norm was recalibrated on one batch, within 1e-4") {
  const Json expected = read_json(kParity / "ofa-mbv3-w0.25.expected.json");
  const TensorFile inputs = TensorFile::open(kParity / "ofa-mbv3-w0.25.inputs.safetensors");
  REQUIRE(expected["bn_calibrated"].size() == 3);
  torch::NoGradGuard no_grad;
  for (const char* file : kFiles) {
    CAPTURE(file);
    Supernet net = imported(kParity / file);
    double worst = 0;
    for (const Json& one : expected["bn_calibrated"]) {
      const SubnetConfig config = net.space().from_json(JsonView(one["config"], "expected"));
      const BnTensorMap stats = net.calibrate({input(inputs, one["batch"].get<std::string>())}, config);
      const auto logits =
          net.forward(input(inputs, std::to_string(config.r)), config, BnMode::stored, &stats);
      worst = std::max(worst, error_of(logits, one["logits"]));
    }
    MESSAGE(fmt::format("{}: largest difference over largest logit {:.2e}", file, worst));
    CHECK(worst < kTolerance);
  }
}

TEST_CASE("Once-for-All parity: the legacy and the zip file give the same weights") {
  const OfaImport legacy = import_ofa(kParity / kFiles[0], parity_space());
  const OfaImport zip = import_ofa(kParity / kFiles[1], parity_space());
  CHECK(legacy.weights_sha256() == zip.weights_sha256());
}

TEST_CASE("tensor_shapes: names and shapes are those of the super-network itself") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const SearchSpace space = SearchSpace::load(name, 0.25);
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (const auto& [tensor, view] : Supernet(space, 1).tensor_views()) shapes[tensor] = view.shape;
    CHECK(tensor_shapes(space) == shapes);
  }
}

}  // namespace dsn
