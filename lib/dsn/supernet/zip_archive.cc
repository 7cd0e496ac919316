// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/zip_archive.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/supernet/foreign_text.h"

namespace dsn {
namespace {

constexpr std::uint64_t kBombRatio = 64;
constexpr std::uint64_t kBombFloor = std::uint64_t{1} << 20;
constexpr zip_int64_t kMostEntries = 1'000'000;

Error bad_input(const std::string& file, const std::string& what) {
  return {ErrorCode::bad_input, fmt::format("{}: {}", file, what)};
}

// A zip_error_t that cleans up after itself.
struct ZipError {
  zip_error_t error;
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  [[nodiscard]] std::string text() { return zip_error_strerror(&error); }
};

}  // namespace

struct ZipArchive::Handle {
  zip_t* zip = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (zip != nullptr) zip_discard(zip);
  }
};

bool ZipArchive::is_zip(std::span<const std::byte> bytes) noexcept {
  constexpr std::byte kMagic[] = {std::byte{'P'}, std::byte{'K'}, std::byte{3}, std::byte{4}};
  return bytes.size() >= sizeof kMagic && std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin());
}

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string file)
    : handle_(std::make_shared<Handle>()), file_(std::move(file)), size_bytes_(bytes.size()) {
  ZipError error;
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error.error);
  if (source == nullptr) throw bad_input(file_, fmt::format("cannot read the zip archive: {}", error.text()));
  handle_->zip = zip_open_from_source(source, ZIP_RDONLY, &error.error);
  if (handle_->zip == nullptr) {
    zip_source_free(source);
    throw bad_input(file_,
                    fmt::format("found a zip archive that cannot be read ({}): truncated?", error.text()));
  }
  const zip_int64_t count = zip_get_num_entries(handle_->zip, 0);
  if (count > kMostEntries)
    throw bad_input(
        file_, fmt::format("found {} entries in the zip archive, expected at most {}", count, kMostEntries));
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(handle_->zip, static_cast<zip_uint64_t>(i), 0, &stat) != 0 ||
        (stat.valid & ZIP_STAT_NAME) == 0 || (stat.valid & ZIP_STAT_SIZE) == 0) {
      throw bad_input(file_, fmt::format("entry {} of the zip archive has no name or size", i));
    }
    if (!entries_.emplace(stat.name, stat.size).second)
      throw bad_input(file_, fmt::format("found two zip entries named {}", foreign_text(stat.name)));
  }
}

std::vector<std::byte> ZipArchive::read(const std::string& name, std::uint64_t limit) const {
  const auto fail = [&](const std::string& what) -> Error {
    return bad_input(file_, fmt::format("zip entry {}: {}", foreign_text(name), what));
  };
  zip_stat_t stat;
  if (zip_stat(handle_->zip, name.c_str(), 0, &stat) != 0) throw fail("not in the archive");
  if (stat.size > limit) throw fail(fmt::format("found {} bytes, expected at most {}", stat.size, limit));
  if (stat.comp_size > size_bytes_)
    throw fail(fmt::format("truncated: found an archive of {} bytes, expected {} of this entry alone",
                           size_bytes_, stat.comp_size));
  if (stat.size > std::max(kBombFloor, stat.comp_size * kBombRatio)) {
    throw fail(
        fmt::format("found {} bytes said to unpack to {}: refused as a zip bomb", stat.comp_size, stat.size));
  }
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> entry(zip_fopen_index(handle_->zip, stat.index, 0),
                                                                zip_fclose);
  if (!entry) throw fail(fmt::format("cannot be read: {}", zip_strerror(handle_->zip)));
  std::vector<std::byte> bytes(static_cast<std::size_t>(stat.size));
  std::size_t filled = 0;
  // Reads on to the end of the entry: the checksum is verified there.
  std::byte beyond{};
  for (;;) {
    const bool full = filled == bytes.size();
    const zip_int64_t n = full ? zip_fread(entry.get(), &beyond, 1)
                               : zip_fread(entry.get(), bytes.data() + filled, bytes.size() - filled);
    if (n < 0) throw fail(fmt::format("damaged: {}", zip_file_strerror(entry.get())));
    if (n == 0) break;
    if (full) throw fail(fmt::format("holds more than the {} bytes that it says", stat.size));
    filled += static_cast<std::size_t>(n);
  }
  if (filled != bytes.size())
    throw fail(fmt::format("truncated: found {} bytes, expected {}", filled, bytes.size()));
  return bytes;
}

}  // namespace dsn
