// SPDX-License-Identifier: Apache-2.0
// Energy of whole sub-networks at one operating point, measured or from the platform's power model. Inner
// header of profile.
#pragma once

#include <span>

#include "dsn/profile/measure.h"

namespace dsn {

// Sets lut.energy_source to what options.meter (or, without one, the platform's power model) gives. Throws
// Error{mismatch} when the LUT's energies were measured by another meter.
void begin_energy(const Platform& platform, const ProfileOptions& options, Lut& lut);

// Whether a level measured at `point` has no measured energy there.
[[nodiscard]] bool lacks_energy(const Lut& lut, const OperatingPoint& point);

// Power without inferences, then the energy per inference of every level that lacks one: each repeated until
// the meter's window carries it, in options.energy_windows rounds of random order, the median kept. A sensor
// that fails ends it: what was measured is kept, and report.energy_problem says why there is not more. Saves
// and throws Error{interrupted} when the job wants to stop.
void measure_energy(Executor& executor, const ProfileOptions& options, std::span<const float> input, Lut& lut,
                    PointReport& report, const SaveLut& save, Job& job);

// Energy per inference from the power model: base, and the cluster idle, and as much more as `threads` of its
// cores busy draw, for as long as the inference takes. Marked modelled.
void model_energy(const Platform& platform, const ProfileOptions& options, const OperatingPoint& point,
                  Lut& lut);

}  // namespace dsn
