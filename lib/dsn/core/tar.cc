// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kLargest = (std::uint64_t{1} << 33) - 1;  // 11 octal digits

// Where a header's fields lie.
struct Field {
  std::size_t offset, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8}, kPrefix{345, 155};

using Header = std::array<char, kBlock>;

void put(Header& header, Field field, std::string_view text) {
  std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(field.offset));
}

// The sum of a header's bytes with blanks for the checksum itself.
std::uint64_t checksum(std::span<const char> header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    sum += own ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

Header make_header(const fs::path& path, const TarEntry& entry) {
  if (entry.name.empty() || entry.name.size() > kName.size || entry.bytes.size() > kLargest) {
    throw Error(ErrorCode::failed,
                fmt::format("cannot write {}: \"{}\" of {} bytes does not fit a tar header", path.string(),
                            entry.name, entry.bytes.size()));
  }
  Header header{};
  put(header, kName, entry.name);
  put(header, kMode, "0000644");
  put(header, kUid, "0000000");
  put(header, kGid, "0000000");
  put(header, kSize, fmt::format("{:011o}", entry.bytes.size()));
  put(header, kTime, "00000000000");
  put(header, kType, "0");
  put(header, kMagic,
      std::string_view("ustar\0"
                       "00",
                       8));
  put(header, kChecksum, fmt::format("{:06o}", checksum(header)) + std::string("\0 ", 2));
  return header;
}

std::size_t padding(std::uint64_t size) {
  return static_cast<std::size_t>((kBlock - size % kBlock) % kBlock);
}

class Reader {
 public:
  explicit Reader(const MappedBytes& archive) : archive_(archive) {}

  std::map<std::string, MappedBytes> read() {
    while (!at_end()) read_entry();
    // Two blocks of zeros end an archive; tar fills up to its record with more.
    if (archive_.bytes.size() - position_ < 2 * kBlock) fail("truncated: its end is missing");
    require_zeros(archive_.bytes.size() - position_, "after the archive's end");
    return std::move(entries_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: not a readable tar archive: at byte {}: {}", archive_.name, position_, what),
                "a tar made by hand must be plain: tar --format=ustar");
  }

  [[nodiscard]] std::span<const char> block() const {
    if (archive_.bytes.size() - position_ < kBlock) fail("truncated");
    return {reinterpret_cast<const char*>(archive_.bytes.data()) + position_, kBlock};
  }

  [[nodiscard]] bool at_end() const {
    const auto header = block();
    return std::all_of(header.begin(), header.end(), [](char c) { return c == 0; });
  }

  void require_zeros(std::size_t count, const char* where) {
    for (const std::byte value : archive_.bytes.subspan(position_, count)) {
      if (value != std::byte{0}) fail(fmt::format("damaged: found a byte that is not zero {}", where));
      ++position_;
    }
  }

  static std::string text(std::span<const char> header, Field field) {
    const auto part = header.subspan(field.offset, field.size);
    return {part.begin(), std::find(part.begin(), part.end(), '\0')};
  }

  // Octal digits between blanks and NULs.
  [[nodiscard]] std::uint64_t number(std::span<const char> header, Field field, const char* what) const {
    std::uint64_t value = 0;
    bool ended = false, digits = false;
    for (const char c : header.subspan(field.offset, field.size)) {
      if (c >= '0' && c <= '7' && !ended) {
        value = value * 8 + static_cast<std::uint64_t>(c - '0');
        digits = true;
      } else if (c == ' ' || c == '\0') {
        ended = digits;
      } else {
        digits = false;
        break;
      }
    }
    if (!digits) fail(fmt::format("damaged: the {} of an entry is no octal number", what));
    return value;
  }

  void read_entry() {
    const auto header = block();
    if (number(header, kChecksum, "checksum") != checksum(header))
      fail("damaged: a header's checksum is wrong");
    if (text(header, kMagic).substr(0, 5) != "ustar") fail("found a header that is not ustar's");
    const std::string prefix = text(header, kPrefix);
    std::string name = prefix.empty() ? text(header, kName) : prefix + '/' + text(header, kName);
    const std::uint64_t size = number(header, kSize, "size");
    const char type = header[kType.offset];
    if (type != '0' && type != '\0' && type != '5') {
      fail(fmt::format("entry \"{}\" is neither a file nor a folder (type '{}')", name, type));
    }
    if (size > archive_.bytes.size() - position_ - kBlock || (type == '5' && size != 0)) {
      fail(fmt::format("truncated: entry \"{}\" has {} bytes", name, size));
    }
    position_ += kBlock;
    if (type == '5') return;
    while (name.rfind("./", 0) == 0) name.erase(0, 2);
    const auto content = archive_.bytes.subspan(position_, static_cast<std::size_t>(size));
    if (!entries_.emplace(name, MappedBytes{archive_.map, content, archive_.name + ": " + name}).second) {
      fail(fmt::format("entry \"{}\" comes twice", name));
    }
    position_ += static_cast<std::size_t>(size);
    if (padding(size) > archive_.bytes.size() - position_) fail("truncated");
    require_zeros(padding(size), "beside an entry");
  }

  const MappedBytes& archive_;
  std::size_t position_ = 0;
  std::map<std::string, MappedBytes> entries_;
};

}  // namespace

void write_tar(const fs::path& path, const std::vector<TarEntry>& entries) {
  std::vector<Header> headers;
  headers.reserve(entries.size());
  for (const TarEntry& entry : entries) headers.push_back(make_header(path, entry));
  static constexpr std::array<std::byte, 2 * kBlock> kZeros{};
  write_file_atomic(path, [&](const ByteSink& sink) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      sink(std::as_bytes(std::span(headers[i])));
      sink(entries[i].bytes);
      sink(std::span(kZeros).first(padding(entries[i].bytes.size())));
    }
    sink(kZeros);
  });
}

std::map<std::string, MappedBytes> read_tar(const MappedBytes& archive) {
  return Reader(archive).read();
}

}  // namespace dsn
