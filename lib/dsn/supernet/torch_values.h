// SPDX-License-Identifier: Apache-2.0
// Element types of PyTorch storages, and strided views of them made row-major. Not installed.
#pragma once

#include <cstddef>
#include <span>

#include "dsn/supernet/torch_file.h"

namespace dsn {

// storage: as many bytes as the checks of TorchTensor ask for, of any alignment. A double beyond float32's
// range becomes infinite.
[[nodiscard]] TorchValues gather(const TorchTensor& tensor, std::span<const std::byte> storage);

}  // namespace dsn
