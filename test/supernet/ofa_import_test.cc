// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/ofa_import.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/supernet/ofa_names.h"
#include "dsn/supernet/tensor_shapes.h"
#include "fakes/temp_folder.h"

namespace dsn {
namespace {

const fs::path kTorch = fs::path(DSN_TEST_DATA) / "torch";
const char* const kTiny[] = {"tiny.legacy.pth", "tiny.training.legacy.pth", "tiny.training.zip.pth",
                             "tiny.deflated.zip.pth"};

SearchSpace tiny_space(double width_mult = 0, int classes = 0) {
  return SearchSpace::load((kTorch / "tiny.space.json").string(), width_mult, classes);
}

// What make_fixtures.py put at `index` of dsn's tensor `name`.
float written(const std::string& name, std::size_t index) {
  std::size_t sum = 0;
  for (const char c : name) sum += static_cast<unsigned char>(c);
  const float low = static_cast<float>((7 * index + 13 * sum) % 64) / 64;
  return name.ends_with("running_var") ? low : low - 0.5f;
}

Error refusal(const fs::path& path, const SearchSpace& space) {
  try {
    (void)import_ofa(path, space);
  } catch (const Error& error) {
    CHECK(error.message().starts_with(path.string() + ": "));
    CHECK(error.message().find('\n') == std::string::npos);
    return error;
  }
  return {ErrorCode::failed, "accepted"};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// `from` with every `old_text` replaced, as a file of its own.
fs::path edited(const fakes::TempFolder& temp, const fs::path& from, const std::string& old_text,
                const std::string& new_text) {
  std::string content = read_file(from);
  REQUIRE(has(content, old_text));
  for (std::size_t at = 0; (at = content.find(old_text, at)) != std::string::npos; at += new_text.size())
    content.replace(at, old_text.size(), new_text);
  write_file_atomic(temp / "edited.pth", content);
  return temp / "edited.pth";
}

}  // namespace

TEST_CASE("import_ofa: every value of every way to save a checkpoint arrives under its name") {
  for (const char* name : kTiny) {
    CAPTURE(name);
    const OfaImport import = import_ofa(kTorch / name, tiny_space());
    const auto expected = tensor_shapes(tiny_space());
    CHECK(import.shapes == expected);
    REQUIRE(import.tensors.size() == expected.size());
    std::size_t wrong = 0;
    for (const auto& [ours, values] : import.tensors) {
      std::size_t count = 1;
      for (const std::int64_t d : expected.at(ours)) count *= static_cast<std::size_t>(d);
      REQUIRE(values.size() == count);
      for (std::size_t i = 0; i < values.size(); ++i) wrong += values[i] == written(ours, i) ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("import_ofa: the record names file, hash, format and naming; preprocessing is ImageNet's") {
  const OfaImport old = import_ofa(kTorch / "tiny.training.legacy.pth", tiny_space());
  CHECK(old.naming == "mobile_inverted_conv");
  CHECK(old.info.record["format"] == "legacy");
  CHECK(old.info.record["file"] == "tiny.training.legacy.pth");
  CHECK(old.info.record["file_sha256"] == sha256_file(kTorch / "tiny.training.legacy.pth"));
  CHECK(old.info.record["counters_dropped"] == 16);
  CHECK(old.info.preprocessing.channels == 3);
  CHECK(old.info.preprocessing.crop == 0.875);
  const OfaImport odd = import_ofa(kTorch / "tiny.deflated.zip.pth", tiny_space());
  CHECK(odd.naming == "conv");
  CHECK(odd.info.record["format"] == "zip");
  CHECK(odd.weights_sha256() == old.weights_sha256());
}

TEST_CASE("import_ofa: what it gives is a checkpoint that opens again") {
  const fakes::TempFolder temp;
  const OfaImport import = import_ofa(kTorch / "tiny.legacy.pth", tiny_space());
  write_checkpoint(temp / "a.safetensors", import.info, import.views());
  const Checkpoint read = Checkpoint::open(temp / "a.safetensors");
  CHECK(read.weights_sha256 == import.weights_sha256());
  CHECK(read.info.space.sha256() == tiny_space().sha256());
  CHECK(read.info.record["imported_from"] == "once-for-all");
}

TEST_CASE("import_ofa: another width or number of classes is refused with the flags that fit") {
  Error error = refusal(kTorch / "tiny.legacy.pth", tiny_space(2.0, 10));
  CHECK(error.code() == ErrorCode::mismatch);
  CHECK(has(error.message(), "does not fit space tiny-ofa at width 2 with 10 classes: "));
  CHECK(has(error.message(), "of another shape ("));
  CHECK(has(error.message(), ": found ["));
  CHECK(has(error.hint(), "its shapes fit --width-mult 1 --classes 4"));
  error = refusal(kTorch / "tiny.legacy.pth", tiny_space(0, 10));
  CHECK(has(error.message(), "2 of another shape (classifier.linear.bias: found [4], expected [10]; "));
  CHECK(has(error.hint(), "--classes 4"));

  const fs::path parity = fs::path(DSN_TEST_DATA) / "ofa-parity/ofa-mbv3-w0.25.zip.pth";
  error = refusal(parity, SearchSpace::load("ofa-mbv3", 1.2));
  CHECK(has(error.hint(), "its shapes fit --width-mult 0.25 --classes 10"));
  error = refusal(parity, tiny_space());
  CHECK(has(error.message(), "unexpected (blocks."));
  CHECK(has(error.hint(), "--space"));
}

TEST_CASE("import_ofa: missing and unexpected tensors are counted and named") {
  const fakes::TempFolder temp;
  const Error error =
      refusal(edited(temp, kTorch / "tiny.legacy.pth", "classifier.linear.bias", "classifier.Linear.bias"),
              tiny_space());
  CHECK(has(error.message(), ": 1 missing (classifier.bias), 1 unexpected (classifier.Linear.bias)"));
}

TEST_CASE("import_ofa: two tensors of one name are refused with both") {
  const fakes::TempFolder temp;
  const Error error = refusal(edited(temp, kTorch / "tiny.legacy.pth", "feature_mix_layer.conv.weight",
                                     "module.classifier.linear.bias"),
                              tiny_space());
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(has(error.message(),
            "found classifier.bias twice, as classifier.linear.bias and as module.classifier.linear.bias"));
}

TEST_CASE("import_ofa: values that are not finite and negative variances are refused by name") {
  const fakes::TempFolder temp;
  // The first of dsn's 8-element tensor `name` becomes `value`. A storage starts with its count.
  const auto with = [&](const std::string& name, float value) {
    std::string storage(8 + 8 * sizeof(float), '\0');
    storage[0] = 8;
    for (std::size_t i = 0; i < 8; ++i) {
      const float old_value = written(name, i);
      std::memcpy(storage.data() + 8 + i * sizeof old_value, &old_value, sizeof old_value);
    }
    std::string changed = storage;
    std::memcpy(changed.data() + 8, &value, sizeof value);
    return edited(temp, kTorch / "tiny.legacy.pth", storage, changed);
  };
  Error error = refusal(with("stem.bn.bias", std::numeric_limits<float>::quiet_NaN()), tiny_space());
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(has(error.message(), "tensor first_conv.bn.bias: found nan, expected a finite value"));
  error = refusal(with("stem.bn.running_mean", std::numeric_limits<float>::infinity()), tiny_space());
  CHECK(has(error.message(), "tensor first_conv.bn.running_mean: found inf"));
  error = refusal(with("stem.bn.running_var", -0.25f), tiny_space());
  CHECK(has(error.message(),
            "tensor first_conv.bn.running_var: found -0.25, expected a variance of 0 or more"));
  CHECK(refusal(with("stem.bn.bias", -0.25f), tiny_space()).message() == "accepted");
}

TEST_CASE("ofa_to_dsn: both generations, wrapped and plain, with and without module.") {
  const SearchSpace space = tiny_space();
  const auto name = [&](const char* theirs) { return ofa_to_dsn(theirs, space).value_or("none"); };
  CHECK(name("first_conv.conv.weight") == "stem.conv.weight");
  CHECK(name("module.first_conv.bn.running_var") == "stem.bn.running_var");
  CHECK(name("blocks.0.mobile_inverted_conv.depth_conv.conv.weight") == "first.depth.conv.weight");
  CHECK(name("blocks.0.conv.point_linear.bn.bias") == "first.project.bn.bias");
  CHECK(name("blocks.20.conv.inverted_bottleneck.conv.conv.weight") == "blocks.19.expand.conv.weight");
  CHECK(name("blocks.3.mobile_inverted_conv.depth_conv.bn.bn.weight") == "blocks.2.depth.bn.weight");
  CHECK(name("blocks.3.conv.depth_conv.conv.conv.weight") == "blocks.2.depth.conv.weight");
  CHECK(name("blocks.3.conv.depth_conv.conv.7to5_matrix") == "blocks.2.depth.transform_7to5");
  CHECK(name("blocks.3.conv.depth_conv.conv.5to3_matrix") == "blocks.2.depth.transform_5to3");
  CHECK(name("blocks.5.conv.depth_conv.se.fc.reduce.bias") == "blocks.4.se.reduce.bias");
  CHECK(name("blocks.5.conv.point_linear.conv.conv.weight") == "blocks.4.project.conv.weight");
  CHECK(name("final_expand_layer.bn.bias") == "final_expand.bn.bias");
  CHECK(name("feature_mix_layer.conv.weight") == "feature_mix.weight");
  CHECK(name("feature_mix_layer.conv.conv.weight") == "feature_mix.weight");
  CHECK(name("classifier.linear.weight") == "classifier.weight");
  CHECK(name("classifier.linear.linear.bias") == "classifier.bias");
  CHECK(name("classifier.bias") == "none");
  CHECK(name("blocks.1.shortcut.conv.weight") == "none");
  CHECK(name("blocks.-1.conv.point_linear.bn.bias") == "none");
  CHECK(name("blocks.x.conv.point_linear.bn.bias") == "none");
  CHECK(name("blocks.99999999999.conv.point_linear.bn.bias") == "none");
  CHECK(name("blocks.1.convolution.point_linear.bn.bias") == "none");
  CHECK(name("blocks.1") == "none");
  CHECK(name("blocks.1.conv") == "none");
  CHECK(name("") == "none");
}

TEST_CASE("ofa_to_dsn: without a layer after pooling, the feature mix is the final expansion") {
  Json document = tiny_space().document();
  document["head"]["feature_channels"] = 0;
  const SearchSpace space = SearchSpace::parse(document, "unmixed");
  CHECK(ofa_to_dsn("feature_mix_layer.conv.weight", space).value_or("") == "final_expand.conv.weight");
  CHECK(ofa_to_dsn("feature_mix_layer.bn.running_mean", space).value_or("") ==
        "final_expand.bn.running_mean");
  CHECK_FALSE(ofa_to_dsn("final_expand_layer.conv.weight", space).has_value());
}

TEST_CASE("ofa_to_dsn: ProxylessNAS and ResNet-D have names of their own, and each of dsn's is reached") {
  const auto name = [](const char* space, const char* theirs) {
    return ofa_to_dsn(theirs, SearchSpace::load(space)).value_or("none");
  };
  CHECK(name("ofa-proxyless", "feature_mix_layer.conv.weight") == "final_expand.conv.weight");
  CHECK(name("ofa-proxyless", "blocks.21.mobile_inverted_conv.depth_conv.bn.bn.bias") ==
        "blocks.20.depth.bn.bias");
  CHECK(name("ofa-proxyless", "input_stem.0.conv.conv.weight") == "none");
  CHECK(name("ofa-resnet50", "module.input_stem.0.conv.conv.weight") == "stem.conv.weight");
  CHECK(name("ofa-resnet50", "input_stem.1.conv.conv.conv.weight") == "stem.residual.conv.weight");
  CHECK(name("ofa-resnet50", "input_stem.1.mobile_inverted_conv.bn.bn.bias") == "stem.residual.bn.bias");
  CHECK(name("ofa-resnet50", "input_stem.2.bn.bn.running_mean") == "stem.out.bn.running_mean");
  CHECK(name("ofa-resnet50", "blocks.0.conv1.conv.conv.weight") == "blocks.0.conv1.conv.weight");
  CHECK(name("ofa-resnet50", "blocks.17.conv3.bn.bn.weight") == "blocks.17.conv3.bn.weight");
  CHECK(name("ofa-resnet50", "blocks.4.downsample.conv.conv.weight") == "blocks.4.shortcut.conv.weight");
  CHECK(name("ofa-resnet50", "classifier.linear.linear.weight") == "classifier.weight");
  CHECK(name("ofa-resnet50", "blocks.0.conv.depth_conv.conv.weight") == "none");
}

}  // namespace dsn
