// SPDX-License-Identifier: Apache-2.0
// Reads the checkpoints that torch.save() writes, without Python and without executing what is in them: the
// legacy format (a chain of pickles, then raw storages; PyTorch before 1.6) and zip archives.
//
// Formats: torch/serialization.py of PyTorch 1.13 (_legacy_save, _save). A checkpoint is a dict of tensors,
// or a dict that holds one under "state_dict"; other dicts in it are flattened, their keys joined with dots.
// Numbers, text and lists beside the tensors are read over. No LibTorch.
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

enum class TorchDType { f16, bf16, f32, f64, u8, i8, i16, i32, i64, boolean };
// "float16"; as PyTorch spells it.
[[nodiscard]] std::string_view to_string(TorchDType dtype) noexcept;
[[nodiscard]] std::size_t size_bytes(TorchDType dtype) noexcept;
[[nodiscard]] bool is_floating(TorchDType dtype) noexcept;

// A tensor as the file describes it: a strided view of a storage. Checked to lie inside it.
struct TorchTensor {
  TorchDType dtype = TorchDType::f32;
  std::vector<std::int64_t> shape, strides;  // elements; none negative
  std::int64_t offset = 0;                   // elements into the storage
  std::size_t storage = 0;                   // which one

  [[nodiscard]] std::int64_t numel() const noexcept;  // 1 for a scalar
};

// Values of one tensor, row-major: floats of a floating tensor (half, bfloat16 and double converted),
// integers of any other.
struct TorchValues {
  std::vector<float> floats;
  std::vector<std::int64_t> integers;
};

// An open checkpoint. thread-bound.
class TorchFile {
 public:
  // Reads the description of all tensors, not their values. Throws Error{not_found | bad_input}: neither
  // format, truncated, big-endian, opcodes or globals other than those of tensors and containers (named, see
  // pickle.h), shapes, strides and offsets that leave their storage or repeat it: each with file and tensor.
  static TorchFile open(const fs::path& path);
  // The same for bytes in memory, which must outlive the result; `file` is used in messages.
  static TorchFile parse(std::span<const std::byte> bytes, std::string file);

  [[nodiscard]] const std::string& file() const noexcept;
  [[nodiscard]] std::string_view format() const noexcept;  // "legacy" or "zip"
  [[nodiscard]] const std::map<std::string, TorchTensor>& tensors() const noexcept;

  // Throws Error{bad_input} naming file and tensor: absent; its storage truncated, damaged or a zip bomb; a
  // double that float32 cannot hold.
  [[nodiscard]] TorchValues values(const std::string& name) const;

 private:
  struct State;
  TorchFile() = default;
  std::shared_ptr<State> state_;
};

}  // namespace dsn
