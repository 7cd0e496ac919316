// SPDX-License-Identifier: Apache-2.0
// The executor on LibTorch, for CPU and CUDA. Needs the dsn-torch library.
#pragma once

namespace dsn {

// Makes "torch" known to make_executor(). Idempotent; call once at start.
void register_torch_executor();

}  // namespace dsn
