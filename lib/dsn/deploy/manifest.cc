// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/manifest.h"

#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/core/file.h"

namespace dsn {
namespace {

constexpr std::string_view kKey = "\"manifest_sha256\": \"";
constexpr std::size_t kDigits = 64;

}  // namespace

std::string seal_manifest(Json manifest) {
  manifest["manifest_sha256"] = std::string(kDigits, '0');
  std::string text = dump_json(manifest);
  // Keys are sorted and strings escape quotes, so the key's first match at this depth is the key itself.
  text.replace(text.find(kKey) + kKey.size(), kDigits, sha256_hex(std::string_view(text)));
  return text;
}

std::string check_seal(std::string_view text, const std::string& file) {
  const std::size_t key = text.find(kKey);
  if (key == std::string_view::npos || text.size() < key + kKey.size() + kDigits) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found no manifest_sha256: it is damaged or no manifest", file),
                "copy or export the bundle again");
  }
  const std::size_t at = key + kKey.size();
  const std::string expected(text.substr(at, kDigits));
  std::string zeroed(text);
  zeroed.replace(at, kDigits, kDigits, '0');
  const std::string found = sha256_hex(std::string_view(zeroed));
  if (found != expected) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: found sha256 {}, expected {}: it was changed after export", file,
                            found.substr(0, 12), expected.substr(0, 12)),
                "copy or export the bundle again");
  }
  return found;
}

}  // namespace dsn
