// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/units.h"

#include <clocale>
#include <limits>

#include "support.h"

using dsn::ErrorCode;
using dsn_test::contains;
using dsn_test::error_of;

TEST_CASE("parse_duration: every unit, with and without a space, exact in decimal") {
  CHECK(dsn::parse_duration("20ms", "x") == 0.02);
  CHECK(dsn::parse_duration("1.5 s", "x") == 1.5);
  CHECK(dsn::parse_duration("250us", "x") == 250e-6);
  CHECK(dsn::parse_duration("250µs", "x") == 250e-6);
  CHECK(dsn::parse_duration("2min", "x") == 120);
  CHECK(dsn::parse_duration("800ns", "x") == 800e-9);
  CHECK(dsn::parse_duration("1h", "x") == 3600);
  CHECK(dsn::parse_duration(" 1e3ms ", "x") == 1);
  CHECK(dsn::parse_duration("0s", "x") == 0);
  CHECK(dsn::parse_duration(".5s", "x") == 0.5);
}

TEST_CASE("parse_duration: bare, negative, endless and foreign values are refused with the units to use") {
  for (const char* text : {"20", "", " ", "ms", "-5ms", "-0s", "infs", "nans", "1e400s", "20 m s", "20MS",
                           "20sec", "1,5s", "20ms20", "0x10ms", "+5ms", "1.5e308h"}) {
    CAPTURE(text);
    const auto error = error_of([&] { (void)dsn::parse_duration(text, "--target-latency"); });
    CHECK(error.code() == ErrorCode::bad_usage);
    CHECK(contains(error.message(), "--target-latency: found \"" + std::string(text) + "\""));
    CHECK(contains(error.hint(), "20ms"));
  }
}

TEST_CASE("parse_frequency: every unit; 0 is no frequency") {
  CHECK(dsn::parse_frequency("1.5GHz", "x") == 1.5e9);
  CHECK(dsn::parse_frequency("600 MHz", "x") == 600e6);
  CHECK(dsn::parse_frequency("1190400kHz", "x") == 1190400e3);
  CHECK(dsn::parse_frequency("50Hz", "x") == 50);
  for (const char* text : {"1.5", "0Hz", "-1GHz", "1.5ghz", "20ms"})
    CHECK(error_of([&] { (void)dsn::parse_frequency(text, "--freq"); }).code() == ErrorCode::bad_usage);
}

TEST_CASE("parse_fraction: fractions and percentages from 0 to 1, nothing outside") {
  CHECK(dsn::parse_fraction("0.91", "x") == 0.91);
  CHECK(dsn::parse_fraction("91%", "x") == 0.91);
  CHECK(dsn::parse_fraction("91 %", "x") == 0.91);
  CHECK(dsn::parse_fraction("0", "x") == 0);
  CHECK(dsn::parse_fraction("1", "x") == 1);
  CHECK(dsn::parse_fraction("100%", "x") == 1);
  for (const char* text : {"91", "101%", "-0.1", "nan", "0.9x", ""})
    CHECK(error_of([&] { (void)dsn::parse_fraction(text, "--floor"); }).code() == ErrorCode::bad_usage);
}

TEST_CASE("format: three significant digits in the unit that fits") {
  CHECK(dsn::format_duration(0.01214) == "12.1 ms");
  CHECK(dsn::format_duration(1.5) == "1.50 s");
  CHECK(dsn::format_duration(90) == "1.50 min");
  CHECK(dsn::format_duration(7200) == "2.00 h");
  CHECK(dsn::format_duration(2.5e-7) == "250 ns");
  CHECK(dsn::format_duration(3e-12) == "0.003 ns");
  CHECK(dsn::format_energy(0.031) == "31.0 mJ");
  CHECK(dsn::format_power(4.2) == "4.20 W");
  CHECK(dsn::format_frequency(1.42e9) == "1.42 GHz");
  CHECK(dsn::format_bytes(4.1e6) == "4.10 MB");
  CHECK(dsn::format_bytes(512) == "512 B");
  CHECK(dsn::format_count(12.3e6) == "12.3 M");
  CHECK(dsn::format_count(7) == "7");
  CHECK(dsn::format_percent(0.931) == "93.1 %");
}

TEST_CASE("format: a value that rounds up moves to the next unit, not to 1000") {
  CHECK(dsn::format_duration(999.4e-6) == "999 us");
  CHECK(dsn::format_duration(999.6e-6) == "1.00 ms");
  CHECK(dsn::format_duration(9.999e-3) == "10.0 ms");
  CHECK(dsn::format_duration(99.99e-3) == "100 ms");
  CHECK(dsn::format_frequency(999.9e6) == "1.00 GHz");
}

TEST_CASE("format: zero, negative and not finite") {
  CHECK(dsn::format_duration(0) == "0 s");
  CHECK(dsn::format_count(0) == "0");
  CHECK(dsn::format_energy(-0.031) == "-31.0 mJ");
  CHECK(dsn::format_power(std::numeric_limits<double>::quiet_NaN()) == "n/a");
  CHECK(dsn::format_duration(std::numeric_limits<double>::infinity()) == "n/a");
  CHECK(dsn::format_percent(std::numeric_limits<double>::infinity()) == "n/a");
}

TEST_CASE("format_percent: almost all is not all, almost nothing is not nothing") {
  CHECK(dsn::format_percent(1) == "100.0 %");
  CHECK(dsn::format_percent(0.9996) == ">99.9 %");
  CHECK(dsn::format_percent(0.999) == "99.9 %");
  CHECK(dsn::format_percent(0.0004) == "<0.1 %");
  CHECK(dsn::format_percent(0) == "0.0 %");
  CHECK(dsn::format_percent(1.5) == "150.0 %");
}

TEST_CASE("units: the locale changes nothing") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) == nullptr) continue;
    CHECK(dsn::parse_duration("1.5s", "x") == 1.5);
    CHECK(dsn::format_duration(1.5) == "1.50 s");
  }
  std::setlocale(LC_ALL, before.c_str());
}
