// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/torch_threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>

namespace dsn {

void set_torch_threads(int threads) {
  at::set_num_threads(std::max(1, threads));
  using SetThreads = void (*)(int);
  // Present when the system's BLAS is OpenBLAS; another BLAS has nothing to set here.
  static const auto set_blas = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_blas != nullptr) set_blas(std::max(1, threads));
}

TorchThreads::TorchThreads(int threads) : before_(at::get_num_threads()) {
  set_torch_threads(threads);
}
TorchThreads::~TorchThreads() {
  set_torch_threads(before_);
}

}  // namespace dsn
