// SPDX-License-Identifier: Apache-2.0
// Structure of PNG (ISO/IEC 15948, chunks with CRC-32), JPEG (ITU-T T.81 annex B, marker segments), BMP
// (Windows BITMAPFILEHEADER and BITMAPINFOHEADER) and binary PGM and PPM
// (netpbm.sourceforge.net/doc/ppm.html).
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "dsn/data/internal.h"

namespace dsn::datasets {
namespace {

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

[[noreturn]] void damaged(const std::string& file, const std::string& what) {
  throw Error(ErrorCode::bad_input, fmt::format("{}: {}", file, what));
}

// Big-endian.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t length) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < length; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

void check_size(const std::string& file, std::uint64_t width, std::uint64_t height) {
  if (width > 0 && height > kMaxPixels / width) {
    damaged(file, fmt::format("found an image of {} x {} pixels, expected at most {} in all", width, height,
                              kMaxPixels));
  }
}

// Chunks that pixels need; the others (text, time, colour profiles, ...) are what libpng warns about on
// stderr.
bool carries_pixels(std::string_view type) {
  return type == "IHDR" || type == "PLTE" || type == "tRNS" || type == "IDAT" || type == "IEND" ||
         type == "eXIf";
}

std::string check_png(std::string_view bytes, const std::string& file) {
  std::string kept(kPngSignature);
  std::size_t at = kPngSignature.size();
  bool any_data = false;
  for (bool first = true;; first = false) {
    if (bytes.size() - at < 12)
      damaged(file, fmt::format("truncated PNG: {} bytes, no end marker", bytes.size()));
    const std::uint64_t length = number(bytes, at, 4);
    if (length > bytes.size() - at - 12) {
      damaged(file, fmt::format("truncated PNG: a chunk at byte {} has {} bytes, expected {}", at,
                                bytes.size() - at - 12, length));
    }
    const std::string_view type = bytes.substr(at + 4, 4);
    if (first) {
      if (type != "IHDR" || length != 13) damaged(file, "damaged PNG: no image header");
      check_size(file, number(bytes, at + 8, 4), number(bytes, at + 12, 4));
    }
    if (carries_pixels(type)) {
      const auto* content = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
      if (crc32_z(0, content, length + 4) != number(bytes, at + 8 + length, 4)) {
        damaged(file, fmt::format("damaged PNG: checksum of the {} chunk at byte {} is wrong", type, at));
      }
      kept.append(bytes.substr(at, length + 12));
    }
    any_data = any_data || type == "IDAT";
    at += length + 12;
    if (type == "IEND") break;
  }
  if (!any_data) damaged(file, "damaged PNG: no image data");
  return kept;
}

// Markers that stand alone, without a length: TEM and RST0..7.
bool stands_alone(unsigned marker) {
  return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7);
}

bool starts_frame(unsigned marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

// A JPEG that stops early is decoded by libjpeg with grey in place of the rest, and a line on stderr.
void check_jpeg(std::string_view bytes, const std::string& file) {
  std::size_t at = 2;
  while (true) {
    at = bytes.find('\xff', at);
    while (at < bytes.size() && bytes[at] == '\xff') ++at;  // fill bytes
    if (at >= bytes.size()) break;
    const auto marker = static_cast<std::uint8_t>(bytes[at++]);
    // 0: a byte 0xff of the entropy-coded data.
    if (marker == 0 || stands_alone(marker)) continue;
    if (marker == 0xd9) return;
    if (bytes.size() - at < 2) break;
    const std::uint64_t length = number(bytes, at, 2);
    if (length < 2 || length > bytes.size() - at) break;
    if (starts_frame(marker) && length >= 7)
      check_size(file, number(bytes, at + 5, 2), number(bytes, at + 3, 2));
    at += length;
  }
  damaged(file, fmt::format("truncated JPEG: {} bytes, no end marker", bytes.size()));
}

std::uint64_t little_endian(std::string_view bytes, std::size_t at, std::size_t length) {
  std::uint64_t value = 0;
  for (std::size_t i = length; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

void check_length(std::string_view bytes, std::uint64_t expected, const char* format,
                  const std::string& file) {
  if (bytes.size() < expected) {
    damaged(file, fmt::format("truncated {}: found {} bytes, expected {}", format, bytes.size(), expected));
  }
}

void check_bmp(std::string_view bytes, const std::string& file) {
  check_length(bytes, 54, "BMP", file);
  constexpr std::uint64_t kInfoHeader = 40;
  if (little_endian(bytes, 14, 4) < kInfoHeader) return;  // the older OS/2 header
  const auto side = [&](std::size_t at) {
    const auto value = static_cast<std::int32_t>(little_endian(bytes, at, 4));
    return static_cast<std::uint64_t>(value < 0 ? -std::int64_t{value}
                                                : value);  // negative: rows from the top
  };
  const std::uint64_t width = side(18);
  const std::uint64_t height = side(22);
  check_size(file, width, height);
  const std::uint64_t compression = little_endian(bytes, 30, 4);
  if (compression != 0 && compression != 3) return;  // run lengths: the length says nothing
  const std::uint64_t row = (width * little_endian(bytes, 28, 2) + 31) / 32 * 4;
  check_length(bytes, little_endian(bytes, 10, 4) + row * height, "BMP", file);
}

// "P5" or "P6", width, height and largest value, with white space and comments between, then the samples.
void check_pnm(std::string_view bytes, const std::string& file) {
  std::uint64_t fields[3] = {};
  std::size_t at = 2;
  const auto is_space = [&] { return bytes[at] == ' ' || (bytes[at] >= '\t' && bytes[at] <= '\r'); };
  for (std::uint64_t& field : fields) {
    while (at < bytes.size() && (is_space() || bytes[at] == '#')) {
      at = bytes[at] == '#' ? std::min(bytes.find('\n', at), bytes.size()) : at + 1;
    }
    const char* begin = bytes.data() + at;
    const auto parsed = std::from_chars(begin, bytes.data() + bytes.size(), field);
    if (parsed.ec != std::errc{})
      damaged(file, "damaged PGM or PPM: expected width, height and largest value");
    at += static_cast<std::size_t>(parsed.ptr - begin);
  }
  check_size(file, fields[0], fields[1]);
  const std::uint64_t samples = fields[0] * fields[1] * (bytes[1] == '6' ? 3 : 1);
  check_length(bytes, at + 1 + samples * (fields[2] > 255 ? 2 : 1), "PGM or PPM", file);
}

}  // namespace

std::string check_image_bytes(std::string bytes, const std::string& file) {
  if (bytes.empty()) damaged(file, "the file is empty, expected an image");
  if (bytes.starts_with(kPngSignature)) return check_png(bytes, file);
  if (bytes.starts_with("\xff\xd8")) check_jpeg(bytes, file);
  if (bytes.starts_with("BM")) check_bmp(bytes, file);
  if (bytes.starts_with("P5") || bytes.starts_with("P6")) check_pnm(bytes, file);
  return bytes;
}

}  // namespace dsn::datasets
