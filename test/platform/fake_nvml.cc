// SPDX-License-Identifier: Apache-2.0
// Stands in for NVIDIA's libnvidia-ml.so.1: its GPUs are the lines of fake-nvml.txt beside the library, read
// at every call: "ENERGY_MJ POWER_MW CLOCK_MHZ MAX_MHZ NAME". A negative number is the code that the call
// returns.
#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct Gpu {
  long long energy_mj = 0, power_mw = 0, clock_mhz = 0, max_mhz = 0;
  std::string name;
};

bool initialised = false;
int handles[8];  // their addresses are the devices

std::vector<Gpu> gpus() {
  Dl_info self{};
  dladdr(reinterpret_cast<void*>(&gpus), &self);
  const std::string file = self.dli_fname;
  std::ifstream in(file.substr(0, file.rfind('/')) + "/fake-nvml.txt");
  std::vector<Gpu> found;
  for (std::string line; std::getline(in, line);) {
    Gpu gpu;
    std::istringstream words(line);
    words >> gpu.energy_mj >> gpu.power_mw >> gpu.clock_mhz >> gpu.max_mhz >> std::ws;
    std::getline(words, gpu.name);
    found.push_back(gpu);
  }
  return found;
}

constexpr int kUninitialised = 1, kInvalid = 2, kNotLoaded = 9, kGpuIsLost = 15;

template <typename T>
int give(void* device, long long Gpu::*field, T* value) {
  if (!initialised) return kUninitialised;
  const auto all = gpus();
  const auto index = static_cast<std::size_t>(static_cast<int*>(device) - handles);
  if (index >= all.size()) return kGpuIsLost;
  const long long number = all[index].*field;
  if (number < 0) return static_cast<int>(-number);
  *value = static_cast<T>(number);
  return 0;
}

}  // namespace

extern "C" {
int nvmlInit_v2() {
  if (gpus().empty()) return kNotLoaded;
  initialised = true;
  return 0;
}
int nvmlShutdown() {
  initialised = false;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(gpus().size());
  return initialised ? 0 : kUninitialised;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= gpus().size()) return kInvalid;
  *device = &handles[index];
  return 0;
}
int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  const auto all = gpus();
  std::snprintf(name, length, "%s",
                all[static_cast<std::size_t>(static_cast<int*>(device) - handles)].name.c_str());
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
  return give(device, &Gpu::energy_mj, millijoules);
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return give(device, &Gpu::power_mw, milliwatts);
}
int nvmlDeviceGetClockInfo(void* device, int, unsigned* megahertz) {
  return give(device, &Gpu::clock_mhz, megahertz);
}
int nvmlDeviceGetMaxClockInfo(void* device, int, unsigned* megahertz) {
  return give(device, &Gpu::max_mhz, megahertz);
}
}
