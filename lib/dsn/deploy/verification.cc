// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/core/random.h"

namespace dsn {
namespace {

struct Agreement {
  double difference = 0;
  bool top1 = true;
};

// Of one image's logits. NaN is the largest difference there is.
Agreement compare(std::span<const float> expected, std::span<const float> found) {
  double largest = 0, difference = 0;
  for (std::size_t c = 0; c < expected.size(); ++c) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[c])));
    const double d = std::abs(static_cast<double>(expected[c]) - found[c]);
    difference = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(difference, d);
    if (std::isinf(difference)) break;
  }
  const auto best = [](std::span<const float> v) { return std::max_element(v.begin(), v.end()) - v.begin(); };
  return {difference == 0 ? 0 : difference / largest, best(expected) == best(found)};
}

}  // namespace

VerificationInputs verification_inputs(const Dataset* data, const Preprocessing& how, int resolution,
                                       std::size_t count) {
  const auto side = static_cast<std::size_t>(resolution);
  const std::size_t image = static_cast<std::size_t>(how.channels) * side * side;
  VerificationInputs inputs;
  inputs.resolution = resolution;
  inputs.images = data == nullptr ? count : std::min(count, data->size());
  if (inputs.images == 0) throw Error(ErrorCode::bad_usage, "verification needs at least one image");
  inputs.values.resize(inputs.images * image);
  if (data == nullptr) {
    inputs.origin = "random values";
    Rng rng = Rng::stream(0, "verification inputs");
    for (float& value : inputs.values) value = static_cast<float>(rng.normal());
    return inputs;
  }
  inputs.origin = data->name();
  for (std::size_t i = 0; i < inputs.images; ++i) {
    preprocess(data->image(i * data->size() / inputs.images), how, resolution,
               std::span(inputs.values).subspan(i * image, image));
  }
  return inputs;
}

Json Verification::to_json() const {
  if (!done()) return {{"verified", false}, {"reason", why_not}};
  Json json = {{"verified", true},
               {"by", by},
               {"images", images},
               {"images_of", origin},
               {"batches", batches},
               {"largest_relative_difference", largest_difference},
               {"tolerance", kExportTolerance},
               {"top1_agree", top1_agree}};
  if (!batches_reason.empty()) json["batches_reason"] = batches_reason;
  return json;
}

Verification verify_file(const ExportFormat& format, const fs::path& file, const FoldedNetwork& net,
                         const VerificationInputs& inputs, std::span<const float> expected) {
  Verification result;
  const auto runner = format.open(file, net, result.why_not);
  if (!runner) return result;
  result.by = runner->name();
  result.origin = inputs.origin;
  result.images = inputs.images;
  result.batches = format.batches();
  if (result.batches.size() > 1) result.batches_reason = runner->why_single();
  if (!result.batches_reason.empty()) result.batches = {1};
  const auto classes = static_cast<std::size_t>(net.classes);
  const std::size_t image = inputs.values.size() / inputs.images;
  std::vector<bool> agree(inputs.images, true);
  for (const int batch : result.batches) {
    for (std::size_t first = 0; first < inputs.images; first += static_cast<std::size_t>(batch)) {
      const std::size_t n = std::min(static_cast<std::size_t>(batch), inputs.images - first);
      const auto found =
          runner->logits(std::span(inputs.values).subspan(first * image, n * image), static_cast<int>(n));
      if (found.size() != n * classes) {
        throw Error(ErrorCode::failed, fmt::format("{}: {} gives {} logits, expected {}", file.string(),
                                                   result.by, found.size(), n * classes));
      }
      for (std::size_t i = 0; i < n; ++i) {
        const Agreement one = compare(expected.subspan((first + i) * classes, classes),
                                      std::span(found).subspan(i * classes, classes));
        result.largest_difference = std::max(result.largest_difference, one.difference);
        if (!one.top1) agree[first + i] = false;
      }
    }
  }
  result.top1_agree = static_cast<std::size_t>(std::count(agree.begin(), agree.end(), true));
  if (!(result.largest_difference <= kExportTolerance)) {
    throw Error(
        ErrorCode::failed,
        fmt::format("{}: found logits that differ by {:.2g} of the largest from dsn's own ({}, {} images), "
                    "expected at most {:g}",
                    file.string(), result.largest_difference, result.by, inputs.images, kExportTolerance),
        "what was written does not compute what dsn computes: nothing was exported");
  }
  return result;
}

}  // namespace dsn
