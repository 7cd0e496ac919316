// SPDX-License-Identifier: Apache-2.0
// Quantities with units, from and to text. Inside dsn everything is SI: seconds, joules, watts, hertz, bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dsn {

// "20ms", "1.5 s", "250us", "2min", "800ns" -> seconds. A bare number, a negative or a non-finite one is
// Error{bad_usage} showing the accepted units. `what` names the flag or field in the message.
[[nodiscard]] double parse_duration(std::string_view text, std::string_view what);
// "1.5GHz", "600 MHz", "1190400kHz" -> hertz.
[[nodiscard]] double parse_frequency(std::string_view text, std::string_view what);
// "0.91", "91%" -> fraction 0..1.
[[nodiscard]] double parse_fraction(std::string_view text, std::string_view what);

// Scaled for people, three significant digits: "12.1 ms", "31.0 mJ", "1.42 GHz", "4.10 MB".
[[nodiscard]] std::string format_duration(double seconds);
[[nodiscard]] std::string format_energy(double joules);
[[nodiscard]] std::string format_power(double watts);
[[nodiscard]] std::string format_frequency(double hertz);
[[nodiscard]] std::string format_bytes(double bytes);
[[nodiscard]] std::string format_count(double count);       // "12.3 M"
[[nodiscard]] std::string format_percent(double fraction);  // "93.1 %"

}  // namespace dsn
