// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/latency_fit.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

namespace {

// Jetson Xavier NX, GPU, Inception-v3 FP32 under Triton, one request at a time: hertz and seconds. Published:
// github.com/iloudaros/LoudVA (MIT licence), commit 2b4b15efa523, measurements/archive/Representative.
struct Published {
  double freq_hz, latency_s;
};
constexpr std::array<Published, 15> kXavierNx = {{{114750000, 0.295346},
                                                  {204000000, 0.171576},
                                                  {306000000, 0.113398},
                                                  {408000000, 0.086399},
                                                  {510000000, 0.070313},
                                                  {599250000, 0.060736},
                                                  {701250000, 0.053784},
                                                  {752250000, 0.050639},
                                                  {803250000, 0.047202},
                                                  {854250000, 0.044816},
                                                  {905250000, 0.042912},
                                                  {956250000, 0.040987},
                                                  {1007250000, 0.039709},
                                                  {1058250000, 0.038241},
                                                  {1109250000, 0.037114}}};

dsn::LatencyFit fit_of(const std::vector<std::size_t>& points) {
  std::vector<double> freqs_hz, latencies_s;
  for (const std::size_t i : points) {
    freqs_hz.push_back(kXavierNx[i].freq_hz);
    latencies_s.push_back(kXavierNx[i].latency_s);
  }
  return dsn::fit_latency(freqs_hz, latencies_s);
}

double largest_error(const dsn::LatencyFit& fit) {
  double largest = 0;
  for (const Published& point : kXavierNx)
    largest = std::fmax(largest, std::abs(fit.at(point.freq_hz) / point.latency_s - 1));
  return largest;
}

}  // namespace

TEST_CASE("fit_latency: A/f + B describes a published sweep over a factor of ten in frequency") {
  std::vector<std::size_t> all(kXavierNx.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const dsn::LatencyFit fit = fit_of(all);
  CHECK(fit.cycles == doctest::Approx(3.281e7).epsilon(1e-3));
  CHECK(fit.fixed_s == doctest::Approx(6.85e-3).epsilon(1e-3));
  CHECK(fit.largest_error == doctest::Approx(0.0227).epsilon(0.01));
  CHECK(largest_error(fit) == doctest::Approx(fit.largest_error));
}

TEST_CASE("fit_latency: few of the published frequencies predict the others within 3 %") {
  CHECK(largest_error(fit_of({0, 5, 10, 14})) < 0.023);
  CHECK(largest_error(fit_of({0, 7, 14})) < 0.025);
  CHECK(largest_error(fit_of({0, 14})) < 0.029);
}

TEST_CASE("fit_latency: neither part is ever negative") {
  const std::vector<double> freqs_hz = {1e9, 2e9};
  const dsn::LatencyFit steep = dsn::fit_latency(freqs_hz, std::vector<double>{1.0, 0.4});
  CHECK(steep.fixed_s == 0);
  CHECK(steep.cycles > 0);
  const dsn::LatencyFit rising = dsn::fit_latency(freqs_hz, std::vector<double>{0.4, 0.5});
  CHECK(rising.cycles == 0);
  CHECK(rising.fixed_s > 0);
}
