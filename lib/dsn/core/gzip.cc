// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/core/file.h"

namespace dsn {
namespace {

constexpr int kGzipWindowBits = 16 + MAX_WBITS;  // zlib.h: 16 more asks for a gzip header

bool has_gzip_magic(std::string_view data) {
  return data.size() >= 2 && data[0] == '\x1f' && data[1] == '\x8b';
}

[[noreturn]] void too_large(const fs::path& path, std::size_t limit) {
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: holds more than the {} bytes allowed", path.string(), limit));
}

// Owns the state of zlib's inflate.
class Inflater {
 public:
  Inflater() {
    if (inflateInit2(&stream_, kGzipWindowBits) != Z_OK)
      throw Error(ErrorCode::failed, "zlib: cannot start unpacking: out of memory");
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  // Unpacks all members (gzip files may be concatenated).
  std::vector<std::byte> unpack(std::string_view packed, const fs::path& path, std::size_t limit) {
    std::vector<std::byte> chunk(std::size_t{1} << 18);
    std::vector<std::byte> out;
    for (;;) {
      const auto offered =
          static_cast<uInt>(std::min<std::size_t>(packed.size(), std::numeric_limits<uInt>::max()));
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
      stream_.avail_in = offered;
      stream_.next_out = reinterpret_cast<Bytef*>(chunk.data());
      stream_.avail_out = static_cast<uInt>(chunk.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      packed.remove_prefix(offered - stream_.avail_in);
      const std::size_t made = chunk.size() - stream_.avail_out;
      if (made > limit - out.size()) too_large(path, limit);
      out.insert(out.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(made));
      if (status == Z_STREAM_END) {
        if (packed.empty()) return out;
        if (!has_gzip_magic(packed) || inflateReset(&stream_) != Z_OK)
          throw Error(ErrorCode::bad_input, fmt::format("{}: {} bytes follow the end of the gzip stream",
                                                        path.string(), packed.size()));
      } else if (status == Z_BUF_ERROR || (status == Z_OK && packed.empty() && made < chunk.size())) {
        throw Error(ErrorCode::bad_input, fmt::format("{}: truncated gzip stream", path.string()),
                    "copy or download the file again");
      } else if (status == Z_MEM_ERROR) {
        throw Error(ErrorCode::failed, fmt::format("{}: out of memory while unpacking", path.string()));
      } else if (status != Z_OK) {
        throw Error(ErrorCode::bad_input,
                    fmt::format("{}: corrupt gzip stream: {}", path.string(),
                                stream_.msg != nullptr ? stream_.msg : "a dictionary is asked for"),
                    "copy or download the file again");
      }
    }
  }

 private:
  z_stream stream_{};
};

}  // namespace

std::vector<std::byte> read_maybe_gzip(const fs::path& path, std::size_t limit) {
  const std::string content = read_file(path);
  if (has_gzip_magic(content)) return Inflater().unpack(content, path, limit);
  if (content.size() > limit) too_large(path, limit);
  const auto bytes = std::as_bytes(std::span(content));
  return {bytes.begin(), bytes.end()};
}

}  // namespace dsn
