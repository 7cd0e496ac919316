// SPDX-License-Identifier: Apache-2.0
// From the pickle of a PyTorch checkpoint to its storages and tensors. Not installed: see torch_file.h.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "dsn/supernet/pickle.h"
#include "dsn/supernet/torch_file.h"

namespace dsn {

// What a checkpoint's pickle may name.
[[nodiscard]] std::span<const PickleGlobal> torch_globals() noexcept;

struct TorchStorage {
  std::string key;
  TorchDType dtype = TorchDType::f32;
  std::int64_t numel = 0;

  [[nodiscard]] std::uint64_t bytes() const noexcept;  // numel * size of the type: checked to fit
};

struct TorchObject {
  std::vector<TorchStorage> storages;
  std::map<std::string, TorchTensor> tensors;
};

// Throws Error{bad_input} naming file and tensor: see TorchFile::open().
[[nodiscard]] TorchObject read_torch_object(const Pickle& pickle, const std::string& file);

}  // namespace dsn
