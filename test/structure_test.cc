// SPDX-License-Identifier: Apache-2.0
// The architecture's rules about who may include whom, checked on the sources.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// From the bottom up: a module uses only those before it.
const std::vector<std::string> kModules{"core",    "space",  "data",    "supernet", "engine", "platform",
                                        "profile", "search", "runtime", "control",  "replay", "deploy"};
const fs::path kLib = fs::path(DSN_SOURCE_ROOT) / "lib/dsn";

std::ptrdiff_t rank(const std::string& module) {
  return std::find(kModules.begin(), kModules.end(), module) - kModules.begin();
}

// What the sources under `folder` include: file, included header.
std::vector<std::pair<fs::path, std::string>> includes(const fs::path& folder) {
  std::vector<std::pair<fs::path, std::string>> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cc") continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("#include")) continue;
      const auto begin = line.find_first_of("\"<"), end = line.find_last_of("\">");
      if (begin != std::string::npos && end > begin)
        found.emplace_back(entry.path(), line.substr(begin + 1, end - begin - 1));
    }
  }
  return found;
}

// Types that a header defines at the beginning of a line, with their namespaces.
std::vector<std::string> types(const fs::path& header) {
  std::vector<std::string> found, scopes;
  std::ifstream file(header);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word, name;
    words >> word >> name;
    if (word == "enum" && name == "class") words >> name;
    if (line.starts_with("namespace ")) scopes.push_back(name);
    if (line.starts_with("}  // namespace") && !scopes.empty()) scopes.pop_back();
    const bool type =
        line.starts_with("struct ") || line.starts_with("class ") || line.starts_with("enum class ");
    if (!type || line.find('{') == std::string::npos) continue;
    std::string full;
    for (const std::string& scope : scopes) full += scope + "::";
    found.push_back(full + name);
  }
  return found;
}

}  // namespace

// The linker takes one of two types of a name for both, and says nothing.
TEST_CASE("headers: no two define a type of the same name") {
  std::map<std::string, fs::path> known;
  for (const fs::path& folder : {kLib, fs::path(DSN_SOURCE_ROOT) / "tools/dsn"}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".h") continue;
      for (const std::string& name : types(entry.path())) {
        const auto [at, is_new] = known.emplace(name, entry.path());
        INFO(name << " is in " << at->second.string() << " and in " << entry.path().string());
        CHECK(is_new);
      }
    }
  }
  CHECK(known.contains("dsn::Executor"));
  CHECK(known.contains("dsn::elastic::Weights"));
}

TEST_CASE("modules: each folder is in architecture's list and has a README of at most 40 lines") {
  for (const auto& entry : fs::directory_iterator(kLib)) {
    if (!entry.is_directory()) continue;
    const std::string module = entry.path().filename().string();
    CAPTURE(module);
    CHECK(rank(module) < static_cast<std::ptrdiff_t>(kModules.size()));
    std::ifstream readme(entry.path() / "README.md");
    REQUIRE(readme.good());
    CHECK(std::count(std::istreambuf_iterator<char>(readme), {}, '\n') <= 40);
  }
}

TEST_CASE("modules: none includes one that comes after it") {
  std::size_t seen = 0;
  for (const std::string& module : kModules) {
    for (const auto& [file, header] : includes(kLib / module)) {
      if (!header.starts_with("dsn/") || header == "dsn/version.h") continue;
      const std::string other = header.substr(4, header.find('/', 4) - 4);
      INFO(file.string() << " includes " << header);
      CHECK(rank(other) <= rank(module));
      ++seen;
    }
  }
  CHECK(seen > 100);
}

TEST_CASE("LibTorch is included by supernet, search, deploy and the torch executor only") {
  std::size_t seen = 0;
  const auto is_torch = [](const std::string& header) {
    return header.starts_with("torch/") || header.starts_with("ATen/") || header.starts_with("c10/");
  };
  for (const std::string& module : kModules) {
    for (const auto& [file, header] : includes(kLib / module)) {
      if (!is_torch(header)) continue;
      INFO(file.string() << " includes " << header);
      CHECK((module == "supernet" || module == "search" || module == "deploy" ||
             file.filename() == "torch_executor.cc"));
      ++seen;
    }
  }
  CHECK(seen > 3);
  for (const auto& [file, header] : includes(fs::path(DSN_SOURCE_ROOT) / "tools")) {
    INFO(file.string() << " includes " << header);
    CHECK_FALSE(is_torch(header));
  }
}
