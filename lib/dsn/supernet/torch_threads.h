// SPDX-License-Identifier: Apache-2.0
// How many threads LibTorch uses when the calling thread computes.
#pragma once

namespace dsn {

// For the calling thread: OpenMP (oneDNN, ATen) and, for the process, OpenBLAS, which keeps its own pool and
// ignores OpenMP's.
void set_torch_threads(int threads);

// The same for a scope; restores the calling thread's count.
class TorchThreads {
 public:
  explicit TorchThreads(int threads);
  ~TorchThreads();
  TorchThreads(const TorchThreads&) = delete;
  TorchThreads& operator=(const TorchThreads&) = delete;

 private:
  int before_;
};

}  // namespace dsn
