// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>

#include "dsn/core/error.h"
#include "dsn/supernet/foreign_text.h"
#include "dsn/supernet/torch_object.h"
#include "dsn/supernet/torch_values.h"
#include "dsn/supernet/zip_archive.h"

namespace dsn {
namespace {

// 0x1950a86a20f9469cfc6c, little-endian: what a legacy file's first pickle holds.
constexpr std::string_view kLegacyMagic{"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10};
constexpr std::int64_t kLegacyProtocol = 1001;
constexpr std::string_view kPickleName = "/data.pkl";

[[noreturn]] void fail(const std::string& file, const std::string& what, const char* hint = "") {
  throw Error(ErrorCode::bad_input, fmt::format("{}: {}", file, what), hint);
}

// The whole file, in memory or mapped, and where the storages are in it.
struct Legacy {
  std::vector<std::span<const std::byte>> storages;  // as in TorchObject
};
struct Zip {
  ZipArchive archive;
  std::string folder;  // of the storages, "archive/data/"
};

bool looks_like_legacy(std::span<const std::byte> bytes) {
  // PROTO n, from protocol 4 on FRAME n, LONG1 10, magic.
  constexpr std::size_t kFront = 32;
  const std::string_view front(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kFront));
  return front.starts_with('\x80') && front.find(kLegacyMagic) != std::string_view::npos;
}

// What a file is that is no checkpoint, as far as its first bytes tell.
std::string describe_foreign(std::span<const std::byte> bytes) {
  if (bytes.empty()) return "an empty file";
  const std::size_t length = std::min<std::size_t>(bytes.size(), 16);
  return fmt::format("a file that starts with '{}'",
                     foreign_text({reinterpret_cast<const char*>(bytes.data()), length}));
}

std::optional<PickleId> find(const Pickle& pickle, PickleId dict, std::string_view key) {
  const auto items = pickle.items(dict);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (pickle.kind(items[i]) == PickleKind::text && pickle.text(items[i]) == key) return items[i + 1];
  }
  return std::nullopt;
}

void check_system(const Pickle& system, const std::string& file) {
  if (system.kind(system.root()) != PickleKind::dict)
    fail(file, fmt::format("found {} as system information, expected a dict",
                           to_string(system.kind(system.root()))));
  const auto little = find(system, system.root(), "little_endian");
  if (!little || system.kind(*little) != PickleKind::boolean)
    fail(file, "found system information without little_endian");
  if (system.integer(*little) == 0)
    fail(file, "found big-endian tensors, expected little-endian",
         "load and save it again on a little-endian machine");
}

}  // namespace

struct TorchFile::State {
  std::optional<MappedFile> map;
  std::span<const std::byte> bytes;
  std::string file;
  TorchObject object;
  Legacy legacy;
  std::optional<Zip> zip;
  // The storage that was unpacked last: tensors often share one.
  std::size_t cached = std::numeric_limits<std::size_t>::max();
  std::vector<std::byte> cache;

  void parse() {
    if (ZipArchive::is_zip(bytes)) return parse_zip();
    if (looks_like_legacy(bytes)) return parse_legacy();
    fail(file, fmt::format("found {}, expected a checkpoint of torch.save()", describe_foreign(bytes)),
         "a download that failed, or a file of another tool?");
  }

  void parse_zip() {
    ZipArchive archive(bytes, file);
    std::string pickle_name;
    for (const auto& [name, size] : archive.entries()) {
      if (!name.ends_with(kPickleName)) continue;
      if (!pickle_name.empty())
        fail(file, fmt::format("found two pickles in the zip archive, {} and {}", foreign_text(pickle_name),
                               foreign_text(name)));
      pickle_name = name;
    }
    if (pickle_name.empty())
      fail(file, "found a zip archive without data.pkl, expected a checkpoint of torch.save()");
    const std::string folder = pickle_name.substr(0, pickle_name.size() - kPickleName.size());
    if (const std::string order = folder + "/byteorder"; archive.entries().count(order) != 0) {
      const auto text = archive.read(order, 16);
      const std::string_view found(reinterpret_cast<const char*>(text.data()), text.size());
      if (found != "little")
        fail(file, fmt::format("found byte order '{}', expected little", foreign_text(found)),
             "load and save it again on a little-endian machine");
    }
    const auto content = archive.read(pickle_name, Pickle::kMaxBytes);
    object = read_torch_object(
        Pickle::parse(content, 0, fmt::format("{}: {}", file, foreign_text(pickle_name)), torch_globals()),
        file);
    zip = Zip{std::move(archive), folder + "/data/"};
    for (const auto& [name, tensor] : object.tensors) {
      const TorchStorage& storage = object.storages[tensor.storage];
      const auto entry = zip->archive.entries().find(zip->folder + storage.key);
      if (entry == zip->archive.entries().end())
        fail_tensor(name, fmt::format("its storage {} is not in the zip archive", foreign_text(storage.key)));
      if (entry->second != storage.bytes())
        fail_tensor(name,
                    fmt::format("found a storage of {} bytes, expected {}", entry->second, storage.bytes()));
    }
  }

  void parse_legacy() {
    // Magic, protocol, system information, the object, the keys of its storages; then the storages.
    const Pickle magic = Pickle::parse(bytes, 0, file, {});
    if (magic.kind(magic.root()) != PickleKind::big_integer || magic.text(magic.root()) != kLegacyMagic)
      fail(file, "found another magic number than PyTorch's");
    const Pickle protocol = Pickle::parse(bytes, magic.end(), file, {});
    if (protocol.kind(protocol.root()) != PickleKind::integer ||
        protocol.integer(protocol.root()) != kLegacyProtocol)
      fail(file, fmt::format("found another protocol than {}", kLegacyProtocol));
    const Pickle system = Pickle::parse(bytes, protocol.end(), file, {});
    check_system(system, file);
    const Pickle content = Pickle::parse(bytes, system.end(), file, torch_globals());
    object = read_torch_object(content, file);
    const Pickle keys = Pickle::parse(bytes, content.end(), file, {});
    if (keys.kind(keys.root()) != PickleKind::list)
      fail(file, fmt::format("found {} after the tensors, expected the list of storages",
                             to_string(keys.kind(keys.root()))));
    locate_storages(keys);
  }

  // Each storage is a count of elements and the elements, in the order of `keys`.
  void locate_storages(const Pickle& keys) {
    std::unordered_map<std::string_view, std::size_t> by_key;
    for (std::size_t i = 0; i < object.storages.size(); ++i) by_key.emplace(object.storages[i].key, i);
    legacy.storages.resize(object.storages.size());
    std::vector<bool> located(object.storages.size(), false);
    std::size_t position = keys.end();
    for (const PickleId id : keys.items(keys.root())) {
      const auto known = keys.kind(id) == PickleKind::text ? by_key.find(keys.text(id)) : by_key.end();
      if (known == by_key.end()) {
        // The size of its elements is not known, so nothing after it can be found.
        fail(file, fmt::format("found storage {} that the object does not name", foreign_text(keys.text(id))),
             "save the model's state_dict alone");
      }
      const TorchStorage& storage = object.storages[known->second];
      const auto truncated = [&](std::uint64_t needs) {
        fail(file, fmt::format("truncated: storage {} needs {} bytes, found {}", foreign_text(storage.key),
                               needs, bytes.size() - position));
      };
      std::int64_t count = 0;
      if (bytes.size() - position < sizeof count) truncated(sizeof count);
      std::memcpy(&count, bytes.data() + position, sizeof count);
      position += sizeof count;
      if (count != storage.numel)
        fail(file, fmt::format("found storage {} of {} elements, expected {}", foreign_text(storage.key),
                               count, storage.numel));
      if (storage.bytes() > bytes.size() - position) truncated(storage.bytes());
      legacy.storages[known->second] = bytes.subspan(position, static_cast<std::size_t>(storage.bytes()));
      located[known->second] = true;
      position += static_cast<std::size_t>(storage.bytes());
    }
    for (const auto& [name, tensor] : object.tensors) {
      if (!located[tensor.storage])
        fail_tensor(name, fmt::format("its storage {} is not in the file",
                                      foreign_text(object.storages[tensor.storage].key)));
    }
  }

  std::span<const std::byte> storage_of(const TorchTensor& tensor) {
    if (!zip) return legacy.storages[tensor.storage];
    if (cached != tensor.storage) {
      const TorchStorage& storage = object.storages[tensor.storage];
      cached = std::numeric_limits<std::size_t>::max();
      cache = zip->archive.read(zip->folder + storage.key, storage.bytes());
      cached = tensor.storage;
    }
    return cache;
  }

  [[noreturn]] void fail_tensor(const std::string& name, const std::string& what) const {
    fail(file, fmt::format("tensor {}: {}", foreign_text(name), what));
  }
};

TorchFile TorchFile::open(const fs::path& path) {
  TorchFile result;
  result.state_ = std::make_shared<State>();
  State& state = *result.state_;
  state.file = path.string();
  state.map.emplace(path);
  state.bytes = state.map->bytes();
  state.parse();
  return result;
}

TorchFile TorchFile::parse(std::span<const std::byte> bytes, std::string file) {
  TorchFile result;
  result.state_ = std::make_shared<State>();
  result.state_->bytes = bytes;
  result.state_->file = std::move(file);
  result.state_->parse();
  return result;
}

const std::string& TorchFile::file() const noexcept {
  return state_->file;
}

std::string_view TorchFile::format() const noexcept {
  return state_->zip ? "zip" : "legacy";
}

const std::map<std::string, TorchTensor>& TorchFile::tensors() const noexcept {
  return state_->object.tensors;
}

TorchValues TorchFile::values(const std::string& name) const {
  const auto found = state_->object.tensors.find(name);
  if (found == state_->object.tensors.end()) fail(state_->file, fmt::format("has no tensor {}", name));
  const TorchTensor& tensor = found->second;
  TorchValues values = gather(tensor, state_->storage_of(tensor));
  if (tensor.dtype == TorchDType::f64) {
    // Infinite already in the file, or too large for float32: neither is a weight.
    const auto infinite =
        std::find_if(values.floats.begin(), values.floats.end(), [](float v) { return std::isinf(v); });
    if (infinite != values.floats.end())
      state_->fail_tensor(name, "found a float64 that float32 cannot hold");
  }
  return values;
}

}  // namespace dsn
