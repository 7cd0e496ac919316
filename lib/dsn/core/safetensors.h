// SPDX-License-Identifier: Apache-2.0
// Reading (mapped, not copied) and writing safetensors files.
// Format: https://github.com/huggingface/safetensors (8-byte little-endian header length, JSON header, data).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/file.h"

namespace dsn {

enum class DType { f32, i64, u8 };

// A view of one tensor, row-major. Valid as long as the TensorFile (or whatever memory) behind it lives.
struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  [[nodiscard]] std::int64_t numel() const noexcept;    // 1 for a scalar
  [[nodiscard]] std::span<const float> floats() const;  // throws Error{bad_input} unless f32
};

// A safetensors file mapped read-only; const members are thread-safe. Copies share the mapping. The file must
// not be truncated while it is open (write_file_atomic() and write_safetensors() never do that).
class TensorFile {
 public:
  // Throws Error{not_found | bad_input}: truncated file, header over 100 MB, offsets that overlap, leave
  // holes or leave the file, unknown dtype, shape that does not fit its bytes: each named with file and
  // tensor.
  static TensorFile open(const fs::path& path);
  static TensorFile open(MappedBytes content);

  [[nodiscard]] const std::map<std::string, TensorView>& tensors() const noexcept { return tensors_; }
  [[nodiscard]] bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  // Throws Error{bad_input} naming file and tensor if absent.
  [[nodiscard]] const TensorView& at(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }

 private:
  TensorFile() = default;
  std::shared_ptr<const MappedFile> map_;
  std::shared_ptr<std::vector<std::vector<std::byte>>>
      realigned_;  // tensors that the file does not align, copied
  std::string file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes atomically; the data starts at a multiple of 64 bytes, the tensors with the widest elements first
// and those of one dtype in name order, so that each is aligned and none leaves a hole: same input, same
// bytes. Throws Error{failed} for a tensor whose bytes do not fit its shape, Error{io} as
// write_file_atomic().
void write_safetensors(const fs::path& path, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

// "F32", "I64", "U8": as the format spells them.
[[nodiscard]] std::string_view dtype_name(DType dtype) noexcept;

// Hash of names, dtypes, shapes and values: identifies weights whatever file they are in.
[[nodiscard]] std::string tensors_sha256(const std::map<std::string, TensorView>& tensors);

}  // namespace dsn
