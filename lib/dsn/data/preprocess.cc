// SPDX-License-Identifier: Apache-2.0
#include "dsn/data/preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "dsn/core/error.h"
#include "dsn/data/internal.h"

namespace dsn {
namespace {

// The shortest decimal that reads back as the same float: 0.286, where a plain conversion would write
// 0.28600001335144043.
double shortest(float value) {
  const std::string text = fmt::format("{}", value);
  double result = value;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

Json to_array(const std::vector<float>& values) {
  Json array = Json::array();
  for (const float value : values) array.push_back(shortest(value));
  return array;
}

std::vector<float> read_channels(const JsonView& json, int channels, double lowest) {
  if (!json.json().is_array() || json.size() != static_cast<std::size_t>(channels)) {
    json.fail(fmt::format("an array of {} number{}, one per channel", channels, channels == 1 ? "" : "s"));
  }
  std::vector<float> values;
  for (std::size_t i = 0; i < json.size(); ++i)
    values.push_back(static_cast<float>(json[i].number(lowest, 1e6)));
  return values;
}

void check(const Preprocessing& how, int r, std::size_t out_size) {
  const bool channels_ok = how.channels == 1 || how.channels == 3;
  const auto channels = static_cast<std::size_t>(channels_ok ? how.channels : 0);
  if (!channels_ok || how.mean.size() != channels || how.stddev.size() != channels ||
      !(how.crop > 0 && how.crop <= 1)) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format(
            "preprocessing has {} channels, {} means, {} deviations and crop {}: expected 1 or 3 channels, "
            "as many means and deviations, and a crop above 0 and up to 1",
            how.channels, how.mean.size(), how.stddev.size(), how.crop));
  }
  const std::size_t expected =
      r > 0 ? channels * static_cast<std::size_t>(r) * static_cast<std::size_t>(r) : 0;
  if (expected == 0 || out_size != expected) {
    throw Error(ErrorCode::bad_input,
                fmt::format("preprocessing to resolution {} with {} channels: the output holds {} "
                            "floats, expected {}",
                            r, how.channels, out_size, expected));
  }
}

// (x / 255 - mean) / stddev as one multiplication and one addition. in may be out.
void normalise(const float* in, float mean, float stddev, std::size_t count, float* out) {
  const float factor = 1.f / (255.f * stddev);
  const float offset = -mean / stddev;
  for (std::size_t i = 0; i < count; ++i) out[i] = in[i] * factor + offset;
}

// Where the crop starts. A crop of whole pixels stays on whole pixels: half a pixel of shift would only blur
// it.
double crop_start(int size, double side) {
  const double start = (size - side) / 2;
  return side == std::floor(side) ? std::floor(start) : start;
}

}  // namespace

Json Preprocessing::to_json() const {
  return Json{{"channels", channels}, {"mean", to_array(mean)}, {"stddev", to_array(stddev)}, {"crop", crop}};
}

Preprocessing Preprocessing::from_json(const JsonView& json) {
  Preprocessing how;
  how.channels = static_cast<int>(json["channels"].integer(1, 3));
  if (how.channels == 2) json["channels"].fail("1 (grey) or 3 (RGB)");
  how.mean = read_channels(json["mean"], how.channels, -1e6);
  how.stddev = read_channels(json["stddev"], how.channels, 1e-6);
  how.crop = json["crop"].number(1e-6, 1);
  return how;
}

Preprocessing Preprocessing::for_dataset(const std::string& spec) {
  const std::string text = spec.substr(0, spec.find('@'));
  const std::optional<datasets::Spec> parsed = datasets::parse_spec(text);
  const std::string kind = parsed ? parsed->kind : "";
  // Mean and deviation over the pixels of the training images of each set; test/data checks what is
  // installed.
  if (kind == "fashion-mnist") return {1, {0.2860f}, {0.3530f}, 1.0};
  if (kind == "idx") return {1, {0.1307f}, {0.3081f}, 1.0};  // MNIST's
  if (kind == "cifar10") return {3, {0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}, 1.0};
  return {3, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, 0.875};
}

void preprocess(const Image& image, const Preprocessing& how, int r, std::span<float> out) {
  check(how, r, out.size());
  const std::size_t plane = static_cast<std::size_t>(r) * static_cast<std::size_t>(r);
  const double side = how.crop * std::min(image.width, image.height);
  const double x = crop_start(image.width, side);
  const double y = crop_start(image.height, side);
  if (image.channels == how.channels) {
    resize_region(image, x, y, side, side, r, r, out);
    for (std::size_t c = 0; c < how.mean.size(); ++c) {
      float* pixels = out.data() + c * plane;
      normalise(pixels, how.mean[c], how.stddev[c], plane, pixels);
    }
  } else if (how.channels == 3) {
    resize_region(image, x, y, side, side, r, r, out.first(plane));
    // Last plane first: the first one holds the source.
    for (std::size_t c = 3; c-- > 0;)
      normalise(out.data(), how.mean[c], how.stddev[c], plane, out.data() + c * plane);
  } else {
    std::vector<float> colour(3 * plane);
    resize_region(image, x, y, side, side, r, r, colour);
    // ITU-R BT.601 luma; linear, so it may come after the resize, where there are fewer pixels.
    for (std::size_t i = 0; i < plane; ++i) {
      out[i] = 0.299f * colour[i] + 0.587f * colour[plane + i] + 0.114f * colour[2 * plane + i];
    }
    normalise(out.data(), how.mean[0], how.stddev[0], plane, out.data());
  }
}

}  // namespace dsn
