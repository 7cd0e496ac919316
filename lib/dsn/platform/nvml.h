// SPDX-License-Identifier: Apache-2.0
// NVIDIA GPUs through their driver's library, opened at run time: nothing of it is needed to build or to run
// elsewhere. It is only read; clocks are left alone. Interface: NVIDIA's NVML API reference
// (https://docs.nvidia.com/deploy/nvml-api).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dsn/core/file.h"

namespace dsn {

struct NvmlGpu {
  unsigned index = 0;
  std::string name;            // "NVIDIA GeForce RTX 3080"; "GPU 0" where the driver does not say
  bool counts_energy = false;  // has an energy counter (Volta and later)
  bool has_power = false;
  double clock_hz = 0, max_clock_hz = 0;  // of the shader cores, now and at most; 0: not said
};

// The library, kept open. thread-safe, as NVML is.
class Nvml {
 public:
  // libnvidia-ml.so.1, with `root` (a folder that looks like /) from its usr/lib. nullptr where there is none
  // or it finds no driver; `problem` then says why.
  [[nodiscard]] static std::shared_ptr<const Nvml> open(const fs::path& root, std::string& problem);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  [[nodiscard]] const std::vector<NvmlGpu>& gpus() const noexcept { return gpus_; }
  // Joules since the driver was loaded, watts now, hertz now. Return 0 or an errno that says the same.
  [[nodiscard]] int energy(unsigned gpu, double& joules) const noexcept;
  [[nodiscard]] int power(unsigned gpu, double& watts) const noexcept;
  [[nodiscard]] int clock(unsigned gpu, double& hertz) const noexcept;

 private:
  struct Calls;
  Nvml(void* library, std::unique_ptr<Calls> calls);
  void look();

  void* library_;
  std::unique_ptr<Calls> calls_;
  std::vector<void*> devices_;
  std::vector<NvmlGpu> gpus_;
};

}  // namespace dsn
