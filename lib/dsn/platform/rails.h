// SPDX-License-Identifier: Apache-2.0
// What is known about the power rails of boards. Inner header of platform.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace dsn {

// Rails that feed everything else of their board: where one is there, the others are parts of it. As
// jetson-stats has them (jtop/core/power.py); boards without one (AGX Xavier, AGX Orin, Odroid XU3) are the
// sum of their rails.
inline constexpr std::array<std::string_view, 3> kTotalRails = {
    "VDD_IN",     // Jetson Xavier NX, Orin NX, Orin Nano, TX2
    "POM_5V_IN",  // Jetson Nano, TX1
    "VIN",        // Jetson Thor
};

// The INA231 of an Odroid XU3 by their address on bus 3, of Hardkernel's schematics.
struct RailAddress {
  std::string_view address, rail;
};
inline constexpr std::array<RailAddress, 4> kRailAddresses = {
    {{"0040", "VDD_ARM"}, {"0041", "VDD_MEM"}, {"0044", "VDD_G3D"}, {"0045", "VDD_KFC"}}};

// Name of the rail behind an I2C device ("3-0040"); the device's own name where that is not known.
[[nodiscard]] inline std::string rail_of_address(const std::string& device) {
  for (const RailAddress& row : kRailAddresses)
    if (device.starts_with("3-") && device.ends_with(row.address)) return std::string(row.rail);
  return device;
}

// The first total rail that `present` knows; empty when there is none.
template <typename Present>
[[nodiscard]] std::string_view total_rail(const Present& present) {
  for (const std::string_view rail : kTotalRails)
    if (present(rail)) return rail;
  return {};
}

}  // namespace dsn
