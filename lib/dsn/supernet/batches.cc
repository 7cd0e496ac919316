// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr std::size_t kAhead = 4;  // batches kept ready

Batch empty_batch(std::size_t count, int channels, int r) {
  const auto n = static_cast<std::int64_t>(count);
  return {torch::empty({n, channels, r, r}), torch::empty({n}, torch::kInt64)};
}

std::span<float> item(Batch& batch, std::size_t i) {
  const std::int64_t size = batch.images[0].numel();
  return {batch.images.data_ptr<float>() + static_cast<std::int64_t>(i) * size,
          static_cast<std::size_t>(size)};
}

}  // namespace

Batch make_batch(const Dataset& data, const Preprocessing& how, int r, std::size_t first, std::size_t count) {
  Batch batch = empty_batch(count, how.channels, r);
  for (std::size_t i = 0; i < count; ++i) {
    preprocess(data.image(first + i), how, r, item(batch, i));
    batch.labels.data_ptr<std::int64_t>()[i] = data.label(first + i);
  }
  return batch;
}

std::vector<torch::Tensor> calibration_batches(const Dataset& data, const Preprocessing& how, int r,
                                               std::size_t count, std::size_t batch) {
  count = std::min(count, data.size());
  std::vector<torch::Tensor> batches;
  for (std::size_t first = 0; first < count; first += batch) {
    const std::size_t n = std::min(batch, count - first);
    Batch b = empty_batch(n, how.channels, r);
    for (std::size_t i = 0; i < n; ++i)
      preprocess(data.image((first + i) * data.size() / count), how, r, item(b, i));
    batches.push_back(b.images);
  }
  return batches;
}

TrainBatches::TrainBatches(const Dataset& data, const Preprocessing& how, const Augmentation& augmentation,
                           int r, std::size_t batch, std::uint64_t seed, int epoch, std::size_t first_step)
    : data_(data),
      how_(how),
      augmentation_(augmentation),
      r_(r),
      batch_(batch),
      seed_(seed),
      epoch_(epoch),
      order_(data.size()) {
  if (data.size() < batch) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} training images, expected at least one batch of {}", data.name(),
                            data.size(), batch),
                "choose a smaller --batch");
  }
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  Rng rng = Rng::stream(seed, fmt::format("order/{}", epoch));
  rng.shuffle(std::span(order_));
  thread_ = std::thread([this, first_step] { produce(first_step); });
}

TrainBatches::~TrainBatches() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Batch TrainBatches::make(std::size_t step) const {
  Batch batch = empty_batch(batch_, how_.channels, r_);
  for (std::size_t i = 0; i < batch_; ++i) {
    const std::size_t index = order_[step * batch_ + i];
    Rng rng = Rng::stream(seed_, fmt::format("augment/{}/{}", epoch_, index));
    preprocess(augment(data_.image(index), augmentation_, rng), how_, r_, item(batch, i));
    batch.labels.data_ptr<std::int64_t>()[i] = data_.label(index);
  }
  return batch;
}

void TrainBatches::produce(std::size_t first_step) {
  try {
    for (std::size_t step = first_step; step < steps(data_, batch_); ++step) {
      Batch batch = make(step);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || ready_.size() < kAhead; });
      if (stop_) return;
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  done_ = true;
  changed_.notify_all();
}

Batch TrainBatches::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ || !ready_.empty(); });
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return {};
  }
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

}  // namespace dsn
