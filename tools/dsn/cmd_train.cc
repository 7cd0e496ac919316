// SPDX-License-Identifier: Apache-2.0
// dsn train: a super-network from labelled images.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/data/dataset.h"
#include "dsn/space/network.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/plan.h"
#include "dsn/supernet/ranks.h"
#include "dsn/supernet/train.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string space = "fmnist-mbv3", data, out, curve;
  double width_mult = 0;
  std::size_t val_count = 5000;
  std::string method = "sandwich", subnet, precision = "float32";
  double rank_timeout_s = 60;
  bool resume = false, no_flip = false, plan_only = false;
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

// --subnet: "largest", "smallest", or a file with a sub-network (alone, or under "config").
SubnetConfig subnet_of(const std::string& text, const SearchSpace& space) {
  if (text == "largest") return space.canonical(space.largest());
  if (text == "smallest") return space.canonical(space.smallest());
  const Json document = read_json(text, true);
  const JsonView view(document, text);
  return space.from_json(view.has("config") ? view["config"] : view);
}

std::string table_of(const TrainPlan& plan) {
  Table table;
  table.column("phase", Table::Align::left);
  table.column("epochs");
  table.column("peak lr");
  table.column("passes/step");
  table.column("teacher", Table::Align::left);
  table.column("elastic", Table::Align::left);
  for (const TrainPhase& p : plan.phases) {
    const char* teacher = p.rule == StepRule::sandwich ? "largest, in place"
                          : p.rule == StepRule::distil ? "full network, fixed"
                                                       : "-";
    table.row({p.name, fmt::format("{}-{}", p.first_epoch + 1, p.first_epoch + p.epochs),
               fmt::format("{:.4g}", p.learning_rate), std::to_string(p.subnets), teacher, p.elastic});
  }
  return table.str();
}

// A rank that says nothing, but can be stopped.
class StopOnly : public Job {
 public:
  explicit StopOnly(const Job& job) : job_(job) {}
  [[nodiscard]] bool stop_requested() const noexcept override { return job_.stop_requested(); }

 private:
  const Job& job_;
};

Json plan_document(const TrainPlan& plan, const Flags& flags, const SearchSpace& space) {
  return {{"method", to_string(plan.method)},
          {"space", space.name()},
          {"space_sha256", space.sha256()},
          {"options", to_json(flags.options, space)},
          {"phases", to_json(plan)}};
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
  if (checkpoint.info.record.contains("only_subnet")) {
    const JsonView only(checkpoint.info.record.at("only_subnet"), checkpoint.tensors.file(),
                        "/record/only_subnet");
    row("static", space.from_json(only), "accuracy");
  } else {
    row("largest", space.largest(), "accuracy_largest");
    row("smallest", space.smallest(), "accuracy_smallest");
  }
  return fmt::format("{}accuracy on {} ({} images), batch norm calibrated\nwrote {}\n", table.str(),
                     validation.at("data").get<std::string>(), validation.at("images").get<std::size_t>(),
                     checkpoint.tensors.file());
}

// What the command line and the data say, checked; the part that every rank does alike.
struct Prepared {
  std::unique_ptr<Dataset> train, val;
  CheckpointInfo info;
  TrainPlan plan;
};

Prepared prepare(Flags& flags) {
  TrainOptions& options = flags.options;
  options.method = parse_method(flags.method);
  options.precision = parse_precision(flags.precision);
  options.augmentation.flip = !flags.no_flip;
  auto train = open_dataset(flags.data, Split::train, flags.val_count);
  auto val = open_dataset(flags.data, Split::val, flags.val_count);
  CheckpointInfo info{SearchSpace::load(flags.space, flags.width_mult, train->classes()),
                      Preprocessing::for_dataset(flags.data), train->class_names(), flags.data, Json()};
  require_channels(info.space, info.preprocessing, flags);
  if (!flags.subnet.empty()) options.subnet = subnet_of(flags.subnet, info.space);
  TrainPlan plan = make_plan(info.space, options);
  return {std::move(train), std::move(val), std::move(info), std::move(plan)};
}

void train(Flags& flags, Job& job, Ranks* ranks) {
  const bool first = ranks == nullptr || ranks->rank() == 0;
  if (first) {
    check_writable(flags.out);
    if (!flags.curve.empty()) check_writable(flags.curve);
    require_no_state(flags);
  }
  Prepared p = prepare(flags);
  if (first) {
    job.info(fmt::format("plan ({}, {} epochs, batch {}{})\n{}", to_string(p.plan.method),
                         flags.options.epochs, flags.options.batch,
                         ranks == nullptr ? "" : fmt::format(", {} ranks", ranks->size()), table_of(p.plan)));
  }
  train_supernet(std::move(p.info), *p.train, *p.val, flags.options, {flags.out, flags.curve, flags.resume},
                 job, ranks);
}

// One rank of several: rank 0 speaks for all; what any of them meets is told to the others.
void train_as_rank(Flags& flags, const Session& session, const RankPlace& place) {
  const bool cuda = flags.options.device.starts_with("cuda");
  Ranks ranks(place, flags.rank_timeout_s, cuda);
  StopOnly quiet(session.job);
  try {
    train(flags, place.rank == 0 ? session.job : quiet, &ranks);
  } catch (const std::exception& error) {
    ranks.tell_failure(error.what());
    throw;
  }
}

int run(Flags& flags, const Session& session) {
  if (flags.plan_only) {
    const Prepared p = prepare(flags);
    session.result(plan_document(p.plan, flags, p.info.space), table_of(p.plan));
    return done_status();
  }
  if (flags.out.empty()) {
    throw Error(ErrorCode::bad_usage, "--out is required",
                "add --out FILE.safetensors, or --plan to see the plan only");
  }
  const RankPlace place = rank_place([](const char* name) { return std::getenv(name); });
  if (place.size > 1) {
    train_as_rank(flags, session, place);
  } else {
    train(flags, session.job, nullptr);
  }
  if (place.rank == 0) {
    const Checkpoint checkpoint = Checkpoint::open(flags.out);
    session.result(result_of(checkpoint), table_of(checkpoint));
  }
  return done_status();
}

void add_guard(CLI::App& app, GuardOptions& guard) {
  const std::string group = "When training derails";
  app.add_option("--spike", guard.spike,
                 "A loss this many robust deviations above the last steps' median derails; 0: only what is "
                 "not finite")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  app.add_option("--spike-window", guard.window, "Steps that a loss is compared with")
      ->check(in_range(20, 100000))
      ->capture_default_str()
      ->group(group);
  app.add_option("--rollbacks", guard.rollbacks, "Times to go back to the last good state before giving up")
      ->check(in_range(0, 1000))
      ->capture_default_str()
      ->group(group);
  app.add_option("--rollback-lr", guard.lr_factor,
                 "Learning rate after going back, as a factor, for the rest")
      ->check(in_range(0.001, 1.0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--snapshot-steps", guard.snapshot_steps, "Steps between good states kept in memory")
      ->check(in_range(1, 1000000))
      ->capture_default_str()
      ->group(group);
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
  app.add_option("--stop-after", o.stop_after,
                 "End after so many epochs of the schedule; --resume goes on from there; 0: all")
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
  CLI::App& app = *root.add_subcommand("train", "Train a super-network, or one sub-network alone");
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
      ->type_name("FILE");
  app.add_option("--method", flags->method,
                 "sandwich; shrink: Once-for-All's progressive shrinking; static: one sub-network alone")
      ->capture_default_str();
  add_path(app, "--subnet", flags->subnet, "What method static trains: CONFIG.json, largest or smallest")
      ->type_name("CONFIG");
  app.add_flag("--plan,--dry-run", flags->plan_only, "Print the plan and train nothing");
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
      ->default_str("one per CPU");
  app.add_option("--loaders", flags->options.loaders, "Threads that prepare images; not part of the result")
      ->check(in_range(1, 256))
      ->capture_default_str();
  app.add_option("-d,--device", flags->options.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--precision", flags->precision, "float32; on CUDA also bfloat16 or float16 (mixed)")
      ->capture_default_str();
  add_duration(
      app, "--rank-timeout", flags->rank_timeout_s,
      "With several processes (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT): longest wait for another one");
  add_seed(app, flags->options.seed);
  add_recipe(app, *flags);
  add_guard(app, flags->options.guard);
  add_common(app, common,
             "dsn train --data fashion-mnist --epochs 24 --out fmnist.safetensors --curve curve.jsonl",
             "dsn train --data cifar10:cifar-10-batches-bin --space my-space.json --method shrink --epochs "
             "90 --plan");
  suggest(app, "--space", SearchSpace::shipped());
  suggest(app, "--data", data_kinds());
  suggest(app, "--method", {"sandwich", "shrink", "static"});
  suggest(app, "--subnet", {"largest", "smallest"});
  suggest(app, "--device", {"cpu", "cuda"});
  suggest(app, "--precision", {"float32", "bfloat16", "float16"});
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
