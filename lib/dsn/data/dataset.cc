// SPDX-License-Identifier: Apache-2.0
#include "dsn/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dsn/data/internal.h"

namespace dsn {

namespace datasets {
namespace {

constexpr std::array<std::string_view, 4> kKinds{"fashion-mnist", "idx", "cifar10", "folder"};

class MemoryDataset final : public Dataset {
 public:
  explicit MemoryDataset(MemoryImages images)
      : images_(std::move(images)),
        image_bytes_(static_cast<std::size_t>(images_.width) * static_cast<std::size_t>(images_.height) *
                     static_cast<std::size_t>(images_.channels)) {}

  [[nodiscard]] std::size_t size() const noexcept override { return images_.labels.size(); }
  [[nodiscard]] int classes() const noexcept override { return static_cast<int>(images_.class_names.size()); }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override {
    return images_.class_names;
  }
  [[nodiscard]] const std::string& name() const noexcept override { return images_.name; }

  [[nodiscard]] Image image(std::size_t index) const override {
    check_index(*this, index);
    const auto first = images_.pixels.begin() + static_cast<std::ptrdiff_t>(index * image_bytes_);
    return {images_.width, images_.height, images_.channels,
            std::vector<std::uint8_t>(first, first + static_cast<std::ptrdiff_t>(image_bytes_))};
  }
  [[nodiscard]] int label(std::size_t index) const override {
    check_index(*this, index);
    return images_.labels[index];
  }

 private:
  MemoryImages images_;
  std::size_t image_bytes_;
};

class SubsetView final : public Dataset {
 public:
  SubsetView(const Dataset& base, std::vector<std::size_t> indices)
      : base_(base),
        indices_(std::move(indices)),
        name_(fmt::format("{}[{} of {}]", base.name(), indices_.size(), base.size())) {
    for (const std::size_t index : indices_) check_index(base_, index);
  }

  [[nodiscard]] std::size_t size() const noexcept override { return indices_.size(); }
  [[nodiscard]] int classes() const noexcept override { return base_.classes(); }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override {
    return base_.class_names();
  }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] Image image(std::size_t index) const override {
    check_index(*this, index);
    return base_.image(indices_[index]);
  }
  [[nodiscard]] int label(std::size_t index) const override {
    check_index(*this, index);
    return base_.label(indices_[index]);
  }

 private:
  const Dataset& base_;
  std::vector<std::size_t> indices_;
  std::string name_;
};

}  // namespace

std::optional<Spec> parse_spec(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) return std::nullopt;
  return Spec{std::string(kind), colon == std::string_view::npos ? "" : std::string(text.substr(colon + 1))};
}

std::unique_ptr<Dataset> make_memory_dataset(MemoryImages images) {
  return std::make_unique<MemoryDataset>(std::move(images));
}

Range split_range(std::size_t available, Split split, std::size_t val_count, const std::string& where) {
  if (split == Split::test) return {0, available};
  if (val_count >= available) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: cannot keep {} of {} training images for validation", where, val_count, available),
        fmt::format("at most {} can be kept", available - 1));
  }
  if (split == Split::train) return {0, available - val_count};
  if (val_count == 0) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: the validation split is empty", where),
                "keep some of the training images for validation");
  }
  return {available - val_count, val_count};
}

void check_index(const Dataset& set, std::size_t index) {
  if (index >= set.size()) {
    throw Error(ErrorCode::not_found, fmt::format("{} has {} images, numbered from 0: there is no image {}",
                                                  set.name(), set.size(), index));
  }
}

std::vector<std::string> read_class_names(const fs::path& path) {
  const std::string text = read_file(path);
  std::vector<std::string> names;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
      line.pop_back();
    if (!line.empty()) names.push_back(std::move(line));
    at = end + 1;
  }
  return names;
}

void check_folder(const fs::path& dir, const std::string& hint) {
  std::error_code error;
  const fs::file_status status = fs::status(dir, error);
  if (status.type() == fs::file_type::directory) return;
  if (status.type() == fs::file_type::not_found) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no such folder", dir.string()), hint);
  }
  if (error) {
    const bool denied = error == std::errc::permission_denied;
    throw Error(denied ? ErrorCode::permission : ErrorCode::io,
                fmt::format("{}: {}", dir.string(), error.message()));
  }
  throw Error(ErrorCode::bad_input, fmt::format("{}: found a file, expected a folder", dir.string()), hint);
}

std::string base_name(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.filename().string();
}

}  // namespace datasets

std::string to_string(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::val:
      return "val";
    case Split::test:
      return "test";
  }
  return "test";
}

std::unique_ptr<Dataset> open_dataset(const std::string& spec, Split split, std::size_t val_count) {
  const std::optional<datasets::Spec> parsed = datasets::parse_spec(spec);
  if (!parsed) {
    throw Error(ErrorCode::bad_input, fmt::format("\"{}\" is not a data set", spec),
                "data sets are fashion-mnist[:DIR], idx:DIR, cifar10:DIR and folder:DIR");
  }
  if (parsed->dir.empty() && (parsed->kind != "fashion-mnist" || spec.back() == ':')) {
    throw Error(ErrorCode::bad_input, fmt::format("data set \"{}\" names no folder", spec),
                fmt::format("write {}:DIR", parsed->kind));
  }
  if (parsed->kind == "cifar10") return datasets::open_cifar10(*parsed, split, val_count);
  if (parsed->kind == "folder") return datasets::open_image_folder(*parsed, split);
  return datasets::open_idx(*parsed, split, val_count);
}

std::unique_ptr<Dataset> subset(const Dataset& base, std::vector<std::size_t> indices) {
  return std::make_unique<datasets::SubsetView>(base, std::move(indices));
}

}  // namespace dsn
