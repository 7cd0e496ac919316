// SPDX-License-Identifier: Apache-2.0
// Shell completion, from the definition of the command line: commands, options, values where there are
// choices, files and folders where the value is one.
#pragma once

#include <string>
#include <vector>

#include "cli/definition.h"

namespace dsn::cli {

// A script that bash 4 or later sources; needs no bash-completion.
[[nodiscard]] std::string bash_completion(const CommandText& tool, const std::vector<CommandText>& commands);

// A file `_dsn` for a folder of zsh's fpath.
[[nodiscard]] std::string zsh_completion(const CommandText& tool, const std::vector<CommandText>& commands);

}  // namespace dsn::cli
