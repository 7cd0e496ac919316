// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/elastic/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "dsn/core/error.h"
#include "dsn/engine/elastic/kernels.h"
#include "dsn/supernet/tensor_shapes.h"

namespace dsn::elastic {
namespace {

std::size_t numel(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  return count;
}

bool is_transform(const std::string& name) {
  return name.find(".depth.transform_") != std::string::npos;
}

bool is_depthwise(const std::string& name) {
  return name.ends_with(".depth.conv.weight");
}

// "stem.conv.weight" reads the image itself, channel by channel.
bool is_stem(const std::string& name) {
  return name == "stem.conv.weight";
}

// Kernels of `unit`, ascending; its largest is `largest`.
std::vector<int> kernels_of(const SearchSpace& space, const std::string& unit, int largest) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!unit.starts_with(kBlocks)) return {largest};
  const int block = std::stoi(unit.substr(kBlocks.size()));
  return space.stages()[static_cast<std::size_t>(space.stage_of(block))].kernel;
}

std::string filter_key(const std::string& unit, int kernel) {
  return fmt::format("{}.depth/{}", unit, kernel);
}

std::string unit_of(const std::string& depthwise) {
  return depthwise.substr(0, depthwise.size() - std::string_view(".depth.conv.weight").size());
}

void require_shape(const TensorFile& file, const std::string& name, const std::vector<std::int64_t>& shape,
                   const SearchSpace& space) {
  const TensorView& view = file.at(name);
  if (view.dtype == DType::f32 && view.shape == shape) return;
  throw Error(ErrorCode::mismatch,
              fmt::format("{}: {}: found shape [{}], expected float32 [{}] for space {}", file.file(), name,
                          fmt::join(view.shape, ", "), fmt::join(shape, ", "), space.name()),
              "the checkpoint was trained for another search space or width multiplier");
}

// What is packed is not read again: the process gives the file's pages back, the kernel keeps them in its
// cache, and who does read them finds them as they were. Only where all tensors lie side by side as they do
// in a file: those that TensorFile had to copy are memory like any other.
void give_back_pages(const TensorFile& file) {
  std::uintptr_t begin = UINTPTR_MAX, end = 0;
  std::size_t total = 0;
  for (const auto& [name, view] : file.tensors()) {
    const auto at = reinterpret_cast<std::uintptr_t>(view.bytes.data());
    begin = std::min(begin, at);
    end = std::max(end, at + view.bytes.size());
    total += view.bytes.size();
  }
  if (file.tensors().size() < 2 || total != end - begin) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace

Weights::Weights(const SearchSpace& space, const TensorFile& file) : file_(file) {
  const auto shapes = tensor_shapes(space);
  for (const auto& [name, shape] : shapes) {
    require_shape(file, name, shape, space);
    if (is_transform(name)) continue;
    if (is_depthwise(name)) {
      for (const int k : kernels_of(space, unit_of(name), static_cast<int>(shape[2])))
        add(filter_key(unit_of(name), k),
            static_cast<std::size_t>(blocks_of(static_cast<int>(shape[0])) * kBlock * k * k));
    } else if (shape.size() >= 2) {
      const auto panels = static_cast<std::size_t>(blocks_of(static_cast<int>(shape[0])));
      const std::size_t depth =
          is_stem(name) ? static_cast<std::size_t>(shape[1])
                        : static_cast<std::size_t>(blocks_of(static_cast<int>(shape[1])) * kBlock);
      const std::size_t taps = shape.size() == 4 ? static_cast<std::size_t>(shape[2] * shape[3]) : 1;
      Item& item = add(name, panels * depth * taps * kBlock);
      item.panel = static_cast<std::ptrdiff_t>(depth * taps * kBlock);
    } else {
      add(name, numel(shape));
    }
  }
  std::size_t total = 0;
  for (auto& [key, item] : items_) {
    item.offset = total;
    total += (item.count + kBlock - 1) / kBlock * kBlock;
  }
  arena_ = Floats(total + kSlack);
  for (const auto& [name, shape] : shapes) {
    if (is_transform(name)) continue;
    if (is_depthwise(name)) {
      pack_depthwise(file, unit_of(name), kernels_of(space, unit_of(name), static_cast<int>(shape[2])));
    } else if (shape.size() >= 2) {
      pack_conv(at(name), file.at(name), is_stem(name) ? Form::planes : Form::blocks);
    } else {
      std::ranges::copy(file.at(name).floats(), arena_.data() + at(name).offset);
    }
  }
  give_back_pages(file);
}

std::shared_ptr<const Weights> Weights::shared(const SearchSpace& space, const TensorFile& file) {
  using Key = std::pair<const void*, std::string>;
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<const Weights>> known;
  const std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  const void* place = file.tensors().empty() ? nullptr : file.tensors().begin()->second.bytes.data();
  std::weak_ptr<const Weights>& entry = known[{place, space.sha256()}];
  std::shared_ptr<const Weights> weights = entry.lock();
  if (!weights) entry = weights = std::make_shared<const Weights>(space, file);
  return weights;
}

Weights::Item& Weights::add(const std::string& key, std::size_t count) {
  Item& item = items_[key];
  item.count = count;
  return item;
}

const Weights::Item& Weights::at(const std::string& key) const {
  const auto it = items_.find(key);
  if (it == items_.end()) throw Error(ErrorCode::failed, fmt::format("the packed weights have no {}", key));
  return it->second;
}

void Weights::pack_conv(const Item& item, const TensorView& view, Form form) {
  const auto out = static_cast<std::size_t>(view.shape[0]), in = static_cast<std::size_t>(view.shape[1]);
  const std::size_t taps =
      view.shape.size() == 4 ? static_cast<std::size_t>(view.shape[2] * view.shape[3]) : 1;
  const std::size_t depth = form == Form::blocks ? kBlock : 1;
  const float* from = view.floats().data();
  float* to = arena_.data() + item.offset;
  for (std::size_t n = 0; n < out; ++n) {
    float* panel = to + n / kBlock * static_cast<std::size_t>(item.panel) + n % kBlock;
    for (std::size_t k = 0; k < in; ++k) {
      for (std::size_t t = 0; t < taps; ++t)
        panel[((k / depth * taps + t) * depth + k % depth) * kBlock] = *from++;
    }
  }
}

void Weights::pack_depthwise(const TensorFile& file, const std::string& unit,
                             const std::vector<int>& kernels) {
  const TensorView& view = file.at(unit + ".depth.conv.weight");
  const auto channels = static_cast<std::size_t>(view.shape[0]);
  std::vector<float> filters(view.floats().begin(), view.floats().end());
  int size = static_cast<int>(view.shape[2]);
  for (std::size_t i = kernels.size(); i-- > 0;) {
    if (const int smaller = kernels[i]; smaller < size) {
      // The centre of the next larger filter, through the learned matrix.
      const auto area = static_cast<std::size_t>(smaller * smaller),
                 margin = static_cast<std::size_t>((size - smaller) / 2);
      const std::span<const float> matrix =
          file.at(fmt::format("{}.depth.transform_{}to{}", unit, size, smaller)).floats();
      std::vector<float> next(channels * area);
      for (std::size_t c = 0; c < channels; ++c) {
        const float* large = filters.data() + c * static_cast<std::size_t>(size * size);
        for (std::size_t to = 0; to < area; ++to) {
          float sum = 0;
          for (std::size_t from = 0; from < area; ++from) {
            const std::size_t y = from / static_cast<std::size_t>(smaller) + margin,
                              x = from % static_cast<std::size_t>(smaller) + margin;
            sum += large[y * static_cast<std::size_t>(size) + x] * matrix[to * area + from];
          }
          next[c * area + to] = sum;
        }
      }
      filters = std::move(next);
      size = smaller;
    }
    const auto area = static_cast<std::size_t>(size * size);
    float* to = arena_.data() + at(filter_key(unit, size)).offset;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t t = 0; t < area; ++t)
        to[(c / kBlock * area + t) * kBlock + c % kBlock] = filters[c * area + t];
    }
  }
}

PackedConv Weights::conv(const std::string& name) const {
  const Item& item = at(name + ".weight");
  return {arena_.data() + item.offset, item.panel};
}

const float* Weights::depthwise(const std::string& unit, int kernel) const {
  return arena_.data() + at(filter_key(unit, kernel)).offset;
}

std::span<const float> Weights::vector(const std::string& name) const {
  const Item& item = at(name);
  return {arena_.data() + item.offset, item.count};
}

}  // namespace dsn::elastic
