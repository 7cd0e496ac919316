// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/mlp_predictor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/safetensors.h"
#include "dsn/search/mlp.h"
#include "dsn/search/mlp_train.h"
#include "dsn/search/ofa_predictor.h"

namespace dsn {
namespace {

constexpr const char* kFormat = "dsn.predictor/1";
constexpr int kSizeInputs = 2;  // of MACs, the first
constexpr std::size_t kRows = 64;

std::map<std::string, TensorView> views_of(const std::vector<DenseLayer>& layers) {
  std::map<std::string, TensorView> views;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const DenseLayer& layer = layers[l];
    const std::string name = std::to_string(2 * l);  // ReLU counts, as in torch.nn.Sequential
    views[name + ".weight"] = {DType::f32, {layer.out, layer.in}, std::as_bytes(std::span(layer.weight))};
    views[name + ".bias"] = {DType::f32, {layer.out}, std::as_bytes(std::span(layer.bias))};
  }
  return views;
}

// MACs of rows, from tables where the space allows.
std::unique_ptr<RowFunction> macs_of(const GeneSpace& genes) {
  const SearchSpace& space = genes.space();
  if (space.width_count() == 0 && space.stem_depth().empty())
    return std::make_unique<UnitSums>(genes,
                                      [](const Unit& unit, int) { return static_cast<double>(unit.macs()); });
  return per_config(genes, [&space](const SubnetConfig& config) {
    return static_cast<double>(make_network(space, config).macs());
  });
}

}  // namespace

// Which inputs rows of genes have.
class MlpPredictor::Encoding {
 public:
  explicit Encoding(const GeneSpace& genes) : genes_(genes), macs_(macs_of(genes)) {
    const SearchSpace& space = genes.space();
    const auto log_macs = [&](const SubnetConfig& config) {
      return std::log(static_cast<double>(make_network(space, config).macs()));
    };
    const double low = log_macs(space.smallest()), high = log_macs(space.largest());
    centre_ = 0.5 * (low + high);
    reach_ = std::max(0.5 * (high - low), 1e-9);
    inputs_ = kSizeInputs;
    // Rows may be of fewer resolutions than the space has: they keep the places that the space's have.
    for (const int r : genes.resolutions()) {
      const auto place = std::find(space.resolutions().begin(), space.resolutions().end(), r);
      resolution_.push_back(inputs_ + static_cast<int>(place - space.resolutions().begin()));
    }
    first_.push_back(inputs_);
    inputs_ += static_cast<int>(space.resolutions().size());
    for (std::size_t g = 1; g < genes.size(); ++g) {
      first_.push_back(inputs_);
      inputs_ += genes.options(g);
    }
    first_block_gene_ = genes.expand_gene(0);
    end_of_blocks_ = first_block_gene_ + 2 * static_cast<std::size_t>(space.block_count());
  }

  [[nodiscard]] int inputs() const { return inputs_; }

  // set(row, input, value) for all inputs of `count` rows that are not 0.
  template <typename Set>
  void encode(const Gene* rows, std::size_t count, Set set) const {
    std::vector<double> macs(count);
    macs_->values(rows, count, macs.data());
    for (std::size_t i = 0; i < count; ++i) {
      const Gene* row = rows + i * genes_.size();
      const double size = (std::log(macs[i]) - centre_) / reach_;
      set(i, 0, 2 * size);
      set(i, 1, 2 * size * size);
      set(i, resolution_[row[GeneSpace::kResolution]], 1.0);
      const auto choice = [&](std::size_t gene) { set(i, first_[gene] + row[gene], 1.0); };
      for (std::size_t g = 1; g < first_block_gene_; ++g) choice(g);
      genes_.each_block(row, [&](int block) {
        choice(genes_.expand_gene(block));
        choice(genes_.kernel_gene(block));
      });
      for (std::size_t g = end_of_blocks_; g < genes_.size(); ++g) choice(g);
    }
  }

 private:
  const GeneSpace& genes_;
  std::unique_ptr<RowFunction> macs_;
  double centre_ = 0, reach_ = 1;
  int inputs_ = 0;
  std::vector<int> resolution_, first_;
  std::size_t first_block_gene_ = 0, end_of_blocks_ = 0;
};

struct MlpPredictor::Network {
  std::vector<DenseLayer> layers;
  Mlp mlp;
};

class MlpPredictor::Rows : public RowFunction {
 public:
  Rows(const GeneSpace& genes, std::shared_ptr<const Network> network)
      : encoding_(genes), size_(genes.size()), network_(std::move(network)) {}
  // As its own space.
  Rows(std::unique_ptr<const GeneSpace> genes, std::shared_ptr<const Network> network)
      : Rows(*genes, std::move(network)) {
    genes_ = std::move(genes);
  }

  [[nodiscard]] const GeneSpace& genes() const { return *genes_; }

  void values(const Gene* rows, std::size_t count, double* out) const override {
    outputs(rows, count, 1, out);
  }

  // out[i * outputs + o]
  void outputs(const Gene* rows, std::size_t count, int outputs, double* out) const {
    const auto wide = static_cast<std::size_t>(outputs);
    for (std::size_t first = 0; first < count; first += kRows) {
      const std::size_t now = std::min(kRows, count - first);
      Mlp::Work work(network_->mlp, static_cast<int>(now));
      encoding_.encode(rows + first * size_, now, [&](std::size_t row, int input, double value) {
        work.input()[(input / elastic::kBlock * work.rows() + static_cast<int>(row)) * elastic::kBlock +
                     input % elastic::kBlock] = static_cast<float>(value);
      });
      std::vector<float> said(now * wide);
      network_->mlp.forward(work, said.data(), outputs);
      std::copy(said.begin(), said.end(), out + first * wide);
    }
  }

 private:
  std::unique_ptr<const GeneSpace> genes_;
  Encoding encoding_;
  std::size_t size_;
  std::shared_ptr<const Network> network_;
};

MlpPredictor::MlpPredictor(const SearchSpace& space, std::shared_ptr<const Network> network)
    : space_(std::make_shared<const SearchSpace>(space)),
      network_(std::move(network)),
      own_(std::make_shared<const Rows>(std::make_unique<const GeneSpace>(*space_), network_)) {}

MlpPredictor MlpPredictor::fit(const SearchSpace& space, std::span<const SubnetConfig> configs,
                               std::span<const double> accuracy, std::uint64_t seed) {
  require_samples(space, configs, accuracy);
  const GeneSpace genes(space);
  const Encoding encoding(genes);
  std::vector<Gene> rows(configs.size() * genes.size());
  for (std::size_t i = 0; i < configs.size(); ++i) genes.write(configs[i], rows.data() + i * genes.size());
  const auto width = static_cast<std::size_t>(encoding.inputs());
  std::vector<double> inputs(configs.size() * width, 0);
  encoding.encode(rows.data(), configs.size(), [&](std::size_t row, int input, double value) {
    inputs[row * width + static_cast<std::size_t>(input)] = value;
  });
  MlpTraining training;
  training.seed = seed;
  std::vector<DenseLayer> layers = train_mlp(inputs, accuracy, training);
  Mlp mlp = Mlp::read(views_of(layers), "predictor");
  return {space, std::make_shared<const Network>(Network{std::move(layers), std::move(mlp)})};
}

bool MlpPredictor::is_one(const std::filesystem::path& path) {
  const auto& notes = TensorFile::open(path).metadata();
  const auto format = notes.find("format");
  return format != notes.end() && format->second == kFormat;
}

MlpPredictor MlpPredictor::open(const std::filesystem::path& path, const SearchSpace& space) {
  const TensorFile file = TensorFile::open(path);
  const auto trained_for = file.metadata().find("space_sha256");
  if (trained_for == file.metadata().end() || trained_for->second != space.sha256()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: this predictor was trained for another space than \"{}\" of width {}",
                            file.file(), space.name(), space.width_mult()),
                "give the space that its super-network has: --space, --width-mult");
  }
  Mlp mlp = Mlp::read(file.tensors(), file.file());
  const GeneSpace genes(space);
  const int inputs = Encoding(genes).inputs();
  if (mlp.inputs() != inputs || mlp.outputs() < 2) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found a network of {} inputs and {} outputs, expected {} and at least 2",
                            file.file(), mlp.inputs(), mlp.outputs(), inputs));
  }
  std::vector<DenseLayer> layers;
  for (int number = 0; file.has(fmt::format("{}.weight", number)); number += 2) {
    const TensorView& weight = file.at(fmt::format("{}.weight", number));
    const auto values = weight.floats(), bias = file.at(fmt::format("{}.bias", number)).floats();
    layers.push_back({static_cast<int>(weight.shape[1]),
                      static_cast<int>(weight.shape[0]),
                      {values.begin(), values.end()},
                      {bias.begin(), bias.end()}});
  }
  return {space, std::make_shared<const Network>(Network{std::move(layers), std::move(mlp)})};
}

void MlpPredictor::save(const std::filesystem::path& path,
                        const std::map<std::string, std::string>& notes) const {
  std::map<std::string, std::string> metadata = notes;
  metadata["format"] = kFormat;
  metadata["space"] = space_->name();
  metadata["space_sha256"] = space_->sha256();
  write_safetensors(path, views_of(network_->layers), metadata);
}

double MlpPredictor::predict(const SubnetConfig& config) const {
  std::vector<Gene> row(own_->genes().size());
  own_->genes().write(config, row.data());
  double accuracy = 0;
  own_->values(row.data(), 1, &accuracy);
  return accuracy;
}

double MlpPredictor::disagreement(const SubnetConfig& config) const {
  std::vector<Gene> row(own_->genes().size());
  own_->genes().write(config, row.data());
  const int outputs = network_->mlp.outputs();
  std::vector<double> said(static_cast<std::size_t>(outputs));
  own_->outputs(row.data(), 1, outputs, said.data());
  double sum = 0;
  for (std::size_t m = 1; m < said.size(); ++m) sum += (said[m] - said[0]) * (said[m] - said[0]);
  return std::sqrt(sum / static_cast<double>(outputs - 1));
}

std::unique_ptr<RowFunction> MlpPredictor::rows(const GeneSpace& genes) const {
  return std::make_unique<Rows>(genes, network_);
}

OpenedPredictor open_predictor(const std::filesystem::path& path, const SearchSpace& space) {
  if (MlpPredictor::is_one(path))
    return {std::make_unique<MlpPredictor>(MlpPredictor::open(path, space)), space.resolutions()};
  auto published = std::make_unique<OfaPredictor>(OfaPredictor::open(path, space));
  std::vector<int> resolutions = published->resolutions();
  return {std::move(published), std::move(resolutions)};
}

}  // namespace dsn
