// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "cli/signals.h"

namespace dsn::cli {

void Session::print(std::string_view text) const {
  errno = 0;
  const bool whole =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (whole) return;
  const int reason = errno;
  throw Error(ErrorCode::io,
              fmt::format("cannot write to standard output: {}", std::generic_category().message(reason)));
}

void Session::result(const Json& artefact, std::string_view text) const {
  print(flags.json ? std::string_view(dump_json(artefact)) : text);
}

int done_status() noexcept {
  return signal_status();
}

}  // namespace dsn::cli
