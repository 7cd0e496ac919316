// SPDX-License-Identifier: Apache-2.0
#include "cli/export_networks.h"

#include <fmt/format.h>

#include <memory>

#include "cli/export_torch.h"
#include "cli/table.h"
#include "dsn/core/units.h"
#include "dsn/deploy/export.h"
#include "dsn/deploy/level_format.h"
#include "dsn/deploy/onnx_format.h"

namespace dsn::cli {
namespace {

std::unique_ptr<ExportFormat> format_of(const NetworkExport& asked) {
  if (asked.format == "onnx") {
    OnnxOptions options;
    options.opset = asked.opset.value_or(options.opset);
    options.dynamic_batch = asked.dynamic_batch;
    return onnx_format(options);
  }
  if (asked.opset || asked.dynamic_batch) {
    throw Error(ErrorCode::bad_usage, fmt::format("{} goes with --format onnx only, found {}",
                                                  asked.opset ? "--opset" : "--dynamic-batch", asked.format));
  }
  return asked.format == "torchscript" ? make_torchscript_format() : level_format();
}

// One name for a folder of files: "level0.onnx" would become a folder too.
void require_folder(const std::string& out) {
  const std::string extension = fs::path(out).extension().string();
  for (const char* file : {".onnx", ".pt", ".pth", ".safetensors", ".json"}) {
    if (extension != file) continue;
    throw Error(ErrorCode::bad_usage, fmt::format("--out: found {}, expected a folder", out),
                "the folder gets one file per sub-network and an index.json");
  }
}

// Images to verify and calibrate on; those of training are tried unless others are given.
class Images {
 public:
  Images(const NetworkExport& asked, const EvalModel& model, std::vector<std::string>& warnings)
      : asked_(asked) {
    spec_ = asked.data.empty() ? model.dataset : asked.data;
    if (spec_.empty()) {
      why_not_ = "the weights do not say what they were trained on";
    } else {
      try {
        test_ = open_dataset(spec_, Split::test, asked.val_count);
      } catch (const Error& error) {
        if (!asked.data.empty()) throw;
        why_not_ = fmt::format("{}: {}", spec_, error.message());
      }
    }
    if (test_ == nullptr)
      warnings.push_back(
          fmt::format("verified on random values, for want of images: {}; give --data", why_not_));
  }

  [[nodiscard]] const Dataset* test() const { return test_.get(); }
  [[nodiscard]] std::unique_ptr<Dataset> train() const {
    return test_ ? open_dataset(spec_, Split::train, asked_.val_count) : nullptr;
  }

 private:
  const NetworkExport& asked_;
  std::string spec_, why_not_;
  std::unique_ptr<Dataset> test_;
};

std::string stem_of(const EvalSubject& subject) {
  if (subject.level) return fmt::format("level{}", *subject.level);
  return fs::path(subject.name).stem().string();  // "largest", or the name of its file
}

ExportSubject subject_of(const NetworkExport& asked, const EvalModel& model, const EvalSubject& subject,
                         const Images& images, std::vector<std::string>& warnings) {
  ExportSubject out{subject.name,  stem_of(subject),        {subject.config, subject.bn}, "own",
                    subject.level, subject.family_accuracy, subject.accuracy_on};
  if (!subject.bn.empty()) return out;
  out.bn = "shared";
  if (!subject.level) {
    if (const auto train = images.train()) {
      if (auto bn = calibrated_statistics(model.space, model.weights, model.preprocessing, subject.config,
                                          *train, asked.calib_images)) {
        out.spec.bn = std::move(*bn);
        out.bn = "calibrated";
        return out;
      }
    }
  }
  if (const auto doubt = shared_statistics_doubt(model.space, subject)) warnings.push_back(*doubt);
  return out;
}

std::string describe(const Json& index, const fs::path& folder) {
  Table table;
  table.column("sub-network", Table::Align::left);
  table.column("file", Table::Align::left);
  table.column("size");
  table.column("MMACs");
  table.column("accuracy %");
  table.column("difference");
  table.column("top-1 alike");
  std::string by;
  for (const Json& network : index["networks"]) {
    double size = 0;
    for (const Json& file : network["files"]) size += file["size_bytes"].get<double>();
    const Json& v = network["verification"];
    const bool verified = v["verified"].get<bool>();
    const Json& accuracy = network["accuracy"];
    table.row(
        {network["name"].get<std::string>(), network["files"][0]["file"].get<std::string>(),
         format_bytes(size), fmt::format("{:.2f}", network["macs"].get<double>() / 1e6),
         accuracy.is_null() ? "-" : fmt::format("{:.2f}", accuracy.get<double>() * 100),
         verified ? fmt::format("{:.1e}", v["largest_relative_difference"].get<double>()) : "not verified",
         verified ? fmt::format("{}/{}", v["top1_agree"].get<int>(), v["images"].get<int>()) : "-"});
    if (verified) {
      by = fmt::format(
          "verified with {} on {} images of {}: largest difference of a logit over the largest logit\n",
          v["by"].get<std::string>(), v["images"].get<int>(), v["images_of"].get<std::string>());
    } else if (by.empty()) {
      by = fmt::format("not verified: {}\n", v["reason"].get<std::string>());
    }
  }
  return fmt::format("{}{}wrote {}\n", table.str(), by, folder.string());
}

}  // namespace

int export_networks(const NetworkExport& asked, const Session& session) {
  require_folder(asked.out);
  const auto format = format_of(asked);
  EvalModel model = load_eval_model(asked.choice);
  if (asked.choice.subnet.empty() && !model.subjects.front().level) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("{} is a super-network: found no sub-network to export", asked.choice.model),
                "name one with --subnet, or give a --family");
  }
  ExportOptions options;
  const Images images(asked, model, options.warnings);
  std::vector<ExportSubject> subjects;
  for (const EvalSubject& subject : model.subjects)
    subjects.push_back(subject_of(asked, model, subject, images, options.warnings));
  const ExportSource source{std::move(model.space), std::move(model.weights), std::move(model.preprocessing),
                            std::move(model.class_names), std::move(model.inputs)};
  options.images = images.test();
  options.verify_images = asked.verify_images;
  options.samples = asked.samples;
  options.threads = asked.threads;
  session.job.begin("export", static_cast<double>(subjects.size()));
  const Json index = write_export(source, subjects, *format, options, asked.out, session.job);
  session.job.end();
  session.result(index, describe(index, asked.out));
  return done_status();
}

}  // namespace dsn::cli
