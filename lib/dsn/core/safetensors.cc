// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/json.h"

namespace dsn {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // as the reference implementation limits it
constexpr std::size_t kDataAlignment = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr DTypeInfo kDTypes[] = {{DType::i64, "I64", 8}, {DType::f32, "F32", 4}, {DType::u8, "U8", 1}};

const DTypeInfo& info_of(DType dtype) {
  return *std::find_if(std::begin(kDTypes), std::end(kDTypes),
                       [&](const DTypeInfo& i) { return i.dtype == dtype; });
}

// Bytes of a tensor; nothing where the product overflows or a dimension is negative.
std::optional<std::size_t> size_bytes(DType dtype, const std::vector<std::int64_t>& shape) {
  std::uint64_t bytes = info_of(dtype).size;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes))
      return std::nullopt;
  }
  // numel() is signed.
  if (bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  return static_cast<std::size_t>(bytes);
}

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

// One tensor as the header tells it, before the whole layout is known to be sound.
struct Entry {
  std::string name;
  TensorView view;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Entry parse_entry(const std::string& name, const JsonView& tensor) {
  Entry entry;
  entry.name = name;
  const JsonView dtype = tensor["dtype"];
  const std::string dtype_text = dtype.text();
  const auto* known = std::find_if(std::begin(kDTypes), std::end(kDTypes),
                                   [&](const DTypeInfo& info) { return info.name == dtype_text; });
  if (known == std::end(kDTypes)) dtype.fail("F32, I64 or U8");
  entry.view.dtype = known->dtype;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const JsonView shape = tensor["shape"];
  if (!shape.json().is_array()) shape.fail("an array of dimensions");
  for (std::size_t i = 0; i < shape.size(); ++i) entry.view.shape.push_back(shape[i].integer(0, kMost));
  const JsonView offsets = tensor["data_offsets"];
  if (!offsets.json().is_array() || offsets.size() != 2) offsets.fail("an array of 2");
  entry.begin = static_cast<std::uint64_t>(offsets[0].integer(0, kMost));
  entry.end = static_cast<std::uint64_t>(offsets[1].integer(0, kMost));
  if (entry.end < entry.begin) offsets[1].fail(fmt::format("at least the begin, {}", entry.begin));
  const std::optional<std::size_t> bytes = size_bytes(entry.view.dtype, entry.view.shape);
  if (!bytes) shape.fail("dimensions whose product fits 63 bits");
  if (*bytes != entry.end - entry.begin)
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: tensor \"{}\": found data of {} bytes, expected {} for {} [{}]", tensor.file(), name,
                    entry.end - entry.begin, *bytes, dtype_text, fmt::join(entry.view.shape, ", ")));
  return entry;
}

// Every byte of the data belongs to exactly one tensor. Sorts `entries` by position.
void check_layout(std::vector<Entry>& entries, std::uint64_t data_size, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position)
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: tensor \"{}\": found data at offset {}, expected {}: {}", file, entry.name,
                              entry.begin, position, entry.begin < position ? "tensors overlap" : "a hole"));
    if (entry.end > data_size)
      throw Error(
          ErrorCode::bad_input,
          fmt::format("{}: tensor \"{}\": found data up to offset {}, but the file ends at {}: truncated?",
                      file, entry.name, entry.end, data_size));
    position = entry.end;
  }
  if (position != data_size)
    throw Error(ErrorCode::bad_input, fmt::format("{}: found {} bytes after the last tensor, expected none",
                                                  file, data_size - position));
}

bool is_aligned(std::span<const std::byte> bytes, DType dtype) {
  return reinterpret_cast<std::uintptr_t>(bytes.data()) % info_of(dtype).size == 0;
}

// Where each tensor goes and the header that says so.
struct Layout {
  std::vector<const std::pair<const std::string, TensorView>*> order;
  std::string header;
};

Layout lay_out(const fs::path& path, const std::map<std::string, TensorView>& tensors,
               const std::map<std::string, std::string>& metadata) {
  Layout layout;
  for (const auto& tensor : tensors) {
    const auto& [name, view] = tensor;
    if (name == kMetadataKey)
      throw Error(ErrorCode::failed,
                  fmt::format("cannot write {}: a tensor is named {}", path.string(), name));
    if (size_bytes(view.dtype, view.shape) != view.bytes.size())
      throw Error(ErrorCode::failed,
                  fmt::format("cannot write {}: tensor \"{}\": found {} bytes for {} [{}]", path.string(),
                              name, view.bytes.size(), dtype_name(view.dtype), fmt::join(view.shape, ", ")));
    layout.order.push_back(&tensor);
  }
  std::stable_sort(layout.order.begin(), layout.order.end(), [](const auto* a, const auto* b) {
    return info_of(a->second.dtype).size > info_of(b->second.dtype).size;
  });
  Json header = Json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::size_t offset = 0;
  for (const auto* tensor : layout.order) {
    const TensorView& view = tensor->second;
    header[tensor->first] = {{"dtype", dtype_name(view.dtype)},
                             {"shape", view.shape},
                             {"data_offsets", {offset, offset + view.bytes.size()}}};
    offset += view.bytes.size();
  }
  try {
    layout.header = header.dump();
  } catch (const Json::exception&) {
    throw Error(ErrorCode::failed,
                fmt::format("cannot write {}: a tensor name or metadata is not UTF-8", path.string()));
  }
  const std::size_t used = (kLengthBytes + layout.header.size()) % kDataAlignment;
  if (used != 0) layout.header.append(kDataAlignment - used, ' ');
  if (layout.header.size() > kMaxHeader)
    throw Error(ErrorCode::failed,
                fmt::format("cannot write {}: the header would have {} bytes, at most {} are allowed",
                            path.string(), layout.header.size(), kMaxHeader));
  return layout;
}

}  // namespace

std::string_view dtype_name(DType dtype) noexcept {
  return info_of(dtype).name;
}

std::int64_t TensorView::numel() const noexcept {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) count *= dimension;
  return count;
}

std::span<const float> TensorView::floats() const {
  if (dtype != DType::f32)
    throw Error(ErrorCode::bad_input, fmt::format("found a tensor of {}, expected F32", dtype_name(dtype)));
  if (!is_aligned(bytes, dtype))
    throw Error(ErrorCode::bad_input, "found a tensor of F32 that is not aligned");
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

TensorFile TensorFile::open(const fs::path& path) {
  return open(map_file(path));
}

TensorFile TensorFile::open(MappedBytes content) {
  TensorFile result;
  result.file_ = std::move(content.name);
  result.map_ = std::move(content.map);
  const std::span<const std::byte> all = content.bytes;
  if (all.size() < kLengthBytes)
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: not a safetensors file: found {} bytes, expected at least {}", result.file_,
                            all.size(), kLengthBytes));
  const std::uint64_t header_size = little_endian(all);
  if (header_size > kMaxHeader)
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: not a safetensors file: found a header of {} bytes, expected at most {}",
                            result.file_, header_size, kMaxHeader));
  if (header_size > all.size() - kLengthBytes)
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: truncated: found {} bytes after the header's length, expected a header of {}",
                    result.file_, all.size() - kLengthBytes, header_size));
  const auto header_bytes = all.subspan(kLengthBytes, header_size);
  const std::span<const std::byte> data = all.subspan(kLengthBytes + header_size);
  const Json header = parse_json({reinterpret_cast<const char*>(header_bytes.data()), header_bytes.size()},
                                 result.file_ + " (header)");
  const JsonView view(header, result.file_);
  if (!header.is_object()) view.fail("a header that is an object");
  std::vector<Entry> entries;
  for (const auto& item : header.items()) {
    const JsonView value = view[item.key()];
    if (item.key() == kMetadataKey) {
      if (!value.json().is_object()) value.fail("an object of texts");
      for (const auto& pair : value.json().items()) result.metadata_[pair.key()] = value[pair.key()].text();
    } else {
      entries.push_back(parse_entry(item.key(), value));
    }
  }
  check_layout(entries, data.size(), result.file_);
  result.realigned_ = std::make_shared<std::vector<std::vector<std::byte>>>();
  for (Entry& entry : entries) {
    entry.view.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    if (!is_aligned(entry.view.bytes, entry.view.dtype)) {
      result.realigned_->emplace_back(entry.view.bytes.begin(), entry.view.bytes.end());
      entry.view.bytes = result.realigned_->back();
    }
    result.tensors_.emplace(std::move(entry.name), std::move(entry.view));
  }
  return result;
}

const TensorView& TensorFile::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Error(ErrorCode::bad_input, fmt::format("{}: has no tensor \"{}\"", file_, name));
  return found->second;
}

void write_safetensors(const fs::path& path, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const Layout layout = lay_out(path, tensors, metadata);
  std::array<std::byte, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<std::byte>(layout.header.size() >> (8 * i) & 0xff);
  write_file_atomic(path, [&](const ByteSink& sink) {
    sink(length);
    sink(std::as_bytes(std::span(layout.header)));
    for (const auto* tensor : layout.order) sink(tensor->second.bytes);
  });
}

std::string tensors_sha256(const std::map<std::string, TensorView>& tensors) {
  // Lengths come before names, so that no two lists of tensors make the same text.
  std::string listing;
  for (const auto& [name, view] : tensors)
    listing += fmt::format("{} {} {} [{}] {}\n", name.size(), name, dtype_name(view.dtype),
                           fmt::join(view.shape, ","), sha256_hex(view.bytes));
  return sha256_hex(listing);
}

}  // namespace dsn
