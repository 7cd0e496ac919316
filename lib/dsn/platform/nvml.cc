// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "dsn/platform/sysfs.h"

namespace dsn {
namespace {

// Of nvml.h: its return codes and the one kind of clock that is read.
constexpr int kSuccess = 0, kNotSupported = 3, kNoPermission = 4, kNotFound = 6, kDriverNotLoaded = 9,
              kGpuIsLost = 15;
constexpr int kClockSm = 1;

int errno_of(int code) noexcept {
  switch (code) {
    case kSuccess:
      return 0;
    case kNotSupported:
      return ENODATA;
    case kNoPermission:
      return EACCES;
    case kNotFound:
    case kDriverNotLoaded:
    case kGpuIsLost:
      return ENODEV;
    default:
      return EIO;
  }
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

// Devices are opaque pointers. What an old driver lacks stays null.
struct Nvml::Calls {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*device)(unsigned, void**) = nullptr;
  int (*name)(void*, char*, unsigned) = nullptr;
  int (*energy)(void*, unsigned long long*) = nullptr;  // millijoules
  int (*power)(void*, unsigned*) = nullptr;             // milliwatts
  int (*clock)(void*, int, unsigned*) = nullptr;        // megahertz
  int (*max_clock)(void*, int, unsigned*) = nullptr;

  explicit Calls(void* library) {
    find(library, "nvmlInit_v2", init);
    find(library, "nvmlShutdown", shutdown);
    find(library, "nvmlDeviceGetCount_v2", count);
    find(library, "nvmlDeviceGetHandleByIndex_v2", device);
    find(library, "nvmlDeviceGetName", name);
    find(library, "nvmlDeviceGetTotalEnergyConsumption", energy);
    find(library, "nvmlDeviceGetPowerUsage", power);
    find(library, "nvmlDeviceGetClockInfo", clock);
    find(library, "nvmlDeviceGetMaxClockInfo", max_clock);
  }
  [[nodiscard]] bool usable() const {
    return init != nullptr && shutdown != nullptr && count != nullptr && device != nullptr;
  }
};

std::shared_ptr<const Nvml> Nvml::open(const fs::path& root, std::string& problem) {
  const std::string file = root.empty() ? std::string("libnvidia-ml.so.1")
                                        : sysfs::under(root, "usr/lib/libnvidia-ml.so.1").string();
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    problem = reason != nullptr ? reason : "not found";
    return nullptr;
  }
  auto calls = std::make_unique<Calls>(library);
  if (!calls->usable()) {
    problem = fmt::format("{} is not NVIDIA's library: nvmlInit_v2 and what belongs to it are missing", file);
  } else if (const int code = calls->init(); code != kSuccess) {
    problem = code == kDriverNotLoaded ? "the NVIDIA driver is not loaded"
                                       : fmt::format("nvmlInit_v2 returned {}", code);
  } else {
    std::shared_ptr<Nvml> nvml(new Nvml(library, std::move(calls)));
    nvml->look();
    return nvml;
  }
  dlclose(library);
  return nullptr;
}

Nvml::Nvml(void* library, std::unique_ptr<Calls> calls) : library_(library), calls_(std::move(calls)) {}

Nvml::~Nvml() {
  calls_->shutdown();
  dlclose(library_);
}

void Nvml::look() {
  unsigned count = 0;
  if (calls_->count(&count) != kSuccess) return;
  for (unsigned i = 0; i < count; ++i) {
    void* device = nullptr;
    if (calls_->device(i, &device) != kSuccess) continue;  // another user's, or lost
    devices_.push_back(device);
    NvmlGpu gpu;
    gpu.index = i;
    char name[96] = {};
    const bool named = calls_->name != nullptr && calls_->name(device, name, sizeof name) == kSuccess;
    gpu.name = named ? std::string(name) : fmt::format("GPU {}", i);
    const auto number = static_cast<unsigned>(gpus_.size());
    double value = 0;
    gpus_.push_back(std::move(gpu));
    gpus_.back().counts_energy = energy(number, value) == 0;
    gpus_.back().has_power = power(number, value) == 0;
    if (clock(number, value) == 0) gpus_.back().clock_hz = value;
    unsigned mhz = 0;
    if (calls_->max_clock != nullptr && calls_->max_clock(device, kClockSm, &mhz) == kSuccess)
      gpus_.back().max_clock_hz = mhz * 1e6;
  }
}

int Nvml::energy(unsigned gpu, double& joules) const noexcept {
  unsigned long long millijoules = 0;
  if (calls_->energy == nullptr) return ENODATA;
  const int code = calls_->energy(devices_[gpu], &millijoules);
  joules = static_cast<double>(millijoules) * 1e-3;
  return errno_of(code);
}

int Nvml::power(unsigned gpu, double& watts) const noexcept {
  unsigned milliwatts = 0;
  if (calls_->power == nullptr) return ENODATA;
  const int code = calls_->power(devices_[gpu], &milliwatts);
  watts = milliwatts * 1e-3;
  return errno_of(code);
}

int Nvml::clock(unsigned gpu, double& hertz) const noexcept {
  unsigned mhz = 0;
  if (calls_->clock == nullptr) return ENODATA;
  const int code = calls_->clock(devices_[gpu], kClockSm, &mhz);
  hertz = mhz * 1e6;
  return errno_of(code);
}

}  // namespace dsn
