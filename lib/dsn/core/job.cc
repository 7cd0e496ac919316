// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/job.h"

namespace dsn {

Job& silent_job() noexcept {
  static Job job;
  return job;
}

}  // namespace dsn
