// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/ofa_predictor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/search/mlp.h"

namespace dsn {
namespace {

constexpr int kStages = 5, kPlacesPerStage = 4, kPlaces = kStages * kPlacesPerStage;
constexpr std::array kKernels{3, 5, 7};
constexpr std::array kExpands{3.0, 4.0, 6.0};
constexpr int kFirstResolution = 112, kResolutionStep = 16, kResolutions = 8;
constexpr int kFirstExpandInput = kPlaces * static_cast<int>(kKernels.size());
constexpr int kFirstResolutionInput = kFirstExpandInput + kPlaces * static_cast<int>(kExpands.size());
constexpr int kInputs = kFirstResolutionInput + kResolutions;
constexpr int kRows = 64;  // per pass through the network: activations stay in the second-level cache

bool knows(int resolution) {
  const int above = resolution - kFirstResolution;
  return above >= 0 && above % kResolutionStep == 0 && above / kResolutionStep < kResolutions;
}

template <typename Values, typename T>
int place_of(const Values& values, T value) {
  return static_cast<int>(std::find(values.begin(), values.end(), value) - values.begin());
}

template <typename Values, typename Allowed>
bool all_among(const Values& values, const Allowed& allowed) {
  return std::all_of(values.begin(), values.end(), [&](auto value) {
    return std::find(allowed.begin(), allowed.end(), value) != allowed.end();
  });
}

void require_fit(const SearchSpace& space, const std::string& file) {
  const auto refuse = [&](const std::string& found, const std::string& expected) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: this predictor is of another space than \"{}\": found {}, "
                            "expected {}",
                            file, space.name(), found, expected));
  };
  if (space.block_kind() != BlockKind::mbconv || space.width_count() > 0)
    refuse("bottlenecks or elastic width", "MBConv blocks of fixed width");
  if (space.stage_count() != kStages)
    refuse(fmt::format("{} stages", space.stage_count()), fmt::format("{}", kStages));
  for (const StageSpace& stage : space.stages()) {
    if (stage.depth.back() > kPlacesPerStage)
      refuse(fmt::format("{} blocks in a stage", stage.depth.back()),
             fmt::format("at most {}", kPlacesPerStage));
    if (!all_among(stage.kernel, kKernels))
      refuse(fmt::format("kernels {}", fmt::join(stage.kernel, ", ")), "of 3, 5, 7");
    if (!all_among(stage.expand, kExpands))
      refuse(fmt::format("expand ratios {}", fmt::join(stage.expand, ", ")), "of 3, 4, 6");
  }
  if (std::none_of(space.resolutions().begin(), space.resolutions().end(), knows))
    refuse("none of its resolutions", "one of 112 to 224 in steps of 16");
}

}  // namespace

struct OfaPredictor::Network {
  Mlp mlp;
};

// Which inputs are 1, by gene and value.
class OfaPredictor::Rows : public RowFunction {
 public:
  Rows(const GeneSpace& genes, std::shared_ptr<const Network> network)
      : genes_(genes), network_(std::move(network)) {
    const SearchSpace& space = genes.space();
    for (const int r : genes.resolutions()) {
      if (!knows(r)) {
        throw Error(
            ErrorCode::bad_usage,
            fmt::format("the predictor does not know resolution {}: it knows 112 to 224 in steps of 16", r));
      }
      resolution_.push_back(kFirstResolutionInput + (r - kFirstResolution) / kResolutionStep);
    }
    for (int b = 0; b < space.block_count(); ++b) {
      const int s = space.stage_of(b);
      const StageSpace& stage = space.stages()[static_cast<std::size_t>(s)];
      const int place = s * kPlacesPerStage + b - space.first_block(s);
      Inputs& inputs = blocks_.emplace_back();
      for (std::size_t i = 0; i < stage.kernel.size(); ++i)
        inputs.kernel[i] = place * static_cast<int>(kKernels.size()) + place_of(kKernels, stage.kernel[i]);
      for (std::size_t i = 0; i < stage.expand.size(); ++i)
        inputs.expand[i] = kFirstExpandInput + place * static_cast<int>(kExpands.size()) +
                           place_of(kExpands, stage.expand[i]);
    }
  }

  void values(const Gene* rows, std::size_t count, double* out) const override {
    const std::size_t most = std::min<std::size_t>(count, kRows);
    if (most == 0) return;
    Mlp::Work work(network_->mlp, static_cast<int>(most));
    std::array<float, kRows> accuracy{};
    std::vector<int> ones;
    for (std::size_t first = 0; first < count; first += most) {
      // The last pass may be shorter: it computes rows left from before as well, which nobody reads.
      const std::size_t now = std::min(most, count - first);
      for (const int input : ones) work.input()[input] = 0;
      ones.clear();
      for (std::size_t i = 0; i < now; ++i) {
        const Gene* row = rows + (first + i) * genes_.size();
        const auto set = [&](int input) {
          const int at = (input / elastic::kBlock * work.rows() + static_cast<int>(i)) * elastic::kBlock +
                         input % elastic::kBlock;
          work.input()[at] = 1;
          ones.push_back(at);
        };
        set(resolution_[row[GeneSpace::kResolution]]);
        genes_.each_block(row, [&](int block) {
          const Inputs& inputs = blocks_[static_cast<std::size_t>(block)];
          set(inputs.kernel[row[genes_.kernel_gene(block)]]);
          set(inputs.expand[row[genes_.expand_gene(block)]]);
        });
      }
      network_->mlp.forward(work, accuracy.data());
      std::copy_n(accuracy.begin(), now, out + first);
    }
  }

 private:
  struct Inputs {
    std::array<int, kKernels.size()> kernel{};
    std::array<int, kExpands.size()> expand{};
  };
  const GeneSpace& genes_;
  std::shared_ptr<const Network> network_;
  std::vector<int> resolution_;
  std::vector<Inputs> blocks_;
};

OfaPredictor::OfaPredictor(const SearchSpace& space, std::shared_ptr<const Network> network)
    : space_(space), network_(std::move(network)) {
  for (const int r : space_.resolutions()) {
    if (knows(r)) resolutions_.push_back(r);
  }
}

OfaPredictor OfaPredictor::open(const std::filesystem::path& path, const SearchSpace& space) {
  const TensorFile file = TensorFile::open(path);
  Network network{Mlp::read(file.tensors(), file.file())};
  if (network.mlp.inputs() != kInputs || network.mlp.outputs() != 1) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found a network of {} inputs and {} outputs, expected {} and 1", file.file(),
                            network.mlp.inputs(), network.mlp.outputs(), kInputs));
  }
  require_fit(space, file.file());
  return {space, std::make_shared<const Network>(std::move(network))};
}

double OfaPredictor::predict(const SubnetConfig& config) const {
  const GeneSpace genes(space_, {config.r});
  std::vector<Gene> row(genes.size());
  genes.write(config, row.data());
  double accuracy = 0;
  Rows(genes, network_).values(row.data(), 1, &accuracy);
  return accuracy;
}

std::unique_ptr<RowFunction> OfaPredictor::rows(const GeneSpace& genes) const {
  return std::make_unique<Rows>(genes, network_);
}

}  // namespace dsn
