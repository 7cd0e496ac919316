// SPDX-License-Identifier: Apache-2.0
// Training a super-network, or one sub-network alone, after a plan (plan.h).
//
// Sandwich: each step runs the largest sub-network on the labels, then the smallest and some random ones on
// the largest's outputs, and updates once (Yu and Huang, "Universally slimmable networks", ICCV 2019,
// arXiv:1903.05134; BigNAS, arXiv:2003.11142). Shrink: Once-for-All (Cai et al., ICLR 2020,
// arXiv:1908.09791).
#pragma once

#include <string>

#include "dsn/core/job.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/plan.h"
#include "dsn/supernet/train_options.h"

namespace dsn {

class Ranks;

struct TrainFiles {
  fs::path out;    // checkpoint, written at the end; `out`.state holds what --resume needs, rewritten after
                   // each epoch, every options.state_every_s, on interruption and on failure
  fs::path curve;  // JSON lines, rewritten after each epoch; empty: none
  bool resume = false;
};

// Trains from `info` (space, preprocessing, labels) and writes files.out with the averaged weights, running
// statistics calibrated for the largest (or the one trained) sub-network, and a record of options, plan,
// curve and final accuracies; Method::fixed adds "only_subnet", the one sub-network that these weights are
// good for.
//
// Curve: a row per epoch {"epoch", "phase", "loss", ...}; accuracies are of the largest and smallest
// sub-network of the phase, calibrated, validation split. A rollback is a row {"event": "rollback", "epoch",
// "step", "reason", "back_to", "lr_scale"}, a step that failed twice {"event": "skipped step", ...}.
//
// Interrupted: state is saved, then Error{interrupted}. Throws Error{failed} when the loss leaves its course
// more often than the guard allows (the last good state is kept), Error{mismatch} when a state file is of
// other options.
//
// With `ranks`, this process is one of several that train together: each takes an equal part of every batch,
// and only rank 0 reads and writes files and talks to `job`. The result is that of one process with as many
// workers as all ranks have together: the same bits when a rank's number of workers is a power of two, else
// but for the order of additions (about 1e-6). A lost rank ends all with Error{failed}; rank 0 saves the
// state, if it is not the one.
void train_supernet(CheckpointInfo info, const Dataset& train, const Dataset& val,
                    const TrainOptions& options, const TrainFiles& files, Job& job, Ranks* ranks = nullptr);

}  // namespace dsn
