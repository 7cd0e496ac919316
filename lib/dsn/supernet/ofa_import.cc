// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/ofa_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "dsn/core/error.h"
#include "dsn/supernet/foreign_text.h"
#include "dsn/supernet/ofa_names.h"
#include "dsn/supernet/tensor_shapes.h"

namespace dsn {
namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

constexpr std::size_t kNamed = 3;  // tensors that a message names of each kind

// Tensors of the file by dsn's names.
struct Found {
  std::map<std::string, std::string> names;  // dsn's name: the file's
  std::vector<std::string> unknown;          // the file's
  std::size_t counters = 0;
  bool old_naming = false;
};

Found find_tensors(const TorchFile& file, const SearchSpace& space) {
  Found found;
  for (const auto& [name, tensor] : file.tensors()) {
    if (is_ofa_counter(name)) {
      ++found.counters;
      continue;
    }
    found.old_naming = found.old_naming || name.find(".mobile_inverted_conv.") != std::string::npos;
    const auto ours = is_floating(tensor.dtype) ? ofa_to_dsn(name, space) : std::nullopt;
    if (!ours) {
      found.unknown.push_back(name);
    } else if (const auto [other, is_new] = found.names.emplace(*ours, name); !is_new) {
      throw Error(ErrorCode::bad_input, fmt::format("{}: found {} twice, as {} and as {}", file.file(), *ours,
                                                    foreign_text(other->second), foreign_text(name)));
    }
  }
  return found;
}

// "2 missing (a, b)"; nothing for an empty list.
void tell(std::vector<std::string>& parts, const std::vector<std::string>& names, const char* what) {
  if (names.empty()) return;
  std::vector<std::string> shown(names.begin(),
                                 names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamed)));
  if (names.size() > kNamed) shown.emplace_back("...");
  parts.push_back(fmt::format("{} {} ({})", names.size(), what, fmt::join(shown, "; ")));
}

// What keeps `found` from being the tensors `expected`, in words; empty if nothing does.
std::string differences(const TorchFile& file, const Found& found, const Shapes& expected) {
  std::vector<std::string> missing, unexpected = found.unknown, misshaped;
  for (std::string& name : unexpected) name = foreign_text(name);
  for (const auto& [name, shape] : expected) {
    const auto it = found.names.find(name);
    if (it == found.names.end()) {
      missing.push_back(name);
    } else if (const auto& theirs = file.tensors().at(it->second).shape; theirs != shape) {
      misshaped.push_back(fmt::format("{}: found [{}], expected [{}]", foreign_text(it->second),
                                      fmt::join(theirs, ", "), fmt::join(shape, ", ")));
    }
  }
  for (const auto& [name, theirs] : found.names) {
    if (expected.count(name) == 0) unexpected.push_back(foreign_text(theirs));
  }
  std::vector<std::string> parts;
  tell(parts, misshaped, "of another shape");
  tell(parts, missing, "missing");
  tell(parts, unexpected, "unexpected");
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool same_shapes(const TorchFile& file, const Found& found, const Shapes& expected) {
  return found.unknown.empty() && found.names.size() == expected.size() &&
         std::all_of(expected.begin(), expected.end(), [&](const auto& tensor) {
           const auto it = found.names.find(tensor.first);
           return it != found.names.end() && file.tensors().at(it->second).shape == tensor.second;
         });
}

// The flags that would make `space` fit the file. Widths are tried from the roundest on, since several round
// to the same channels.
std::optional<std::string> fitting_flags(const TorchFile& file, const Found& found,
                                         const SearchSpace& space) {
  const auto classifier = found.names.find("classifier.weight");
  if (classifier == found.names.end()) return std::nullopt;
  const auto& shape = file.tensors().at(classifier->second).shape;
  if (shape.size() != 2 || shape[0] < 1 || shape[0] > 1 << 20) return std::nullopt;
  std::vector<int> hundredths;
  for (const int step : {100, 50, 25, 10, 5, 1}) {
    for (int width = step; width <= 400; width += step) {
      if (std::find(hundredths.begin(), hundredths.end(), width) == hundredths.end())
        hundredths.push_back(width);
    }
  }
  Json document = space.document();
  document["classes"] = shape[0];
  for (const int width : hundredths) {
    const SearchSpace candidate = SearchSpace::parse(document, space.name(), width / 100.0);
    if (same_shapes(file, found, tensor_shapes(candidate)))
      return fmt::format("--width-mult {} --classes {}", width / 100.0, shape[0]);
  }
  return std::nullopt;
}

void require_fit(const TorchFile& file, const Found& found, const SearchSpace& space,
                 const Shapes& expected) {
  const std::string wrong = differences(file, found, expected);
  if (wrong.empty()) return;
  const auto flags = fitting_flags(file, found, space);
  throw Error(ErrorCode::mismatch,
              fmt::format("{}: does not fit space {} at width {} with {} classes: {}", file.file(),
                          space.name(), space.width_mult(), space.classes(), wrong),
              flags
                  ? fmt::format("its shapes fit {}", *flags)
                  : "no width multiplier makes it fit: it is of another space (--space), or no Once-for-All "
                    "super-network");
}

void require_sound(const TorchFile& file, const std::string& theirs, const std::string& ours,
                   const std::vector<float>& values) {
  const bool variance = ours.ends_with(".running_var");
  const auto bad = std::find_if(values.begin(), values.end(),
                                [&](float v) { return !std::isfinite(v) || (variance && v < 0); });
  if (bad == values.end()) return;
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: tensor {}: found {}, expected {}", file.file(), foreign_text(theirs), *bad,
                          std::isfinite(*bad) ? "a variance of 0 or more" : "a finite value"));
}

}  // namespace

std::map<std::string, TensorView> OfaImport::views() const {
  std::map<std::string, TensorView> views;
  for (const auto& [name, values] : tensors)
    views[name] = {DType::f32, shapes.at(name), std::as_bytes(std::span(values))};
  return views;
}

OfaImport import_ofa(const fs::path& checkpoint, const SearchSpace& space) {
  const TorchFile file = TorchFile::open(checkpoint);
  const Found found = find_tensors(file, space);
  const Shapes expected = tensor_shapes(space);
  require_fit(file, found, space, expected);
  OfaImport result{{space, Preprocessing::for_dataset("imagenet"), {}, "", Json()},
                   expected,
                   {},
                   found.old_naming ? "mobile_inverted_conv" : "conv"};
  for (const auto& [ours, theirs] : found.names) {
    std::vector<float> values = file.values(theirs).floats;
    require_sound(file, theirs, ours, values);
    result.tensors.emplace(ours, std::move(values));
  }
  result.info.record = {{"imported_from", "once-for-all"},
                        {"file", checkpoint.filename().string()},
                        {"file_sha256", sha256_file(checkpoint)},
                        {"format", file.format()},
                        {"naming", result.naming},
                        {"counters_dropped", found.counters},
                        {"tool", tool_info()}};
  return result;
}

}  // namespace dsn
