// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sha2.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/core/posix_file.h"

namespace dsn {
namespace {

std::string finish(SHA2_CTX& context) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256Final(digest.data(), &context);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

std::string sha256_hex(std::span<const std::byte> bytes) {
  SHA2_CTX context;
  SHA256Init(&context);
  SHA256Update(&context, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return finish(context);
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

std::string sha256_file(const fs::path& path) {
  const Descriptor file = open_to_read(path);
  SHA2_CTX context;
  SHA256Init(&context);
  std::vector<std::byte> buffer(std::size_t{1} << 16);
  while (const std::size_t n = read_some(file, buffer, path))
    SHA256Update(&context, reinterpret_cast<const std::uint8_t*>(buffer.data()), n);
  return finish(context);
}

}  // namespace dsn
