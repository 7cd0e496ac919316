// SPDX-License-Identifier: Apache-2.0
// Elastic width and bottlenecks: what is sliced must be what was asked for.
#include <doctest/doctest.h>

#include <cmath>

#include "dsn/supernet/evaluate.h"
#include "dsn/supernet/supernet.h"
#include "dsn/supernet/train.h"
#include "tiny.h"
#include "trained_like.h"

namespace dsn {
namespace {

using testing::difference;
using testing::random_images;
using testing::StripeDataset;
using testing::tiny_bottlenecks;
using testing::tiny_slimmable;
using testing::trained_like;

// Gives `alone` the first channels of what `config`'s units use in `net`; their units correspond one to one.
void copy_slices(Supernet& alone, Supernet& net, const SubnetConfig& config) {
  torch::NoGradGuard no_grad;
  const auto from = make_network(net.space(), config).units,
             to = make_network(alone.space(), alone.space().largest()).units;
  REQUIRE(from.size() == to.size());
  const auto copy = [&](auto& targets, auto& sources, std::size_t unit) {
    const std::string prefix = to[unit].name() + ".";
    for (auto& [name, target] : targets) {
      // "stem." also begins the names of the stem's other units.
      if (!name.starts_with(prefix) || name.starts_with(prefix + "residual.") ||
          name.starts_with(prefix + "out."))
        continue;
      torch::Tensor part = sources.at(from[unit].name() + "." + name.substr(prefix.size()));
      for (std::int64_t dim = 0; dim < target.dim(); ++dim) part = part.narrow(dim, 0, target.size(dim));
      target.copy_(part);
    }
  };
  for (std::size_t u = 0; u < to.size(); ++u) {
    CHECK(from[u].key() == to[u].key());
    copy(alone.parameters(), net.parameters(), u);
    copy(alone.buffers(), net.buffers(), u);
  }
}

// `config` as a space of its own, of fixed width: each block is a stage, so that each has its own choice.
SearchSpace mbconvs_alone(const SearchSpace& space, const SubnetConfig& config) {
  Json doc = space.document();
  doc.erase("width");
  doc["resolutions"] = {config.r};
  Json stages = Json::array();
  for (const Unit& unit : make_network(space, config).units) {
    if (unit.kind == UnitKind::stem) doc["stem"]["channels"] = unit.out_channels;
    if (unit.kind == UnitKind::final_expand) doc["head"]["final_expand_channels"] = unit.out_channels;
    if (unit.kind == UnitKind::feature_mix) doc["head"]["feature_channels"] = unit.out_channels;
    if (unit.kind != UnitKind::mbconv) continue;
    if (unit.block < 0) {
      doc["first"]["channels"] = unit.out_channels;
      continue;
    }
    stages.push_back({{"channels", unit.out_channels},
                      {"stride", unit.stride},
                      {"act", to_string(unit.act)},
                      {"se", unit.se_channels > 0},
                      {"depth", {1}},
                      {"expand", {config.e[static_cast<std::size_t>(unit.block)]}},
                      {"kernel", {unit.kernel}}});
  }
  doc["stages"] = stages;
  return SearchSpace::parse(doc, "alone");
}

// The same for bottlenecks whose stages each have one ratio and whose stem has one width ratio.
SearchSpace bottlenecks_alone(const SearchSpace& space, const SubnetConfig& config) {
  Json doc = space.document();
  doc.erase("width");
  doc.erase("width_per");
  doc["resolutions"] = {config.r};
  doc["stem"]["channels"] = scaled_channels(space.stem_channels(), config.w[1]);
  doc["stem"]["depth"] = {config.s};
  for (int s = 0; s < space.stage_count(); ++s) {
    const auto i = static_cast<std::size_t>(s);
    doc["stages"][i]["channels"] = scaled_channels(space.stages()[i].channels, config.w[2 + i]);
    doc["stages"][i]["depth"] = {config.d[i]};
    doc["stages"][i]["expand"] = {config.e[static_cast<std::size_t>(space.first_block(s))]};
  }
  return SearchSpace::parse(doc, "alone");
}

// Values that another program can make as well: a sine of the tensor's name and the value's index.
void fill_by_formula(std::map<std::string, torch::Tensor>& tensors) {
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : tensors) {
    double phase = 0;
    for (const char c : name) phase += 0.1 * static_cast<unsigned char>(c);
    const bool bn = name.find(".bn.") != std::string::npos;
    const double scale =
        tensor.dim() < 2
            ? 0.2
            : std::sqrt(2.0 * static_cast<double>(tensor.size(0)) / static_cast<double>(tensor.numel()));
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      const double v = std::sin(phase + 0.37 * static_cast<double>(i));
      tensor.data_ptr<float>()[i] = static_cast<float>(bn && name.ends_with(".weight")       ? 1 + 0.3 * v
                                                       : bn && name.ends_with("running_var") ? 1 + 0.5 * v
                                                                                             : scale * v);
    }
  }
}

Supernet formula_net(const SearchSpace& space) {
  Supernet net(space, 1);
  fill_by_formula(net.parameters());
  fill_by_formula(net.buffers());
  return net;
}

torch::Tensor formula_images(int n, int r) {
  torch::Tensor images = torch::empty({n, 1, r, r});
  for (std::int64_t i = 0; i < images.numel(); ++i) {
    const auto x = static_cast<double>(i);
    images.data_ptr<float>()[i] = static_cast<float>(std::sin(0.11 * x) + 0.5 * std::cos(0.053 * x * x));
  }
  return images;
}

void check_logits(Supernet& net, const SubnetConfig& config, std::vector<float> expected) {
  torch::NoGradGuard no_grad;
  const torch::Tensor found = net.forward(formula_images(2, config.r), config, BnMode::stored);
  const torch::Tensor wanted = torch::from_blob(expected.data(), {2, 3});
  CHECK(difference(found, wanted) <= 1e-4 * wanted.abs().max().item<double>());
}

}  // namespace

TEST_CASE("Supernet::forward: random sub-networks of elastic width equal the same networks built alone") {
  const SearchSpace space = tiny_slimmable();
  Supernet net = trained_like(space);
  Rng rng(6);
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 8; ++i) {
    const SubnetConfig config = space.sample(rng);
    const SearchSpace alone_space = mbconvs_alone(space, config);
    Supernet alone(alone_space, 1);
    copy_slices(alone, net, config);
    const torch::Tensor x = random_images(3, config.r);
    const torch::Tensor built = alone.forward(x, alone_space.largest(), BnMode::stored);
    CHECK(built.abs().max().item<double>() > 1e-3);
    CHECK(difference(net.forward(x, config, BnMode::stored), built) < 1e-5);
  }
}

TEST_CASE("Supernet::forward: random sub-networks of bottlenecks equal the same networks built alone") {
  const SearchSpace space = tiny_bottlenecks();
  Supernet net = trained_like(space);
  Rng rng(7);
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 8; ++i) {
    SubnetConfig config = space.sample(rng);
    config.w[0] = config.w[1];
    config.e = {config.e[0], config.e[0], config.e[2], config.e[2]};
    config = space.canonical(config);
    const SearchSpace alone_space = bottlenecks_alone(space, config);
    Supernet alone(alone_space, 1);
    copy_slices(alone, net, config);
    const torch::Tensor x = random_images(3, config.r);
    const torch::Tensor built = alone.forward(x, alone_space.largest(), BnMode::stored);
    CHECK(built.abs().max().item<double>() > 1e-3);
    CHECK(difference(net.forward(x, config, BnMode::stored), built) < 1e-5);
  }
}

// Logits of PyTorch models written in Python from the layers' description, apart from this code.
TEST_CASE("Supernet::forward: logits of bottlenecks are PyTorch's") {
  Supernet net = formula_net(tiny_bottlenecks());
  check_logits(net, {20, {2, 1}, {0.5, 0.25, 0.5, 0.25}, {3, 3, 3, 3}, {0.5, 1, 0.5, 1}, 1},
               {3.0447602F, 4.1719017F, -1.7428740F, 2.9934013F, 4.0314603F, -1.7245978F});
  check_logits(net, {12, {1, 2}, {0.25, 0.25, 0.25, 0.5}, {3, 3, 3, 3}, {1, 0.5, 1, 0.5}, 0},
               {1.3046464F, 2.4774215F, -0.4019155F, 1.3137499F, 2.5489125F, -0.3941785F});
}

TEST_CASE("Supernet::forward: logits of narrow MBConv networks are PyTorch's") {
  Supernet net = formula_net(tiny_slimmable());
  check_logits(net, {12, {1, 2}, {3, 2, 2, 4}, {7, 7, 5, 5}, {0.5}},
               {0.1647230F, 0.1538184F, 0.1376444F, 0.1643862F, 0.1533078F, 0.1372177F});
  check_logits(net, {16, {2, 1}, {2, 3, 4, 2}, {7, 7, 5, 5}, {0.75}},
               {0.7195088F, 0.1399505F, -0.4378763F, 0.6896975F, 0.1275292F, -0.4266372F});
}

TEST_CASE("Supernet::sort_channels: keeps the function of bottlenecks, and puts important channels first") {
  const SearchSpace space = tiny_bottlenecks();
  Supernet net = trained_like(space);
  torch::NoGradGuard no_grad;
  const torch::Tensor x = random_images(2, 20);
  const torch::Tensor before = net.forward(x, space.largest(), BnMode::stored),
                      narrow_before = net.forward(random_images(2, 12), space.smallest(), BnMode::stored);
  net.sort_channels();
  CHECK(difference(before, net.forward(x, space.largest(), BnMode::stored)) < 1e-5);
  CHECK(difference(narrow_before, net.forward(random_images(2, 12), space.smallest(), BnMode::stored)) >
        1e-4);
  for (const char* layer : {"blocks.1.conv2", "blocks.1.conv3"}) {
    const torch::Tensor importance =
        net.parameters().at(std::string(layer) + ".conv.weight").abs().sum({0, 2, 3});
    CHECK((importance.slice(0, 0, -1) >= importance.slice(0, 1)).all().item<bool>());
  }
}

TEST_CASE("Supernet::calibrate: narrow sub-networks have statistics of the channels they use") {
  for (const SearchSpace& space : {tiny_slimmable(), tiny_bottlenecks()}) {
    Supernet net = trained_like(space);
    const SubnetConfig config = space.smallest();
    const torch::Tensor x = random_images(12, config.r);
    torch::NoGradGuard no_grad;
    const BnTensorMap stats = net.calibrate({x}, config);
    CHECK(stats.at("stem.bn").mean.size(0) == 8);
    CHECK(difference(net.forward(x, config, BnMode::stored, &stats), net.forward(x, config, BnMode::batch)) <
          1e-4);
  }
}

TEST_CASE("Supernet: fresh bottlenecks have a gradient in every tensor of the largest sub-network") {
  const SearchSpace space = tiny_bottlenecks();
  Supernet net(space, 3);
  torch::NoGradGuard no_grad;
  for (auto& [name, p] : net.parameters()) {
    if (name.ends_with("conv3.bn.weight"))
      p.fill_(0.1);  // zero at first: lets nothing back on the first step
  }
  torch::AutoGradMode with_grad(true);
  net.forward(random_images(8, 20), space.largest(), BnMode::batch).pow(2).sum().backward();
  for (const auto& [name, p] : net.parameters()) {
    CAPTURE(name);
    REQUIRE(p.grad().defined());
    CHECK(p.grad().abs().max().item<double>() > 0);
  }
}

TEST_CASE(
    "train_supernet: the sandwich learns slimmable networks and bottlenecks, from the narrowest to the "
    "widest") {
  const fs::path folder = fs::temp_directory_path() / "dsn_families_test";
  fs::create_directories(folder);
  const StripeDataset train(480, 1, "stripes/train"), val(150, 2, "stripes/val");
  TrainOptions options;
  options.epochs = 6;
  options.batch = 32;
  options.learning_rate = 0.1;
  options.ema_decay = 0.9;
  options.augmentation = {1, false, 0, 1};
  options.calibration_images = 96;
  options.evaluate_every = 6;
  for (const SearchSpace& space : {tiny_slimmable(), tiny_bottlenecks()}) {
    CAPTURE(space.name());
    const fs::path out = folder / (space.name() + ".safetensors");
    train_supernet({space, Preprocessing{1, {0.5F}, {0.25F}, 1.0}, {}, "stripes", Json()}, train, val,
                   options, {out, {}, false}, silent_job());
    const Checkpoint checkpoint = Checkpoint::open(out);
    Supernet net(checkpoint.info.space, checkpoint.tensors);
    std::vector<SubnetConfig> configs{net.space().smallest(), net.space().largest()};
    Rng rng(2);
    for (int i = 0; i < 4; ++i) configs.push_back(net.space().sample(rng));
    EvaluateOptions evaluation;
    evaluation.calibration_images = 200;
    for (const Evaluation& e :
         evaluate(net, configs, train, val, checkpoint.info.preprocessing, evaluation, silent_job())) {
      CHECK(e.accuracy() > 0.75);
    }
  }
  fs::remove_all(folder);
}

}  // namespace dsn
