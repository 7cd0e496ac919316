// SPDX-License-Identifier: Apache-2.0
// Manual pages in the man(7) macros, from the definition of the command line.
#pragma once

#include <string>
#include <vector>

#include "cli/definition.h"

namespace dsn::cli {

// dsn(1): all commands, what holds for each of them.
[[nodiscard]] std::string man_page(const CommandText& tool, const std::vector<CommandText>& commands);

// dsn-COMMAND(1).
[[nodiscard]] std::string man_page(const CommandText& command);

}  // namespace dsn::cli
