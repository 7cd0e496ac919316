// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/mlp_train.h"

#include <Eigen/Dense>
#include <array>
#include <cmath>
#include <numbers>

#include "dsn/core/random.h"

namespace dsn {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Index = Eigen::Index;

constexpr double kFirstMoment = 0.9, kSecondMoment = 0.999, kTiny = 1e-8;

// A matrix of parameters and what Adam keeps of it.
struct AdamMatrix {
  MatrixXd value, first, second;
  bool decays = false;

  AdamMatrix(Index rows, Index cols, double deviation, Rng* rng)
      : value(MatrixXd::Zero(rows, cols)), first(value), second(value), decays(rng != nullptr) {
    if (rng == nullptr) return;
    for (Index c = 0; c < cols; ++c) {
      for (Index r = 0; r < rows; ++r) value(r, c) = deviation * rng->normal();
    }
  }

  void step(const MatrixXd& gradient, int time, double rate, double decay) {
    first = kFirstMoment * first + (1 - kFirstMoment) * gradient;
    second = kSecondMoment * second + (1 - kSecondMoment) * gradient.cwiseAbs2();
    const double one = 1 - std::pow(kFirstMoment, time), two = 1 - std::pow(kSecondMoment, time);
    if (decays) value *= 1 - rate * decay;
    value.array() -= rate * (first.array() / one) / ((second.array() / two).sqrt() + kTiny);
  }
};

// One network: three layers, of which the last has one output.
class Member {
 public:
  Member(Index inputs, const MlpTraining& training, Rng& rng)
      : training_(training),
        weight_{AdamMatrix(inputs, training.hidden, std::sqrt(2.0 / static_cast<double>(inputs)), &rng),
                AdamMatrix(training.hidden, training.hidden, std::sqrt(2.0 / training.hidden), &rng),
                AdamMatrix(training.hidden, 1, std::sqrt(1.0 / training.hidden), &rng)},
        bias_{AdamMatrix(1, training.hidden, 0, nullptr), AdamMatrix(1, training.hidden, 0, nullptr),
              AdamMatrix(1, 1, 0, nullptr)} {}

  // share: of each sample, adding up to 1.
  void train(const MatrixXd& inputs, const VectorXd& targets, const VectorXd& share) {
    for (int epoch = 0; epoch < training_.epochs; ++epoch) {
      const double rate = training_.rate * 0.5 * (1 + std::cos(std::numbers::pi * epoch / training_.epochs));
      const MatrixXd h1 = layer(inputs, 0).cwiseMax(0), h2 = layer(h1, 1).cwiseMax(0);
      const VectorXd error = layer(h2, 2).col(0) - targets;
      const MatrixXd d3 = 2 * error.cwiseProduct(share);
      const MatrixXd d2 = back(d3, 2, h2), d1 = back(d2, 1, h1);
      step(0, inputs, d1, epoch + 1, rate);
      step(1, h1, d2, epoch + 1, rate);
      step(2, h2, d3, epoch + 1, rate);
    }
  }

  [[nodiscard]] const MatrixXd& weight(std::size_t layer) const { return weight_[layer].value; }
  [[nodiscard]] const MatrixXd& bias(std::size_t layer) const { return bias_[layer].value; }

 private:
  [[nodiscard]] MatrixXd layer(const MatrixXd& x, std::size_t l) const {
    return (x * weight_[l].value).rowwise() + bias_[l].value.row(0);
  }
  [[nodiscard]] MatrixXd back(const MatrixXd& gradient, std::size_t l, const MatrixXd& activation) const {
    const MatrixXd through = gradient * weight_[l].value.transpose();
    return (activation.array() > 0).select(through, 0);
  }
  void step(std::size_t l, const MatrixXd& x, const MatrixXd& gradient, int time, double rate) {
    const MatrixXd of_weight = x.transpose() * gradient, of_bias = gradient.colwise().sum();
    weight_[l].step(of_weight, time, rate, training_.decay);
    bias_[l].step(of_bias, time, rate, 0);
  }

  const MlpTraining& training_;
  std::array<AdamMatrix, 3> weight_, bias_;
};

DenseLayer empty_layer(int in, int out) {
  const auto size = static_cast<std::size_t>(in) * static_cast<std::size_t>(out);
  return {in, out, std::vector<float>(size, 0.0F), std::vector<float>(static_cast<std::size_t>(out), 0.0F)};
}

float& at(DenseLayer& layer, Index out, Index in) {
  return layer.weight[static_cast<std::size_t>(out) * static_cast<std::size_t>(layer.in) +
                      static_cast<std::size_t>(in)];
}

// Copies a member's layer to where its outputs and inputs begin in the layer of all.
void place(const Member& member, std::size_t l, DenseLayer& into, Index first_out, Index first_in) {
  const MatrixXd &weight = member.weight(l), &bias = member.bias(l);
  for (Index o = 0; o < weight.cols(); ++o) {
    for (Index i = 0; i < weight.rows(); ++i)
      at(into, first_out + o, first_in + i) = static_cast<float>(weight(i, o));
    into.bias[static_cast<std::size_t>(first_out + o)] = static_cast<float>(bias(0, o));
  }
}

// What members say is of mean 0 and deviation 1.
void place_last(const Member& member, DenseLayer& into, Index number, Index members, double mean,
                double deviation) {
  const MatrixXd& weight = member.weight(2);
  const double bias = member.bias(2)(0, 0) * deviation + mean;
  const Index first = number * weight.rows();
  for (Index i = 0; i < weight.rows(); ++i) {
    const double w = weight(i, 0) * deviation;
    at(into, 0, first + i) = static_cast<float>(w / static_cast<double>(members));
    at(into, number + 1, first + i) = static_cast<float>(w);
  }
  into.bias[0] += static_cast<float>(bias / static_cast<double>(members));
  into.bias[static_cast<std::size_t>(number) + 1] = static_cast<float>(bias);
}

}  // namespace

std::vector<DenseLayer> train_mlp(std::span<const double> inputs, std::span<const double> targets,
                                  const MlpTraining& training) {
  const auto count = static_cast<Index>(targets.size());
  const Index width = static_cast<Index>(inputs.size()) / count;
  const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> rows(
      inputs.data(), count, width);
  const Eigen::Map<const VectorXd> raw(targets.data(), count);
  const double mean = raw.mean();
  const double deviation = std::max(std::sqrt((raw.array() - mean).square().mean()), 1e-9);
  const MatrixXd x = rows;
  const VectorXd y = (raw.array() - mean) / deviation;

  const int members = training.members, hidden = training.hidden;
  std::vector<DenseLayer> layers{empty_layer(static_cast<int>(width), members * hidden),
                                 empty_layer(members * hidden, members * hidden),
                                 empty_layer(members * hidden, members + 1)};
  Rng rng = Rng::stream(training.seed, "search.mlp");
  for (Index m = 0; m < members; ++m) {
    VectorXd share(count);
    for (Index i = 0; i < count; ++i) share(i) = 0.5 + 0.5 * rng.exponential(1);
    share /= share.sum();
    Member member(width, training, rng);
    member.train(x, y, share);
    place(member, 0, layers[0], m * hidden, 0);
    place(member, 1, layers[1], m * hidden, m * hidden);
    place_last(member, layers[2], m, members, mean, deviation);
  }
  return layers;
}

}  // namespace dsn
