// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/torch_object.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>

#include "dsn/core/error.h"
#include "dsn/supernet/foreign_text.h"

namespace dsn {
namespace {

using Use = PickleGlobal::Use;

constexpr std::size_t kLongestName = 1024;
constexpr std::size_t kDeepest = 16;  // dicts within dicts
constexpr std::size_t kMostTensors = 100'000;
constexpr std::size_t kMostDimensions = 16;

struct StorageType {
  std::string_view global;
  TorchDType dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"torch.FloatStorage", TorchDType::f32},     {"torch.HalfStorage", TorchDType::f16},
    {"torch.BFloat16Storage", TorchDType::bf16}, {"torch.DoubleStorage", TorchDType::f64},
    {"torch.LongStorage", TorchDType::i64},      {"torch.IntStorage", TorchDType::i32},
    {"torch.ShortStorage", TorchDType::i16},     {"torch.CharStorage", TorchDType::i8},
    {"torch.ByteStorage", TorchDType::u8},       {"torch.BoolStorage", TorchDType::boolean},
};

constexpr std::string_view kRebuild = "torch._utils._rebuild_tensor";
constexpr std::string_view kRebuildV2 = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

constexpr PickleGlobal kGlobals[] = {
    {"collections.OrderedDict", Use::dictionary},
    {kRebuild, Use::function},
    {kRebuildV2, Use::function},
    {kRebuildParameter, Use::function},
    {"torch.Size", Use::function},
    {"torch.device", Use::function},
    {"torch.FloatStorage", Use::constant},
    {"torch.HalfStorage", Use::constant},
    {"torch.BFloat16Storage", Use::constant},
    {"torch.DoubleStorage", Use::constant},
    {"torch.LongStorage", Use::constant},
    {"torch.IntStorage", Use::constant},
    {"torch.ShortStorage", Use::constant},
    {"torch.CharStorage", Use::constant},
    {"torch.ByteStorage", Use::constant},
    {"torch.BoolStorage", Use::constant},
    {"torch.float32", Use::constant},
    {"torch.float16", Use::constant},
    {"torch.float64", Use::constant},
    {"torch.int64", Use::constant},
};

// The product of dimensions, if it and the bytes it stands for fit 63 bits.
std::optional<std::int64_t> product(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(count, dimension, &count)) return std::nullopt;
  }
  return count;
}

// One past the last element that a strided view touches, if it fits 63 bits.
std::optional<std::int64_t> reach(const TorchTensor& tensor) {
  std::int64_t last = tensor.offset;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t step = 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      return std::nullopt;
    }
  }
  if (last == std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return last + 1;
}

class ObjectReader {
 public:
  ObjectReader(const Pickle& pickle, const std::string& file) : pickle_(pickle), file_(file) {}

  TorchObject read() {
    PickleId root = pickle_.root();
    if (pickle_.kind(root) != PickleKind::dict) {
      fail(fmt::format("found {}, expected a dict of tensors", to_string(pickle_.kind(root))));
    }
    if (const auto inner = find(root, "state_dict"); inner && pickle_.kind(*inner) == PickleKind::dict) {
      root = *inner;
    }
    find_storages();
    flatten(root);
    if (object_.tensors.empty()) fail("holds no tensors");
    return std::move(object_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::bad_input,
                tensor_.empty() ? fmt::format("{}: {}", file_, what)
                                : fmt::format("{}: tensor {}: {}", file_, foreign_text(tensor_), what));
  }

  // The last value of a key counts, as in Python.
  [[nodiscard]] std::optional<PickleId> find(PickleId dict, std::string_view key) const {
    const auto items = pickle_.items(dict);
    for (std::size_t i = items.size(); i >= 2; i -= 2) {
      if (pickle_.kind(items[i - 2]) == PickleKind::text && pickle_.text(items[i - 2]) == key)
        return items[i - 1];
    }
    return std::nullopt;
  }

  // Walks the dicts in `root` without recursion; each dict may appear once, so that the walk ends and names
  // do not multiply.
  void flatten(PickleId root) {
    struct Frame {
      PickleId dict;
      std::size_t next;
      std::string prefix;
    };
    std::vector<Frame> stack{{root, 0, ""}};
    std::set<PickleId> seen{root};
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const auto items = pickle_.items(frame.dict);
      if (frame.next >= items.size()) {
        stack.pop_back();
        continue;
      }
      const PickleId key = items[frame.next], value = items[frame.next + 1];
      frame.next += 2;
      const PickleKind kind = pickle_.kind(value);
      if (kind != PickleKind::dict && kind != PickleKind::call) continue;
      std::string name = frame.prefix + key_text(key);
      if (name.size() > kLongestName)
        fail(fmt::format("found a name of {} bytes, expected at most {}", name.size(), kLongestName));
      if (kind == PickleKind::call) {
        add_tensor(std::move(name), value);
      } else {
        if (!seen.insert(value).second)
          fail(fmt::format("{}: found a dict that is already elsewhere", foreign_text(name)));
        if (stack.size() >= kDeepest) fail(fmt::format("found dicts nested deeper than {}", kDeepest));
        stack.push_back({value, 0, name + "."});
      }
    }
  }

  [[nodiscard]] std::string key_text(PickleId key) const {
    switch (pickle_.kind(key)) {
      case PickleKind::text:
        return std::string(pickle_.text(key).substr(0, kLongestName + 1));
      case PickleKind::integer:
        return std::to_string(pickle_.integer(key));
      default:
        fail(fmt::format("found {} as a key, expected text", to_string(pickle_.kind(key))));
    }
  }

  void add_tensor(std::string name, PickleId call) {
    tensor_ = name;
    if (const auto tensor = read_tensor(call)) {
      object_.tensors.insert_or_assign(std::move(name), *tensor);
      if (object_.tensors.size() > kMostTensors)
        fail(fmt::format("found more than {} tensors", kMostTensors));
    }
    tensor_.clear();
  }

  // Nothing for a call that makes no tensor (torch.Size).
  std::optional<TorchTensor> read_tensor(PickleId call) {
    std::string_view function = pickle_.text(pickle_.items(call)[0]);
    if (function == kRebuildParameter) {
      call = argument(call, 1);
      if (pickle_.kind(call) != PickleKind::call)
        fail(fmt::format("found a parameter of {}, expected a tensor", to_string(pickle_.kind(call))));
      function = pickle_.text(pickle_.items(call)[0]);
      if (function != kRebuild && function != kRebuildV2)
        fail(fmt::format("found a parameter of {}, expected a tensor", function));
    }
    if (function != kRebuild && function != kRebuildV2) return std::nullopt;
    const std::size_t least = function == kRebuild ? 4 : 6;  // v2 adds requires_grad and hooks
    if (pickle_.items(call).size() < 1 + least)
      fail(fmt::format("found {} arguments of {}, expected {}", pickle_.items(call).size() - 1, function,
                       least));
    TorchTensor tensor;
    const auto view = by_id_.find(argument(call, 1));
    if (view == by_id_.end())
      fail(fmt::format("found {} as its storage", to_string(pickle_.kind(argument(call, 1)))));
    tensor.storage = view->second.storage;
    const TorchStorage& storage = object_.storages[tensor.storage];
    tensor.dtype = storage.dtype;
    tensor.offset = integer(argument(call, 2), "an offset");
    tensor.shape = integers(argument(call, 3), "a shape");
    tensor.strides = integers(argument(call, 4), "strides");
    if (__builtin_add_overflow(tensor.offset, view->second.offset, &tensor.offset))
      fail("found an offset beyond 63 bits");
    check_bounds(tensor, storage);
    return tensor;
  }

  void check_bounds(const TorchTensor& tensor, const TorchStorage& storage) const {
    const auto shape = fmt::format("[{}]", fmt::join(tensor.shape, ", "));
    if (tensor.shape.size() != tensor.strides.size())
      fail(fmt::format("found {} strides for shape {}", tensor.strides.size(), shape));
    const auto numel = product(tensor.shape);
    if (!numel) fail(fmt::format("found shape {}, whose size does not fit 63 bits", shape));
    if (*numel == 0) return;  // touches nothing
    // A view that repeats elements could ask for any amount of memory; nobody saves weights so.
    if (*numel > storage.numel) {
      fail(fmt::format("found shape {} over a storage of {} elements", shape, storage.numel));
    }
    const auto end = reach(tensor);
    if (!end || *end > storage.numel) {
      fail(fmt::format("found shape {}, strides [{}], offset {}: outside its storage of {} elements", shape,
                       fmt::join(tensor.strides, ", "), tensor.offset, storage.numel));
    }
  }

  [[nodiscard]] PickleId argument(PickleId call, std::size_t index) const {
    const auto items = pickle_.items(call);
    if (index >= items.size())
      fail(fmt::format("found {} arguments of {}", items.size() - 1, pickle_.text(items[0])));
    return items[index];
  }
  [[nodiscard]] std::int64_t integer(PickleId id, const char* what) const {
    if (pickle_.kind(id) != PickleKind::integer || pickle_.integer(id) < 0) {
      fail(pickle_.kind(id) == PickleKind::integer
               ? fmt::format("found {} as {}, expected 0 or more", pickle_.integer(id), what)
               : fmt::format("found {} as {}, expected an integer", to_string(pickle_.kind(id)), what));
    }
    return pickle_.integer(id);
  }
  // A tuple of integers; torch.Size of one in files of some versions.
  [[nodiscard]] std::vector<std::int64_t> integers(PickleId id, const char* what) const {
    if (pickle_.kind(id) == PickleKind::call && pickle_.text(pickle_.items(id)[0]) == "torch.Size")
      id = argument(id, 1);
    if (pickle_.kind(id) != PickleKind::tuple && pickle_.kind(id) != PickleKind::list)
      fail(fmt::format("found {} as {}, expected a tuple", to_string(pickle_.kind(id)), what));
    const auto items = pickle_.items(id);
    if (items.size() > kMostDimensions)
      fail(
          fmt::format("found {} of {} dimensions, expected at most {}", what, items.size(), kMostDimensions));
    std::vector<std::int64_t> values;
    for (const PickleId item : items) values.push_back(integer(item, what));
    return values;
  }

  // All storages that the pickle names, those of no tensor (an optimizer's) too: in a legacy file they lie
  // between the others.
  void find_storages() {
    for (PickleId id = 0; id < pickle_.size(); ++id) {
      if (pickle_.kind(id) == PickleKind::persistent) by_id_.emplace(id, read_storage(pickle_.items(id)[0]));
    }
  }

  // A persistent object as a tensor refers to it.
  struct StorageView {
    std::size_t storage = 0;
    std::int64_t offset = 0;
  };

  // ('storage', type, key, location, numel[, view]); view: None or (key, offset, numel), of PyTorch before
  // 0.4.
  StorageView read_storage(PickleId description) {
    const auto items = pickle_.items(description);
    if (pickle_.kind(description) != PickleKind::tuple || items.size() < 5 ||
        pickle_.kind(items[0]) != PickleKind::text || pickle_.text(items[0]) != "storage") {
      fail("found a persistent object that is not a storage");
    }
    if (pickle_.kind(items[1]) != PickleKind::global)
      fail(fmt::format("found {} as the type of a storage", to_string(pickle_.kind(items[1]))));
    const auto* type =
        std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                     [&](const StorageType& t) { return t.global == pickle_.text(items[1]); });
    if (type == std::end(kStorageTypes))
      fail(fmt::format("found {} as the type of a storage", pickle_.text(items[1])));
    if (pickle_.kind(items[2]) != PickleKind::text || pickle_.text(items[2]).size() > kLongestName)
      fail("found a storage whose key is not a short text");
    TorchStorage storage{std::string(pickle_.text(items[2])), type->dtype,
                         integer(items[4], "the size of a storage")};
    std::int64_t bytes = 0;
    if (__builtin_mul_overflow(storage.numel, static_cast<std::int64_t>(size_bytes(storage.dtype)), &bytes))
      fail(fmt::format("found a storage of {} elements", storage.numel));
    StorageView result;
    if (items.size() > 5 && pickle_.kind(items[5]) == PickleKind::tuple) {
      const auto view = pickle_.items(items[5]);
      if (view.size() != 3) fail("found a storage view that is not (key, offset, size)");
      result.offset = integer(view[1], "the offset of a storage view");
    }
    const auto [known, is_new] = by_key_.emplace(storage.key, object_.storages.size());
    result.storage = known->second;
    if (is_new) {
      object_.storages.push_back(std::move(storage));
    } else if (const TorchStorage& other = object_.storages[known->second];
               other.dtype != storage.dtype || other.numel != storage.numel) {
      fail(fmt::format("found storage {} as {} {} and as {} {}", foreign_text(storage.key), other.numel,
                       to_string(other.dtype), storage.numel, to_string(storage.dtype)));
    }
    return result;
  }

  const Pickle& pickle_;
  const std::string& file_;
  std::string tensor_;  // being read, for messages
  TorchObject object_;
  std::unordered_map<std::string, std::size_t> by_key_;
  std::unordered_map<PickleId, StorageView> by_id_;
};

}  // namespace

std::span<const PickleGlobal> torch_globals() noexcept {
  return kGlobals;
}

std::uint64_t TorchStorage::bytes() const noexcept {
  return static_cast<std::uint64_t>(numel) * size_bytes(dtype);
}

TorchObject read_torch_object(const Pickle& pickle, const std::string& file) {
  return ObjectReader(pickle, file).read();
}

}  // namespace dsn
