// SPDX-License-Identifier: Apache-2.0
// DIR/{train,val,test}/CLASS/*: listed when opened, decoded when asked for.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dsn/data/internal.h"

namespace dsn::datasets {
namespace {

constexpr std::array<std::string_view, 9> kEndings{".jpg", ".jpeg", ".png", ".bmp", ".webp",
                                                   ".pgm", ".ppm",  ".tif", ".tiff"};

bool ends_as_image(const fs::path& path) {
  std::string ending = path.extension().string();
  // Not std::tolower: it depends on the locale.
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

// Names in `dir` that `keep` accepts, sorted by bytes, so that every machine sees the same order.
template <typename Keep>
std::vector<std::string> list(const fs::path& dir, Keep keep) {
  std::vector<std::string> names;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
      std::string name = entry.path().filename().string();
      if (name.front() != '.' && keep(entry)) names.push_back(std::move(name));
    }
  } catch (const fs::filesystem_error& error) {
    const bool denied = error.code() == std::errc::permission_denied;
    const bool missing = error.code() == std::errc::no_such_file_or_directory;
    throw Error(denied    ? ErrorCode::permission
                : missing ? ErrorCode::not_found
                          : ErrorCode::io,
                fmt::format("{}: {}", dir.string(), error.code().message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

class FolderDataset final : public Dataset {
 public:
  struct Item {
    fs::path path;
    int label;
  };

  FolderDataset(std::string name, std::vector<std::string> class_names, std::vector<Item> items)
      : name_(std::move(name)), class_names_(std::move(class_names)), items_(std::move(items)) {}

  [[nodiscard]] std::size_t size() const noexcept override { return items_.size(); }
  [[nodiscard]] int classes() const noexcept override { return static_cast<int>(class_names_.size()); }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override { return class_names_; }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] Image image(std::size_t index) const override {
    check_index(*this, index);
    return decode_image(items_[index].path);
  }
  [[nodiscard]] int label(std::size_t index) const override {
    check_index(*this, index);
    return items_[index].label;
  }

 private:
  std::string name_;
  std::vector<std::string> class_names_;
  std::vector<Item> items_;
};

}  // namespace

std::vector<fs::path> list_images(const fs::path& dir) {
  std::vector<fs::path> paths;
  for (const std::string& name : list(dir, [](const fs::directory_entry& entry) {
         return entry.is_regular_file() && ends_as_image(entry.path());
       })) {
    paths.push_back(dir / name);
  }
  return paths;
}

std::vector<std::string> list_folders(const fs::path& dir) {
  return list(dir, [](const fs::directory_entry& entry) { return entry.is_directory(); });
}

std::unique_ptr<Dataset> open_image_folder(const Spec& spec, Split split) {
  const fs::path dir = spec.dir;
  require_opencv(fmt::format("data set folder:{}", spec.dir));
  const std::string layout = "folder:DIR holds DIR/{train,val,test}/CLASS/*.{jpg,png,...}";
  check_folder(dir, layout);
  const fs::path root = dir / to_string(split);
  check_folder(root,
               split == Split::val
                   ? fmt::format("folder data sets bring their own validation images: move some of {} to {}",
                                 (dir / "train" / "CLASS").string(), (root / "CLASS").string())
                   : layout);

  // The training classes number the labels of every split, so that a class without test images shifts
  // nothing.
  std::error_code error;
  const fs::path reference = fs::is_directory(dir / "train", error) ? dir / "train" : root;
  const std::vector<std::string> class_names = list_folders(reference);
  if (class_names.empty()) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found no class folders", reference.string()), layout);
  }
  std::vector<FolderDataset::Item> items;
  for (const std::string& name : list_folders(root)) {
    const auto found = std::lower_bound(class_names.begin(), class_names.end(), name);
    if (found == class_names.end() || *found != name) {
      throw Error(ErrorCode::bad_input, fmt::format("{}: found class \"{}\", which {} does not have",
                                                    root.string(), name, reference.string()));
    }
    const std::vector<fs::path> images = list_images(root / name);
    if (images.empty()) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: found no images in this class folder", (root / name).string()),
                  fmt::format("images are files that end in {}", fmt::join(kEndings, " ")));
    }
    for (const fs::path& path : images)
      items.push_back({path, static_cast<int>(found - class_names.begin())});
  }
  if (items.empty()) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found no class folders", root.string()), layout);
  }
  return std::make_unique<FolderDataset>(fmt::format("folder:{}/{}", base_name(dir), to_string(split)),
                                         class_names, std::move(items));
}

}  // namespace dsn::datasets
