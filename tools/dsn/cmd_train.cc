// SPDX-License-Identifier: Apache-2.0
// dsn train: a super-network from labelled images.
#include <fmt/format.h>

#include <memory>

#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/data/dataset.h"
#include "dsn/supernet/train.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string space = "fmnist-mbv3", data, out, curve;
  double width_mult = 0;
  std::size_t val_count = 5000;
  bool resume = false, no_flip = false;
  TrainOptions options;
};

// A space's input and the data's preprocessing have to agree on channels before anything is trained.
void require_channels(const SearchSpace& space, const Preprocessing& how, const Flags& flags) {
  if (space.in_channels() == how.channels) return;
  throw Error(ErrorCode::mismatch,
              fmt::format("space {} takes images of {} channel(s), {} gives {}", space.name(),
                          space.in_channels(), flags.data, how.channels),
              "choose another --space, or --data");
}

// An interrupted training is hours of work: it is continued or removed on purpose, never overwritten by
// accident.
void require_no_state(const Flags& flags) {
  const fs::path state = flags.out + ".state";
  if (flags.resume || !fs::exists(state)) return;
  throw Error(ErrorCode::bad_usage, fmt::format("{} holds an interrupted training", state.string()),
              "--resume continues it; remove the file to start anew");
}

Json result_of(const Checkpoint& checkpoint) {
  return {{"checkpoint", checkpoint.tensors.file()},
          {"weights_sha256", checkpoint.weights_sha256},
          {"record", checkpoint.info.record}};
}

std::string table_of(const Checkpoint& checkpoint) {
  const SearchSpace& space = checkpoint.info.space;
  const Json& validation = checkpoint.info.record.at("validation");
  Table table;
  table.column("sub-network", Table::Align::left);
  table.column("MMACs");
  table.column("k params");
  table.column("accuracy %");
  const auto row = [&](const char* name, const SubnetConfig& config, const char* key) {
    const Network network = make_network(space, config);
    table.row({name, fmt::format("{:.2f}", static_cast<double>(network.macs()) / 1e6),
               fmt::format("{:.0f}", static_cast<double>(network.params()) / 1e3),
               fmt::format("{:.2f}", validation.at(key).get<double>() * 100)});
  };
  row("largest", space.largest(), "accuracy_largest");
  row("smallest", space.smallest(), "accuracy_smallest");
  return fmt::format("{}accuracy on {} ({} images), batch norm calibrated\nwrote {}\n", table.str(),
                     validation.at("data").get<std::string>(), validation.at("images").get<std::size_t>(),
                     checkpoint.tensors.file());
}

int run(Flags& flags, const Session& session) {
  check_writable(flags.out);
  if (!flags.curve.empty()) check_writable(flags.curve);
  require_no_state(flags);
  flags.options.augmentation.flip = !flags.no_flip;

  const auto train = open_dataset(flags.data, Split::train, flags.val_count);
  const auto val = open_dataset(flags.data, Split::val, flags.val_count);
  CheckpointInfo info{SearchSpace::load(flags.space, flags.width_mult, train->classes()),
                      Preprocessing::for_dataset(flags.data), train->class_names(), flags.data, Json()};
  require_channels(info.space, info.preprocessing, flags);
  train_supernet(std::move(info), *train, *val, flags.options, {flags.out, flags.curve, flags.resume},
                 session.job);
  const Checkpoint checkpoint = Checkpoint::open(flags.out);
  session.result(result_of(checkpoint), table_of(checkpoint));
  return done_status();
}

void add_recipe(CLI::App& app, Flags& flags) {
  TrainOptions& o = flags.options;
  const std::string group = "Recipe";
  app.add_option("--epochs", o.epochs, "Passes over the training images")
      ->check(in_range(1, 100000))
      ->capture_default_str()
      ->group(group);
  app.add_option("-b,--batch", o.batch, "Images per step")
      ->check(in_range(2, 1 << 20))
      ->capture_default_str()
      ->group(group);
  app.add_option("--lr", o.learning_rate, "Peak learning rate; cosine to zero after warm-up")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--stop-after", o.stop_after, "End after so many epochs of the schedule; --resume goes on from there; 0: all")
      ->check(in_range(0, 100000))
      ->capture_default_str()
      ->group(group);
  app.add_option("--warmup-epochs", o.warmup_epochs, "Epochs of linear warm-up")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--momentum", o.momentum, "Nesterov momentum")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--weight-decay", o.weight_decay, "On convolution and linear weights")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--label-smoothing", o.label_smoothing, "On the largest sub-network's loss")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--dropout", o.dropout, "Before the classifier, largest sub-network only")
      ->check(in_range(0.0, 0.9))
      ->capture_default_str()
      ->group(group);
  app.add_option("--random-subnets", o.random_subnets,
                 "Random sub-networks per step, besides largest and smallest")
      ->check(in_range(0, 64))
      ->capture_default_str()
      ->group(group);
  app.add_option("--ema", o.ema_decay, "Decay of the averaged weights that are saved; 0: none")
      ->check(in_range(0.0, 0.999999))
      ->capture_default_str()
      ->group(group);
  app.add_option("--clip-norm", o.clip_norm, "Largest gradient norm; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--pad", o.augmentation.pad, "Random shift of training images, pixels")
      ->check(in_range(0, 64))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--no-flip", flags.no_flip, "No horizontal flips of training images")->group(group);
  app.add_option("--erase", o.augmentation.erase, "Probability of erasing a random rectangle")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--min-area", o.augmentation.min_area,
                 "Below 1: random crops of at least this share of the area")
      ->check(in_range(0.01, 1.0))
      ->capture_default_str()
      ->group(group);
}

}  // namespace

Command add_train(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  flags->options.workers = default_threads();
  CLI::App& app =
      *root.add_subcommand("train", "Train a super-network (sandwich rule, in-place distillation)");
  app.add_option("--space", flags->space, "A shipped search space or a dsn.space file")
      ->type_name("NAME|FILE")
      ->capture_default_str();
  app.add_option("--width-mult", flags->width_mult, "Width multiplier instead of the space's own")
      ->check(CLI::PositiveNumber);
  app.add_option("--data", flags->data, "fashion-mnist[:DIR], idx:DIR, cifar10:DIR or folder:DIR")
      ->type_name("SPEC")
      ->required();
  app.add_option("--val-count", flags->val_count, "Training images kept back to validate on")
      ->capture_default_str();
  add_path(app, "-o,--out", flags->out, "Checkpoint to write; FILE.state holds what --resume needs")
      ->type_name("FILE")
      ->required();
  add_path(app, "--curve", flags->curve, "Learning curve, a line of JSON per epoch")->type_name("FILE");
  app.add_flag("--resume", flags->resume, "Continue an interrupted training");
  app.add_option("--evaluate-every", flags->options.evaluate_every, "Epochs between evaluations")
      ->check(in_range(1, 100000))
      ->capture_default_str();
  app.add_option("--calib-images", flags->options.calibration_images,
                 "Images that batch norm is calibrated on")
      ->capture_default_str();
  app.add_option("--workers", flags->options.workers,
                 "Workers that share each batch, a thread each; part of the result")
      ->check(in_range(1, 256))
      ->capture_default_str();
  add_seed(app, flags->options.seed);
  add_recipe(app, *flags);
  add_common(
      app, common, "dsn train --data fashion-mnist --epochs 24 --out fmnist.safetensors --curve curve.jsonl",
      "dsn train --data cifar10:cifar-10-batches-bin --space my-space.json --out cifar.safetensors --resume");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
