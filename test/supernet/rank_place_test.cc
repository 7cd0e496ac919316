// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/rank_place.h"

#include <doctest/doctest.h>

#include <map>

#include "dsn/core/error.h"

namespace dsn {
namespace {

RankPlace place_in(const std::map<std::string, std::string>& environment) {
  return rank_place([&](const char* name) -> const char* {
    const auto it = environment.find(name);
    return it == environment.end() ? nullptr : it->second.c_str();
  });
}

std::string error_in(const std::map<std::string, std::string>& environment) {
  try {
    (void)place_in(environment);
  } catch (const Error& error) {
    CHECK((error.code() == ErrorCode::bad_usage));
    return error.message();
  }
  return {};
}

}  // namespace

TEST_CASE("rank_place: no launcher, or one process, is alone") {
  CHECK(place_in({}).size == 1);
  CHECK(place_in({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).source.empty());
  // A SLURM batch script is not one of the job's tasks: only srun sets the step's size.
  CHECK(place_in({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).size == 1);
}

TEST_CASE("rank_place: torchrun's variables, before Open MPI's and SLURM's") {
  const RankPlace place = place_in({{"RANK", "3"},
                                    {"WORLD_SIZE", "4"},
                                    {"LOCAL_RANK", "1"},
                                    {"MASTER_ADDR", "node7"},
                                    {"MASTER_PORT", "1234"},
                                    {"OMPI_COMM_WORLD_RANK", "0"},
                                    {"OMPI_COMM_WORLD_SIZE", "2"}});
  CHECK(place.rank == 3);
  CHECK(place.size == 4);
  CHECK(place.local_rank == 1);
  CHECK(place.master_addr == "node7");
  CHECK(place.master_port == 1234);
  CHECK(place.source == "RANK");
}

TEST_CASE("rank_place: mpirun and srun on one machine need no address") {
  RankPlace place = place_in({{"OMPI_COMM_WORLD_RANK", "1"},
                              {"OMPI_COMM_WORLD_SIZE", "2"},
                              {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                              {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}});
  CHECK(place.rank == 1);
  CHECK(place.master_addr == "127.0.0.1");
  place = place_in(
      {{"SLURM_PROCID", "2"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_LOCALID", "2"}, {"SLURM_NNODES", "1"}});
  CHECK(place.rank == 2);
  CHECK(place.size == 4);
  CHECK(place.source == "SLURM_PROCID");
}

TEST_CASE("rank_place: what is missing or no number is named") {
  CHECK(error_in({{"SLURM_PROCID", "2"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_NNODES", "2"}})
            .find("MASTER_ADDR") != std::string::npos);
  CHECK(error_in({{"RANK", "4"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "x"}}).find("RANK: found \"4\"") !=
        std::string::npos);
  CHECK(error_in({{"RANK", "one"}, {"WORLD_SIZE", "4"}}).find("\"one\"") != std::string::npos);
  CHECK(error_in({{"RANK", "0"}}).find("WORLD_SIZE") != std::string::npos);
  CHECK(error_in({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "x"}, {"MASTER_PORT", "99999"}})
            .find("MASTER_PORT") != std::string::npos);
}

}  // namespace dsn
