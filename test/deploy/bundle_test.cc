// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "dsn/core/error.h"
#include "dsn/deploy/bundle.h"
#include "dsn/deploy/manifest.h"
#include "fakes/bundle_parts.h"
#include "fakes/error_of.h"
#include "fakes/temp_folder.h"

using dsn::Bundle;
using dsn::BundleParts;
using dsn::Error;
using dsn::ErrorCode;
using dsn::Json;
using dsn::fakes::error_of;
using dsn::fakes::TempFolder;
namespace fs = std::filesystem;

namespace {

bool says(const Error& error, const std::string& what) {
  return error.message().find(what) != std::string::npos;
}

// A manifest that somebody else wrote: changed and sealed again.
void rewrite(const fs::path& path, const std::function<void(Json&)>& change) {
  Json document = dsn::read_json(path);
  change(document);
  dsn::write_file_atomic(path, dsn::seal_manifest(document));
}

void flip(const fs::path& path, std::size_t at, char bit = 1) {
  std::string content = dsn::read_file(path);
  content[at] = static_cast<char>(content[at] ^ bit);
  dsn::write_file_atomic(path, content);
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("write_bundle: what is written opens, with every part in place") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  dsn::write_bundle(parts, temp / "bundle");

  const Bundle bundle = Bundle::open(temp / "bundle");
  CHECK(bundle.space.name() == "fmnist-mbv3");
  CHECK(bundle.class_names.size() == 10);
  CHECK(bundle.class_names[3] == "class3");
  CHECK(bundle.preprocessing.channels == 1);
  CHECK(bundle.weights.at("classifier.bias").floats()[0] == 0.5f);
  REQUIRE(bundle.levels.size() == 2);
  CHECK(bundle.levels[0].config == bundle.space.smallest());
  CHECK(bundle.levels[0].bn.at("stem.bn").mean[0] == 1.f);
  CHECK(bundle.levels[1].bn.at("stem.bn").mean[0] == 2.f);
  CHECK(bundle.luts[0].level_entry(bundle.space.largest(), {"cpu", 1, 1e9, 1}) != nullptr);
  CHECK(names_in(temp / "bundle") ==
        std::vector<std::string>{"bn.safetensors", "lut-0.json", "manifest.json", "weights.safetensors"});
}

TEST_CASE("write_bundle: the same parts give the same bytes, and a bundle needs nothing but itself") {
  const TempFolder temp;
  fs::create_directory(temp / "parts");
  const BundleParts parts = dsn::fakes::write_parts(temp / "parts");
  dsn::write_bundle(parts, temp / "a");
  dsn::write_bundle(parts, temp / "b");
  for (const auto& name : names_in(temp / "a")) {
    CHECK_MESSAGE(dsn::sha256_file(temp.path() / "a" / name) == dsn::sha256_file(temp.path() / "b" / name),
                  name);
  }
  fs::remove_all(temp / "parts");
  CHECK(Bundle::open(temp / "a").levels.size() == 2);
}

TEST_CASE(
    "write_bundle: one file has the same parts as the folder, mapped where they lie, and tar reads it") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  dsn::write_bundle(parts, temp / "bundle");
  dsn::write_bundle(parts, temp / "bundle.dsnb");
  const Bundle folder = Bundle::open(temp / "bundle");
  const Bundle file = Bundle::open(temp / "bundle.dsnb");
  CHECK(file.sha256 == folder.sha256);
  CHECK(file.size_bytes == folder.size_bytes);
  CHECK(file.weights.at("classifier.bias").floats()[0] == 0.5f);
  CHECK(file.levels[1].bn.at("stem.bn").mean[0] == 2.f);
  CHECK(names_in(temp.path()) == std::vector<std::string>{"bundle", "bundle.dsnb", "family.bn.safetensors",
                                                          "family.json", "family.lut.json",
                                                          "supernet.safetensors"});
  fs::create_directory(temp / "unpacked");
  const std::string unpack =
      "tar -xf '" + (temp / "bundle.dsnb").string() + "' -C '" + (temp / "unpacked").string() + "'";
  REQUIRE(std::system(unpack.c_str()) == 0);
  CHECK(Bundle::open(temp / "unpacked").sha256 == folder.sha256);
  const std::string pack =
      "cd '" + (temp / "bundle").string() + "' && tar --format=ustar -cf ../again.dsnb .";
  REQUIRE(std::system(pack.c_str()) == 0);
  CHECK(Bundle::open(temp / "again.dsnb").sha256 == folder.sha256);
}

TEST_CASE(
    "write_bundle: several devices and engines, each with costs of its own; two of one place are refused") {
  const TempFolder temp;
  BundleParts parts = dsn::fakes::write_parts(temp.path());
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  dsn::Lut other = dsn::fakes::make_lut(space, {space.smallest(), space.largest()});
  const std::string platform = other.platform_sha256;
  parts.luts.push_back(temp / "other.lut.json");
  const auto write = [&] {
    dsn::fakes::write_document(parts.luts[1], dsn::pure_envelope("dsn.lut", 7, {}, Json::object()),
                               other.to_json());
  };
  write();
  const Error error = error_of([&] { dsn::write_bundle(parts, temp / "bundle"); });
  CHECK(error.code() == ErrorCode::bad_usage);
  CHECK(says(error, "other.lut.json"));

  other.engine = "elastic";
  write();
  dsn::write_bundle(parts, temp / "bundle");
  const Bundle bundle = Bundle::open(temp / "bundle");
  REQUIRE(bundle.find_lut(platform, "elastic") != nullptr);
  CHECK(bundle.find_lut(platform, "elastic")->engine == "elastic");
  CHECK(bundle.find_lut(platform, "torch")->engine == "torch");
  CHECK(bundle.find_lut(platform, "none") == nullptr);
  CHECK(bundle.find_lut(std::string(64, '0'), "torch") == nullptr);
  CHECK(bundle.measured_on() == "test board (torch); test board (elastic)");
}

TEST_CASE("write_bundle: an older bundle and an empty folder are replaced, leaving nothing behind") {
  const TempFolder temp;
  fs::create_directory(temp / "out");
  dsn::write_bundle(dsn::fakes::write_parts(temp.path(), 0.25f), temp / "out");
  dsn::write_bundle(dsn::fakes::write_parts(temp.path(), 0.75f), temp / "out");
  CHECK(Bundle::open(temp / "out").weights.at("classifier.bias").floats()[0] == 0.75f);
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
  CHECK_FALSE(fs::exists(temp / "out.old.tmp"));
}

TEST_CASE("write_bundle: a folder of other files is refused and stays") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  fs::create_directory(temp / "photos");
  dsn::write_file_atomic(temp.path() / "photos" / "cat.jpg", "meow");
  const Error error = error_of([&] { dsn::write_bundle(parts, temp / "photos"); });
  CHECK(error.code() == ErrorCode::bad_usage);
  CHECK(says(error, "photos"));
  CHECK(names_in(temp / "photos") == std::vector<std::string>{"cat.jpg"});
  CHECK(error_of([&] { dsn::write_bundle(parts, ""); }).code() == ErrorCode::bad_usage);
}

TEST_CASE("write_bundle: a family of other weights or another space is a mismatch, and nothing is written") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  SUBCASE("weights trained further") {
    dsn::fakes::write_weights(parts.supernet, space, 0.6f);
    CHECK(error_of([&] { dsn::write_bundle(parts, temp / "out"); }).code() == ErrorCode::mismatch);
  }
  SUBCASE("another width") {
    dsn::fakes::write_weights(parts.supernet, dsn::SearchSpace::load("fmnist-mbv3", 2.0), 0.5f);
    CHECK(error_of([&] { dsn::write_bundle(parts, temp / "out"); }).code() == ErrorCode::mismatch);
  }
  SUBCASE("a LUT of another space") {
    const auto other = dsn::SearchSpace::load("fmnist-mbv3", 2.0);
    dsn::fakes::write_document(parts.luts.front(), dsn::pure_envelope("dsn.lut", 7, {}, Json::object()),
                               dsn::fakes::make_lut(other, {other.smallest(), other.largest()}).to_json());
    const Error error = error_of([&] { dsn::write_bundle(parts, temp / "out"); });
    CHECK(error.code() == ErrorCode::mismatch);
    CHECK(says(error, "family.lut.json"));
  }
  CHECK_FALSE(fs::exists(temp / "out"));
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
}

TEST_CASE("write_bundle: a level that the LUT lacks is not_found and named") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  dsn::fakes::write_document(parts.luts.front(), dsn::pure_envelope("dsn.lut", 7, {}, Json::object()),
                             dsn::fakes::make_lut(space, {space.smallest()}).to_json());
  const Error error = error_of([&] { dsn::write_bundle(parts, temp / "out"); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK(says(error, "level 1"));
}

TEST_CASE("write_bundle: levels measured at different points only are not_found") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  dsn::Lut lut = dsn::fakes::make_lut(space, {space.smallest(), space.largest()});
  auto row = lut.levels[1].at.extract(lut.levels[1].at.begin());
  row.key().threads = 2;
  lut.levels[1].at.insert(std::move(row));
  dsn::fakes::write_document(parts.luts.front(), dsn::pure_envelope("dsn.lut", 7, {}, Json::object()),
                             lut.to_json());
  CHECK(error_of([&] { dsn::write_bundle(parts, temp / "out"); }).code() == ErrorCode::not_found);
}

TEST_CASE("write_bundle: a batch-norm file without a level's statistics is bad input") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  dsn::fakes::write_statistics(temp / "family.bn.safetensors", {"level0"});
  const Error error = error_of([&] { dsn::write_bundle(parts, temp / "out"); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(says(error, "level1"));
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
}

TEST_CASE("Bundle::open: a missing, truncated or changed part is named") {
  const TempFolder temp;
  dsn::write_bundle(dsn::fakes::write_parts(temp.path()), temp / "bundle");
  const std::string part = [] {
    std::string name;
    SUBCASE("weights") {
      name = "weights.safetensors";
    }
    SUBCASE("statistics") {
      name = "bn.safetensors";
    }
    SUBCASE("look-up table") {
      name = "lut-0.json";
    }
    return name;
  }();
  const fs::path path = temp.path() / "bundle" / part;
  const std::string whole = dsn::read_file(path);

  std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, whole.size() / 2);
  Error error = error_of([&] { Bundle::open(temp / "bundle"); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(says(error, part));
  CHECK(says(error, "truncated"));

  std::string changed = whole;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << changed;
  error = error_of([&] { Bundle::open(temp / "bundle"); });
  CHECK(error.code() == ErrorCode::mismatch);
  CHECK(says(error, part));

  fs::remove(path);
  error = error_of([&] { Bundle::open(temp / "bundle"); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK(says(error, part));
}

TEST_CASE("Bundle::open: a folder that is no bundle, and a truncated or foreign manifest") {
  const TempFolder temp;
  CHECK(error_of([&] { Bundle::open(temp / "nowhere"); }).code() == ErrorCode::not_found);
  CHECK(error_of([&] { Bundle::open(temp.path()); }).code() == ErrorCode::not_found);
  const fs::path manifest = temp.path() / "bundle" / "manifest.json";
  dsn::write_bundle(dsn::fakes::write_parts(temp.path()), temp / "bundle");
  SUBCASE("half of it") {
    const std::string text = dsn::read_file(manifest);
    dsn::write_file_atomic(manifest, text.substr(0, text.size() / 3));
  }
  SUBCASE("another schema") {
    rewrite(manifest, [](Json& m) { m["schema"] = "dsn.family"; });
  }
  SUBCASE("a newer version") {
    rewrite(manifest, [](Json& m) { m["schema_version"] = 99; });
  }
  SUBCASE("a part outside of the folder") {
    rewrite(manifest, [](Json& m) { m["parts"]["luts"][0]["file"] = "../family.lut.json"; });
  }
  SUBCASE("too few class names") {
    rewrite(manifest, [](Json& m) { m["class_names"].erase(0); });
  }
  SUBCASE("statistics left out") {
    rewrite(manifest, [](Json& m) { m["parts"].erase("bn"); });
  }
  const Error error = error_of([&] { Bundle::open(temp / "bundle"); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(says(error, "bundle"));
}

TEST_CASE("Bundle::open: any byte of a folder's files, changed, is found and its file named") {
  const TempFolder temp;
  dsn::write_bundle(dsn::fakes::write_parts(temp.path()), temp / "bundle");
  for (const std::string& name : names_in(temp / "bundle")) {
    const fs::path path = temp.path() / "bundle" / name;
    const std::size_t size = fs::file_size(path);
    for (std::size_t at = 0; at < size; at += 1 + size / 97) {
      CAPTURE(name);
      CAPTURE(at);
      flip(path, at);
      const Error error = error_of([&] { Bundle::open(temp / "bundle"); });
      CHECK(says(error, name));
      flip(path, at);
    }
  }
  CHECK_NOTHROW(Bundle::open(temp / "bundle"));
}

TEST_CASE("Bundle::open: any byte of a .dsnb file, changed, is found and the file named") {
  const TempFolder temp;
  const fs::path path = temp / "bundle.dsnb";
  dsn::write_bundle(dsn::fakes::write_parts(temp.path()), path);
  const std::size_t size = fs::file_size(path);
  // Every byte of the first blocks (the manifest's header and start), samples of the rest, and all of the
  // end.
  for (std::size_t at = 0; at < size; at += at < 1024 || size - at < 1100 ? 1 : 53) {
    CAPTURE(at);
    flip(path, at);
    CHECK(says(error_of([&] { Bundle::open(path); }), "bundle.dsnb"));
    flip(path, at);
  }
  CHECK_NOTHROW(Bundle::open(path));
  fs::resize_file(path, size - 512);
  CHECK(says(error_of([&] { Bundle::open(path); }), "truncated"));
}

TEST_CASE("Bundle::open: an archive with an entry that the manifest does not name is refused") {
  const TempFolder temp;
  dsn::write_bundle(dsn::fakes::write_parts(temp.path()), temp / "bundle");
  dsn::write_file_atomic(temp.path() / "bundle" / "notes.txt", "hello");
  CHECK_NOTHROW(Bundle::open(temp / "bundle"));  // a folder may hold what is not ours
  const std::string pack = "cd '" + (temp / "bundle").string() + "' && tar --format=ustar -cf ../more.dsnb .";
  REQUIRE(std::system(pack.c_str()) == 0);
  CHECK(says(error_of([&] { Bundle::open(temp / "more.dsnb"); }), "notes.txt"));
}
