// SPDX-License-Identifier: Apache-2.0
// dsn inspect: what is in a file of dsn's, for a person.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli/flags.h"
#include "cli/inspect_text.h"
#include "commands.h"
#include "dsn/core/file.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string file;
};

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

Json tensors_json(const TensorFile& file) {
  Json tensors = Json::array();
  for (const auto& [name, view] : file.tensors()) {
    tensors.push_back({{"name", name}, {"dtype", dtype_name(view.dtype)}, {"shape", view.shape}});
  }
  return tensors;
}

// Where an importer or exporter put its one network.
fs::path network_in(const fs::path& folder) {
  const fs::path imported = folder / "supernet.safetensors";
  if (fs::exists(imported)) return imported;
  const fs::path index = folder / "index.json";
  if (fs::exists(index)) return index;
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: found a folder without manifest.json, expected a bundle", folder.string()),
              "name a file in it");
}

int show_document(const fs::path& path, const Session& session) {
  const Json document = read_json(path, true);
  const auto schema = document.is_object() ? document.value("schema", Json()) : Json();
  if (!schema.is_string()) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found JSON without a \"schema\", expected one of {}",
                                                  path.string(), fmt::join(schema_names(), ", ")));
  }
  check_schema(document, schema.get<std::string>(), path.string());
  session.result(document, document_text(document, path));
  return done_status();
}

int show_tensors(const fs::path& path, const Session& session) {
  const TensorFile file = TensorFile::open(path);
  if (file.metadata().count("dsn.checkpoint") != 0) {
    const Checkpoint checkpoint = Checkpoint::open(path);
    session.result({{"kind", "dsn.checkpoint"},
                    {"weights_sha256", checkpoint.weights_sha256},
                    {"space", checkpoint.info.space.document()},
                    {"preprocessing", checkpoint.info.preprocessing.to_json()},
                    {"class_names", checkpoint.info.class_names},
                    {"dataset", checkpoint.info.dataset},
                    {"record", checkpoint.info.record},
                    {"tensors", tensors_json(file)}},
                   checkpoint_text(checkpoint));
    return done_status();
  }
  std::string text = fmt::format("{}: safetensors\n", path.string());
  for (const auto& [key, value] : file.metadata()) {
    text += fmt::format("metadata  {}: {}\n", key,
                        value.size() > 60 ? fmt::format("{} bytes", value.size()) : value);
  }
  session.result({{"kind", "safetensors"}, {"metadata", file.metadata()}, {"tensors", tensors_json(file)}},
                 text + tensors_text(file, 40));
  return done_status();
}

int run(const Flags& flags, const Session& session) {
  fs::path path = flags.file;
  std::error_code ignored;
  if (is_bundle(path)) {
    const Bundle bundle = Bundle::open(path);
    session.result(bundle.manifest, bundle_text(bundle));
    return done_status();
  }
  if (fs::is_directory(path, ignored)) path = network_in(path);
  const MappedBytes content = map_file(path);
  const std::string_view text = content.text();
  if (starts_with(text, "PK\x03\x04") || starts_with(text, "\x80\x02")) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found a PyTorch checkpoint, expected a file of dsn", path.string()),
                "dsn import ofa reads it");
  }
  // The ninth byte of a safetensors file opens its JSON header; a JSON document has its brace, or a comment,
  // first.
  const bool tensors = text.size() > 8 && text[8] == '{' && text.find('\0') < 8;
  return tensors ? show_tensors(path, session) : show_document(path, session);
}

}  // namespace

Command add_inspect(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app = *root.add_subcommand(
      "inspect", "Show what is in a file of dsn: bundle, family, look-up table, super-network ...");
  add_path(app, "FILE", flags->file, "A bundle (folder or .dsnb), a JSON file of dsn, or a safetensors file")
      ->required();
  add_common(app, common, "dsn inspect cam.dsnb", "dsn inspect family.lut.json --json");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli
