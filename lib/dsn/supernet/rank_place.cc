// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/rank_place.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// The variables of one launcher.
struct Launcher {
  const char *rank, *size, *local_rank, *local_size;
};
constexpr Launcher kLaunchers[] = {{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
                                   {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                                    "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
                                   {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr}};

using Get = std::function<const char*(const char*)>;

std::optional<int> integer(const Get& get, const char* name, int lowest, int highest) {
  const char* text = name == nullptr ? nullptr : get(name);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value < lowest || value > highest) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("environment: {}: found \"{}\", expected a number from {} to {}", name, text,
                            lowest, highest));
  }
  return value;
}

}  // namespace

RankPlace rank_place(const Get& get) {
  RankPlace place;
  for (const Launcher& launcher : kLaunchers) {
    if (get(launcher.rank) == nullptr || get(launcher.size) == nullptr) continue;
    place.size = *integer(get, launcher.size, 1, 1 << 16);
    place.rank = *integer(get, launcher.rank, 0, place.size - 1);
    if (place.size == 1) return {};
    place.source = launcher.rank;
    place.local_rank = integer(get, launcher.local_rank, 0, 1 << 16).value_or(place.rank);
    const auto here = integer(get, launcher.local_size, 1, 1 << 16);
    const bool one_machine = here == place.size || (here == std::nullopt && get("SLURM_NNODES") != nullptr &&
                                                    std::strcmp(get("SLURM_NNODES"), "1") == 0);
    if (const char* address = get("MASTER_ADDR"); address != nullptr && *address != '\0') {
      place.master_addr = address;
    } else if (!one_machine) {
      throw Error(
          ErrorCode::bad_usage,
          fmt::format("environment: {} says that this is process {} of {}, and MASTER_ADDR is not set",
                      launcher.rank, place.rank, place.size),
          "set MASTER_ADDR to the host of rank 0, reachable from all others (127.0.0.1 on one machine)");
    }
    place.master_port = integer(get, "MASTER_PORT", 1, 65535).value_or(place.master_port);
    return place;
  }
  if (get("RANK") != nullptr && get("WORLD_SIZE") == nullptr) {
    throw Error(ErrorCode::bad_usage, "environment: RANK is set, and WORLD_SIZE is not",
                "set both to train with several processes, or neither");
  }
  return place;
}

}  // namespace dsn
