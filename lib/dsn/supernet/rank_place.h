// SPDX-License-Identifier: Apache-2.0
// Which of several processes of one training this is, as its launcher says in the environment. No LibTorch.
#pragma once

#include <functional>
#include <string>

namespace dsn {

struct RankPlace {
  int rank = 0, size = 1;
  int local_rank = 0;                     // among the processes of this machine: which GPU
  std::string master_addr = "127.0.0.1";  // where rank 0 listens
  int master_port = 29500;
  std::string source;  // "RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"; empty: alone
};

// Reads, in this order:
// - torchrun's RANK, WORLD_SIZE, LOCAL_RANK;
// - Open MPI's OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_RANK (mpirun);
// - SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID (srun only: a batch script is not one of the tasks).
// MASTER_ADDR and MASTER_PORT say where rank 0 is; MASTER_ADDR may be absent when all processes are on one
// machine as far as the launcher says. `get`: as std::getenv. Throws Error{bad_usage} naming the variable,
// what was found and what was expected.
[[nodiscard]] RankPlace rank_place(const std::function<const char*(const char*)>& get);

}  // namespace dsn
