// SPDX-License-Identifier: Apache-2.0
// dsn eval: accuracy of sub-networks on labelled images, and logits of raw tensors.
#include <fmt/format.h>

#include <memory>

#include "cli/eval_model.h"
#include "cli/eval_report.h"
#include "cli/eval_tensors.h"
#include "cli/flags.h"
#include "cli/labelled.h"
#include "commands.h"
#include "dsn/core/file.h"

namespace dsn::cli {
namespace {

struct Flags {
  EvalChoice choice;
  std::string data, split = "test", bn, out, confusion;
  EvalTensors tensors;
  std::size_t calib_images = 2000, val_count = 5000, images = 0;
  int threads = 1;
  bool dry_run = false;
};

void check_flags(const Flags& flags) {
  const int wanted = !flags.data.empty() + !flags.tensors.file.empty() + flags.dry_run;
  if (wanted != 1) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("found {} of --data, --tensors and --dry-run, expected one", wanted),
                "--data SPEC for accuracy, --tensors FILE for logits");
  }
  const auto only_with = [](const std::string& value, const char* flag, bool there, const char* needed) {
    if (value.empty() || there) return;
    throw Error(ErrorCode::bad_usage, fmt::format("{} goes with {} only", flag, needed));
  };
  const bool tensors = !flags.tensors.file.empty(), data = !flags.data.empty();
  only_with(flags.tensors.input, "--input", tensors, "--tensors");
  only_with(flags.tensors.calibrate, "--calibrate-tensors", tensors, "--tensors");
  only_with(flags.confusion, "--confusion", data, "--data");
  only_with(flags.bn, "--bn", data, "--data");
}

Split split_of(const std::string& name) {
  for (const Split split : {Split::train, Split::val, Split::test}) {
    if (to_string(split) == name) return split;
  }
  throw Error(ErrorCode::bad_usage, fmt::format("--split: found '{}', expected test, val or train", name));
}

// A level brings its own statistics; a sub-network of a super-network has none until it is calibrated.
BnSource source_of(const Flags& flags, const EvalSubject& subject) {
  if (flags.bn == "calibrate" || (flags.bn.empty() && !subject.level)) return BnSource::calibrated;
  return subject.bn.empty() ? BnSource::shared : BnSource::given;
}

std::vector<std::string> class_names(const EvalModel& model, const Dataset& data, Job& job) {
  const auto& names = data.class_names();
  if (!model.class_names.empty() && !names.empty() && model.class_names != names) {
    std::size_t c = 0;
    while (model.class_names[c] == names[c]) ++c;
    job.warn(fmt::format("class {} is '{}' in {} and '{}' in the network: labels may be numbered differently",
                         c, names[c], data.name(), model.class_names[c]));
  }
  return names.empty() ? model.class_names : names;
}

// What is written, and what was said.
int finish(const Flags& flags, const Session& session, const Json& report, const std::string& text) {
  for (const Json& warning : report["warnings"]) session.job.warn(warning.get<std::string>());
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(report));
  session.result(report, text);
  return done_status();
}

int evaluate_on_data(const Flags& flags, const EvalModel& model, const Session& session) {
  const Split split = split_of(flags.split);
  const bool several = model.subjects.size() > 1;
  if (!flags.confusion.empty()) {
    for (const EvalSubject& subject : model.subjects)
      check_confusion_picture(picture_path(flags.confusion, subject, !several));
  }
  const auto images = open_labelled(flags.data, split, flags.val_count, model.space);
  std::vector<EvaluateTask> tasks;
  std::vector<std::string> doubts;
  bool calibrates = false;
  for (const EvalSubject& subject : model.subjects) {
    const BnSource source = source_of(flags, subject);
    calibrates |= source == BnSource::calibrated;
    tasks.push_back({subject.config, source, to_bn_tensors(subject.bn)});
    if (source != BnSource::shared) continue;
    if (const auto doubt = shared_statistics_doubt(model.space, subject)) doubts.push_back(*doubt);
  }
  std::unique_ptr<Dataset> train;
  if (calibrates) train = open_labelled(flags.data, Split::train, flags.val_count, model.space);
  EvalData data{images->name(), class_names(model, *images, session.job), train ? train->name() : "",
                train ? std::min(flags.calib_images, train->size()) : 0};

  Supernet net(model.space, model.weights);
  EvaluateOptions options;
  options.calibration_images = flags.calib_images;
  options.images = flags.images;
  options.threads = flags.threads;
  session.job.begin("evaluate", static_cast<double>(tasks.size()));
  auto found = evaluate(net, tasks, train.get(), *images, model.preprocessing, options, session.job);
  session.job.end();

  std::vector<EvalResult> results;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    results.push_back({model.subjects[i], tasks[i].source, std::move(found[i])});
  Json report = pure_envelope("dsn.report", 0, model.inputs,
                              {{"data", flags.data},
                               {"split", flags.split},
                               {"bn", flags.bn.empty() ? "default" : flags.bn},
                               {"calib_images", flags.calib_images},
                               {"val_count", flags.val_count},
                               {"images", flags.images}});
  report["kind"] = "eval";
  report["warnings"] = doubts;
  report["eval"] = eval_json(model, data, results);
  std::string text = eval_text(model, data, results);
  if (!flags.confusion.empty()) {
    for (const EvalResult& result : results) {
      const fs::path path = picture_path(flags.confusion, result.subject, !several);
      write_confusion_picture(result.found.confusion, data.class_names, picture_title(data, result), path);
      text += fmt::format("wrote {}\n", path.string());
    }
  }
  return finish(flags, session, report, text);
}

int run(const Flags& flags, const Session& session) {
  check_flags(flags);
  if (!flags.out.empty()) check_writable(flags.out);
  EvalChoice choice = flags.choice;
  choice.any_resolution = !flags.tensors.file.empty();
  const EvalModel model = load_eval_model(choice);
  std::string text;
  if (flags.dry_run) {
    const Json report = units_report(model, text);
    return finish(flags, session, report, text);
  }
  if (!flags.tensors.file.empty()) {
    const Json report = logits_report(model, flags.tensors, text);
    return finish(flags, session, report, text);
  }
  return evaluate_on_data(flags, model, session);
}

void add_choice(CLI::App& app, EvalChoice& choice) {
  add_path(app, "MODEL", choice.model,
           "Super-network (checkpoint of dsn train, folder of dsn import) or bundle (folder of dsn export)")
      ->required();
  add_path(app, "--family", choice.family, "Levels of this family, with its batch-norm file beside it");
  app.add_option("--level", choice.level, "Only this level of the family or bundle; default: all");
  app.add_option(
         "--subnet", choice.subnet,
         "largest, smallest, or a file {\"r\", \"d\", \"e\", \"k\" (or \"ks\")}; default: the levels of a "
         "bundle or family, else largest and smallest")
      ->type_name("FILE|NAME");
}

void add_tensors(CLI::App& app, EvalTensors& tensors) {
  const std::string group = "Raw tensors";
  add_path(app, "--tensors", tensors.file,
           "Print the logits [N][classes] of float32 [N, C, r, r] in this safetensors file, without "
           "preprocessing, "
           "of one sub-network, at any r")
      ->group(group);
  app.add_option(
         "--input", tensors.input,
         "Tensor of the file; default: the only one, else the one named by the resolution (\"64\"), else "
         "the only one of that shape")
      ->type_name("NAME")
      ->group(group);
  app.add_option(
         "--calibrate-tensors", tensors.calibrate,
         "Calibrate batch norm on this tensor first (mean and biased variance of exactly that batch); "
         "default: stored statistics")
      ->type_name("FILE[:NAME]")
      ->group(group);
}

}  // namespace

Command add_eval(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  flags->threads = default_threads();
  CLI::App& app =
      *root.add_subcommand("eval", "Accuracy of sub-networks, families and bundles on labelled images");
  add_choice(app, flags->choice);
  app.add_option("--data", flags->data, "fashion-mnist[:DIR], idx:DIR, cifar10:DIR or folder:DIR")
      ->type_name("SPEC");
  app.add_option("--split", flags->split, "test, val or train")
      ->check(CLI::IsMember({"test", "val", "train"}))
      ->capture_default_str();
  app.add_option(
         "--bn", flags->bn,
         "Batch-norm statistics: stored, or calibrate on training images; default: stored for levels, else "
         "calibrate")
      ->check(CLI::IsMember({"stored", "calibrate"}));
  app.add_option("--calib-images", flags->calib_images, "Training images that batch norm is calibrated on")
      ->check(in_range(1, 1 << 30))
      ->capture_default_str();
  app.add_option("--val-count", flags->val_count, "Training images kept back to validate on, as in training")
      ->capture_default_str();
  app.add_option("--images", flags->images, "Only the first so many images; 0: all")->capture_default_str();
  add_tensors(app, flags->tensors);
  app.add_flag("--dry-run", flags->dry_run, "Only show the sub-networks, unit by unit");
  add_path(app, "--confusion", flags->confusion, "Draw the confusion matrix; one picture per sub-network")
      ->type_name("FILE.png");
  add_path(app, "-o,--out", flags->out, "Write the report (dsn.report) here");
  add_threads(app, flags->threads);
  add_common(app, common,
             "dsn eval fmnist.safetensors --subnet largest --data fashion-mnist --confusion largest.png",
             "dsn eval ofa.safetensors --subnet config.json --tensors inputs.safetensors --json");
  suggest(app, "--data", data_kinds());
  suggest(app, "--subnet", {"largest", "smallest"});
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
