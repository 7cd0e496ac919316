// SPDX-License-Identifier: Apache-2.0
// The decision path allocates nothing: this file replaces operator new, for the whole test program, by one
// that counts.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

#include "../fakes/small_family.h"
#include "dsn/runtime/dsn_policy.h"
#include "dsn/runtime/latency_histogram.h"
#include "dsn/runtime/load_monitor.h"

namespace {

std::atomic<long> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

using namespace dsn;
using namespace dsn::fakes;

namespace {

// Three clusters with OPPs and power, two thread counts each, six levels.
Platform large_platform() {
  Platform platform;
  for (const char* name : {"little", "big", "gpu"}) {
    std::vector<double> freqs;
    for (int i = 0; i < 12; ++i) freqs.push_back(0.4e9 + 0.1e9 * i);
    platform.clusters.push_back(cluster_of(name, 4, freqs));
    for (Opp& opp : platform.clusters.back().opps) {
      opp.idle_power_w = 0.1;
      opp.busy_power_w = 0.1 + opp.freq_hz * 1e-9;
    }
  }
  return platform;
}

CostTable large_costs(const Platform& platform) {
  Lut lut;
  for (std::size_t level = 0; level < kLatencies.size(); ++level)
    for (const Cluster& cluster : platform.clusters)
      for (const int threads : {1, 2})
        for (const double freq_hz : {0.4e9, 1.5e9})
          add_row(lut, static_cast<int>(level), {cluster.name, threads, freq_hz, 1},
                  kLatencies[level] * 1.5e9 / freq_hz / threads);
  return {family_of(kAccuracies), lut, platform};
}

}  // namespace

TEST_CASE("the counting operator new counts") {
  const long before = allocations;
  const auto number = std::make_unique<int>(1);
  CHECK(allocations == before + 1);
  CHECK(*number == 1);
}

TEST_CASE("DsnPolicy: observe() and decide() allocate nothing, contended or not, feasible or not") {
  const Platform platform = large_platform();
  const CostTable costs = large_costs(platform);
  for (const char* spec : {"dsn", "dsn:min-energy", "dsn:min-latency", "subnet-only", "dvfs-only", "alert",
                           "alert:min-energy", "slackfit", "governor:schedutil", "static:largest"}) {
    const auto policy = make_policy(spec);
    std::array<AppView, 2> apps{};
    std::array<ClusterView, 3> clusters{};
    for (AppView& app : apps) {
      app.costs = &costs;
      app.target_s = 5e-3;
      app.period_s = 10e-3;
    }
    for (std::size_t c = 0; c < 3; ++c) {
      clusters[c].cluster = &platform.clusters[c];
      clusters[c].opp = clusters[c].max_opp = 11;
    }
    double now_s = 0;
    int infeasible = 0;
    const long before = allocations;
    for (int i = 0; i < 600; ++i) {
      const auto a = static_cast<std::size_t>(i % 2);
      if (i == 300) apps[0].target_s = 1e-4;
      apps[a].waited_s = i % 7 == 0 ? 3e-3 : 0;
      const Decision decision = policy->decide({now_s, apps, clusters}, a);
      infeasible += decision.feasible ? 0 : 1;
      const AppChoice choice = decision.apps[a];
      const auto c =
          static_cast<std::size_t>(costs.placements()[static_cast<std::size_t>(choice.placement)].cluster);
      if (decision.opp[c] != kLeaveToGovernor) clusters[c].opp = decision.opp[c];
      const double slow = i % 50 == 0 ? 8 : (i > 100 && i < 200 ? 2.5 : 1);
      const double took_s = slow * costs.latency(choice.level, choice.placement, clusters[c].opp);
      policy->observe({now_s, apps, clusters},
                      {static_cast<int>(a), choice.level, choice.placement, clusters[c].opp, now_s, now_s,
                       now_s + took_s, apps[a].target_s});
      now_s += 5e-3;
    }
    CHECK(allocations == before);
    const bool looks =
        !std::string_view(spec).starts_with("static") && !std::string_view(spec).starts_with("governor");
    CHECK((infeasible > 0) == looks);
  }
}

TEST_CASE("what the live loop calls between inferences allocates nothing") {
  LatencyHistogram histogram;
  const auto monitor = make_load_monitor(plain_platform());
  const long before = allocations;
  for (int i = 0; i < 1000; ++i) histogram.add(1e-6 * i);
  (void)histogram.quantile(0.99);
  monitor->poll(0);
  monitor->poll(1);
  CHECK(allocations == before);
}
