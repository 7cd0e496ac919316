// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <system_error>

#include "dsn/core/error.h"
#include "dsn/core/staged_folder.h"

namespace dsn {
namespace {

constexpr const char* kIndex = "index.json";
constexpr const char* kSamples = "samples.safetensors";

// Only an export or an empty folder may be replaced: --out must not cost anyone their files.
void require_replaceable(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(folder, ignored))) return;
  if (fs::is_directory(folder, ignored)) {
    if (fs::is_empty(folder, ignored)) return;
    try {
      if (read_json(folder / kIndex).value("schema", "") == "dsn.export") return;
    } catch (const std::exception&) {
      // not an export: said below
    }
  }
  throw Error(ErrorCode::bad_usage, fmt::format("{} exists and is not an export", folder.string()),
              "name a folder that does not exist yet");
}

void require_stems(const std::vector<ExportSubject>& subjects) {
  std::set<std::string> seen;
  for (const ExportSubject& subject : subjects) {
    if (subject.stem.empty() || fs::path(subject.stem).filename() != subject.stem ||
        subject.stem == "index" || subject.stem == "samples" || !seen.insert(subject.stem).second) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("found '{}' as the name of an exported file", subject.stem));
    }
  }
}

Json file_json(const fs::path& folder, const std::string& name) {
  return {
      {"file", name}, {"sha256", sha256_file(folder / name)}, {"size_bytes", fs::file_size(folder / name)}};
}

// dsn's own logits, from the executor that runs deployed levels.
class OwnLogits {
 public:
  OwnLogits(const ExportSource& source, int threads) {
    if (executor_names().empty()) return;
    executor_ = make_executor("auto", source.space, source.weights);
    executor_->set_threads(threads);
  }

  [[nodiscard]] bool possible() const noexcept { return executor_ != nullptr; }

  std::vector<float> of(const ExportSubject& subject, const VerificationInputs& inputs) {
    executor_->prepare({subject.spec});
    executor_->activate(0);
    const auto classes = static_cast<std::size_t>(executor_->network().classes);
    std::vector<float> logits(inputs.images * classes);
    const std::size_t image = inputs.values.size() / inputs.images;
    constexpr std::size_t kBatch = 16;
    for (std::size_t first = 0; first < inputs.images; first += kBatch) {
      const std::size_t n = std::min(kBatch, inputs.images - first);
      executor_->infer(std::span(inputs.values).subspan(first * image, n * image), static_cast<int>(n),
                       std::span(logits).subspan(first * classes, n * classes));
    }
    if (!std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); })) {
      throw Error(ErrorCode::failed, fmt::format("{}: found logits that are not finite", subject.name),
                  "the weights or the batch-norm statistics are damaged");
    }
    return logits;
  }

 private:
  std::unique_ptr<Executor> executor_;
};

class Exporter {
 public:
  Exporter(const ExportSource& source, const ExportFormat& format, const ExportOptions& options,
           const fs::path& folder)
      : source_(source),
        format_(format),
        options_(options),
        folder_(folder),
        own_(source, options.threads),
        warnings_(options.warnings),
        weights_sha256_(tensors_sha256(source.weights.tensors())) {}

  // The entry of index.json for one sub-network whose files are then in the folder.
  Json add(const ExportSubject& subject) {
    const SearchSpace& space = source_.space;
    const FoldedNetwork net = fold_network(space, source_.weights, subject.spec);
    const Network network = make_network(space, subject.spec.config);
    const ExportLabels labels{subject.name,          space.to_json(subject.spec.config),
                              space.sha256(),        weights_sha256_,
                              source_.preprocessing, source_.class_names,
                              network.macs(),        network.params()};
    const auto files = format_.write(net, labels, folder_, subject.stem);
    const Verification verification = verify(subject, net, files.front());
    if (!verification.done())
      warnings_.push_back(fmt::format("{}: not verified: {}", files.front(), verification.why_not));
    if (!verification.batches_reason.empty())
      warnings_.push_back(
          fmt::format("{}: verified at batch 1 alone: {}", files.front(), verification.batches_reason));
    Json entry = {{"name", subject.name},
                  {"level", subject.level ? Json(*subject.level) : Json()},
                  {"config", labels.config},
                  {"resolution", net.resolution},
                  {"macs", labels.macs},
                  {"params", labels.params},
                  {"bn", subject.bn},
                  {"accuracy", subject.accuracy ? Json(*subject.accuracy) : Json()},
                  {"verification", verification.to_json()}};
    if (subject.accuracy) {
      entry["accuracy_on"] = subject.accuracy_on;
    } else {
      entry["accuracy_reason"] = "not measured: dsn eval does";
    }
    for (const std::string& file : files) entry["files"].push_back(file_json(folder_, file));
    return entry;
  }

  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  // Null unless samples were asked for and could be made.
  Json write_samples() const {
    if (kept_.empty()) return {};
    std::map<std::string, TensorView> tensors;
    for (const auto& [name, kept] : kept_)
      tensors[name] = {DType::f32, kept.shape, std::as_bytes(std::span(kept.values))};
    write_safetensors(folder_ / kSamples, tensors, {});
    return file_json(folder_, kSamples);
  }

 private:
  Verification verify(const ExportSubject& subject, const FoldedNetwork& net, const std::string& file) {
    if (!own_.possible()) {
      Verification none;
      none.why_not = "this build has no executor to compare with";
      return none;
    }
    const VerificationInputs& inputs = inputs_at(net.resolution);
    const auto expected = own_.of(subject, inputs);
    Verification found = verify_file(format_, folder_ / file, net, inputs, expected);
    if (options_.samples) {
      const std::int64_t n = static_cast<std::int64_t>(inputs.images), r = net.resolution;
      kept_[fmt::format("input.{}", r)] = {{n, net.in_channels, r, r}, inputs.values};
      kept_["logits." + subject.stem] = {{n, net.classes}, expected};
    }
    return found;
  }

  const VerificationInputs& inputs_at(int resolution) {
    const auto known = inputs_.find(resolution);
    if (known != inputs_.end()) return known->second;
    return inputs_
        .emplace(resolution, verification_inputs(options_.images, source_.preprocessing, resolution,
                                                 options_.verify_images))
        .first->second;
  }

  struct Kept {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };

  const ExportSource& source_;
  const ExportFormat& format_;
  const ExportOptions& options_;
  fs::path folder_;
  OwnLogits own_;
  std::vector<std::string> warnings_;
  std::string weights_sha256_;
  std::map<int, VerificationInputs> inputs_;  // by resolution
  std::map<std::string, Kept> kept_;          // tensors of samples.safetensors
};

}  // namespace

Json write_export(const ExportSource& source, const std::vector<ExportSubject>& subjects,
                  const ExportFormat& format, const ExportOptions& options, const fs::path& folder,
                  Job& job) {
  const fs::path target = normal_folder(folder);
  require_replaceable(target);
  require_stems(subjects);
  StagedFolder staging(target);
  Exporter exporter(source, format, options, staging.path());
  Json settings = format.settings();
  settings["format"] = format.name();
  settings["verify_images"] = options.verify_images;
  Json index = pure_envelope("dsn.export", 0, source.inputs, settings);
  index["format"] = format.name();
  index["space_sha256"] = source.space.sha256();
  index["weights_sha256"] = tensors_sha256(source.weights.tensors());
  index["input"] = {{"name", FoldedNetwork::kInput},
                    {"channels", source.space.in_channels()},
                    {"preprocessing", source.preprocessing.to_json()}};
  index["classes"] = source.space.classes();
  index["class_names"] = source.class_names;
  for (const ExportSubject& subject : subjects) {
    job.check_stop();
    index["networks"].push_back(exporter.add(subject));
    job.advance(static_cast<double>(index["networks"].size()), subject.name);
  }
  if (Json samples = exporter.write_samples(); !samples.is_null()) index["samples"] = std::move(samples);
  index["warnings"] = exporter.warnings();
  for (const std::string& warning : exporter.warnings()) job.warn(warning);
  write_file_atomic(staging.path() / kIndex, dump_json(index));
  job.check_stop();
  staging.put_in_place();
  return index;
}

}  // namespace dsn
