// SPDX-License-Identifier: Apache-2.0
// A dsn.status for people: a table of applications and one of clusters, as wide as there is room.
#pragma once

#include <string>
#include <vector>

#include "dsn/core/json.h"

namespace dsn::cli {

// What `now` says, in lines of at most `columns`; where they are few, the less important columns are left
// out. earlier: the same run's status some time before, from which "recent" numbers are made; null: since the
// beginning. Accepts what check_schema() does.
[[nodiscard]] std::vector<std::string> status_lines(const Json& now, const Json& earlier,
                                                    std::size_t columns);

}  // namespace dsn::cli
