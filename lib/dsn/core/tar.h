// SPDX-License-Identifier: Apache-2.0
// Tar archives as containers: entries lie uncompressed at multiples of 512 bytes, so that they are mapped,
// not copied. Format: POSIX.1-1988 ustar
// (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html).
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/file.h"

namespace dsn {

struct TarEntry {
  std::string name;  // at most 100 bytes
  std::span<const std::byte> bytes;
};

// Writes atomically; no time, owner or mode of a machine is in it: same entries, same bytes. Throws
// Error{failed} for a name or size (8 GiB) that the format cannot hold, Error{io} as write_file_atomic().
void write_tar(const fs::path& path, const std::vector<TarEntry>& entries);

// Regular files by name, "./" at its start left out; folders are passed over. Every byte is looked at or
// belongs to an entry: headers by their checksum, padding and end must be zero. Throws Error{bad_input}
// naming archive, offset and what is wrong: truncated, damaged, a link, a pax or GNU extension, a name twice.
[[nodiscard]] std::map<std::string, MappedBytes> read_tar(const MappedBytes& archive);

}  // namespace dsn
