// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "dsn/core/random.h"
#include "dsn/data/preprocess.h"
#include "helpers.h"

#ifdef DSN_HAVE_OPENCV
#include <opencv2/imgproc.hpp>
#endif

namespace dsn::test {

namespace {

Image noise(int width, int height, int channels, std::uint64_t seed) {
  Rng rng(seed);
  Image image{width, height, channels, {}};
  image.pixels.resize(static_cast<std::size_t>(width * height * channels));
  for (std::uint8_t& pixel : image.pixels) pixel = static_cast<std::uint8_t>(rng.below(256));
  return image;
}

std::vector<float> resized(const Image& image, double x, double y, double w, double h, int out_w, int out_h) {
  std::vector<float> out(static_cast<std::size_t>(out_w * out_h * image.channels));
  resize_region(image, x, y, w, h, out_w, out_h, out);
  return out;
}

void check_near(const std::vector<float>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

// The definition, without any of the shortcuts: every output pixel weighs every pixel of the image.
double by_definition(const Image& image, int channel, double centre_x, double centre_y, double step_x,
                     double step_y) {
  const double reach_x = std::max(step_x, 1.0);
  const double reach_y = std::max(step_y, 1.0);
  double sum = 0;
  double weights = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const double weight = std::max(0.0, 1 - std::abs(x + 0.5 - centre_x) / reach_x) *
                            std::max(0.0, 1 - std::abs(y + 0.5 - centre_y) / reach_y);
      sum +=
          weight * image.pixels[static_cast<std::size_t>((y * image.width + x) * image.channels + channel)];
      weights += weight;
    }
  }
  return sum / weights;
}

}  // namespace

TEST_CASE("resize_region: enlarging by two gives the quarters of bilinear interpolation") {
  const Image image{2, 1, 1, {0, 100}};
  check_near(resized(image, 0, 0, 2, 1, 4, 1), {0, 25, 75, 100});
}

TEST_CASE("resize_region: halving weighs 1, 3, 3, 1 and cuts the filter at the edges") {
  const Image image{4, 1, 1, {0, 80, 160, 240}};
  // Output 0 is centred between pixels 0 and 1: weights 3, 3, 1 of 7; output 1 mirrors it.
  check_near(resized(image, 0, 0, 4, 1, 2, 1), {400.0 / 7, 240 - 400.0 / 7});
  // The same filter inside a larger image is whole: pixels 1 to 4 with weights 1, 3, 3, 1 of 8.
  const Image larger{6, 1, 1, {0, 8, 16, 64, 128, 0}};
  check_near(resized(larger, 2, 0, 2, 1, 1, 1), {(8 + 3 * 16 + 3 * 64 + 128) / 8.0});
}

TEST_CASE("resize_region: a region of whole pixels at its own size is copied") {
  const Image image = noise(5, 4, 3, 1);
  const std::vector<float> out = resized(image, 1, 2, 3, 2, 3, 2);
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 2; ++y) {
      for (int x = 0; x < 3; ++x) {
        CHECK(out[static_cast<std::size_t>((c * 2 + y) * 3 + x)] ==
              image.pixels[static_cast<std::size_t>(((y + 2) * 5 + x + 1) * 3 + c)]);
      }
    }
  }
}

TEST_CASE("resize_region: agrees with the definition for fractional regions, shrinking and enlarging") {
  for (const int channels : {1, 3}) {
    const Image image = noise(23, 17, channels, 2);
    struct Case {
      double x, y, w, h;
      int out_w, out_h;
    };
    for (const Case& c :
         {Case{0, 0, 23, 17, 7, 5}, Case{1.25, 0.5, 20.5, 16.5, 31, 40}, Case{3.7, 2.2, 9.1, 13.3, 4, 20},
          Case{0, 0, 23, 17, 23, 9}, Case{22.5, 16.5, 0.5, 0.5, 3, 3}, Case{0, 0, 23, 17, 1, 1}}) {
      const std::vector<float> out = resized(image, c.x, c.y, c.w, c.h, c.out_w, c.out_h);
      const double step_x = c.w / c.out_w;
      const double step_y = c.h / c.out_h;
      std::size_t i = 0;
      for (int channel = 0; channel < channels; ++channel) {
        for (int y = 0; y < c.out_h; ++y) {
          for (int x = 0; x < c.out_w; ++x, ++i) {
            const double expected = by_definition(image, channel, c.x + (x + 0.5) * step_x,
                                                  c.y + (y + 0.5) * step_y, step_x, step_y);
            REQUIRE(std::abs(out[i] - expected) < 1e-3);
          }
        }
      }
    }
  }
}

#ifdef DSN_HAVE_OPENCV
TEST_CASE("resize_region: enlarging equals OpenCV's INTER_LINEAR") {
  const Image image = noise(13, 9, 3, 3);
  cv::Mat bytes(9, 13, CV_8UC3, const_cast<std::uint8_t*>(image.pixels.data()));
  cv::Mat source;
  bytes.convertTo(source, CV_32FC3);
  for (const cv::Size size : {cv::Size(26, 18), cv::Size(29, 31), cv::Size(13, 20)}) {
    cv::Mat expected;
    cv::resize(source, expected, size, 0, 0, cv::INTER_LINEAR);
    const std::vector<float> out = resized(image, 0, 0, 13, 9, size.width, size.height);
    double worst = 0;
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          const float found = out[static_cast<std::size_t>((c * size.height + y) * size.width + x)];
          worst = std::max<double>(worst, std::abs(found - expected.at<cv::Vec3f>(y, x)[c]));
        }
      }
    }
    CHECK(worst < 0.01);
  }
}
#endif

TEST_CASE("resize_region: keeps the mean of a large image when shrinking it strongly") {
  const Image image = noise(1200, 900, 1, 4);
  const std::vector<float> out = resized(image, 0, 0, 1200, 900, 8, 6);
  const double mean = std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / (1200.0 * 900.0);
  for (const float value : out) CHECK(std::abs(value - mean) < 5);
}

TEST_CASE("resize_region: regions outside the image and outputs of another size are refused") {
  const Image image = noise(4, 4, 1, 5);
  std::vector<float> out(4);
  const auto resize = [&](double x, double y, double w, double h) {
    resize_region(image, x, y, w, h, 2, 2, out);
  };
  CHECK_NOTHROW(resize(0, 0, 4, 4));
  check_error([&] { resize(-1, 0, 4, 4); }, ErrorCode::bad_input, {"not inside", "4 x 4"});
  check_error([&] { resize(0, 1, 4, 4); }, ErrorCode::bad_input, {"not inside"});
  check_error([&] { resize(0, 0, 0, 4); }, ErrorCode::bad_input, {"not inside"});
  check_error([&] { resize(std::nan(""), 0, 1, 1); }, ErrorCode::bad_input, {"not inside"});
  check_error([&] { resize_region(image, 0, 0, 4, 4, 2, 3, out); }, ErrorCode::bad_input,
              {"4 floats", "expected 6"});
  check_error([&] { resize_region(image, 0, 0, 4, 4, 0, 0, out); }, ErrorCode::bad_input, {"expected 0"});
  check_error(
      [&] {
        resize_region(Image{4, 4, 1, {1, 2}}, 0, 0, 4, 4, 2, 2, out);
      },
      ErrorCode::bad_input, {"2 bytes"});
  check_error(
      [&] {
        resize_region(Image{2, 2, 2, std::vector<std::uint8_t>(8)}, 0, 0, 2, 2, 2, 2, out);
      },
      ErrorCode::bad_input, {"2 channels"});
}

TEST_CASE("preprocess: an image of the resolution itself is only normalised") {
  const Image image{2, 2, 1, {0, 255, 51, 102}};
  std::vector<float> out(4);
  preprocess(image, {1, {0.5f}, {0.25f}, 1.0}, 2, out);
  check_near(out, {-2, 2, -1.2, -0.4});
}

TEST_CASE("preprocess: takes the centre square, on whole pixels where the crop is whole") {
  const Image wide{5, 2, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  std::vector<float> out(4);
  preprocess(wide, {1, {0.f}, {1.f / 255}, 1.0}, 2, out);
  check_near(out, {2, 3, 7, 8});
  const Image tall{2, 4, 1, {1, 2, 3, 4, 5, 6, 7, 8}};
  preprocess(tall, {1, {0.f}, {1.f / 255}, 1.0}, 2, out);
  check_near(out, {3, 4, 5, 6});
  // Half of the shorter side: the 2 x 2 pixels in the middle of 4 x 4.
  Image square{4, 4, 1, std::vector<std::uint8_t>(16)};
  std::iota(square.pixels.begin(), square.pixels.end(), std::uint8_t{0});
  preprocess(square, {1, {0.f}, {1.f / 255}, 0.5}, 2, out);
  check_near(out, {5, 6, 9, 10});
}

TEST_CASE("preprocess: grey repeats into three channels, colour mixes into grey") {
  const Image grey{1, 1, 1, {51}};
  std::vector<float> rgb(3);
  preprocess(grey, {3, {0.f, 0.1f, 0.2f}, {1.f, 1.f, 0.5f}, 1.0}, 1, rgb);
  check_near(rgb, {0.2, 0.1, 0.0});
  const Image colour{1, 1, 3, {255, 100, 10}};
  std::vector<float> one(1);
  preprocess(colour, {1, {0.f}, {1.f / 255}, 1.0}, 1, one);
  check_near(one, {0.299 * 255 + 0.587 * 100 + 0.114 * 10});
  preprocess(colour, {3, {0.f, 0.f, 0.f}, {1.f / 255, 1.f / 255, 1.f / 255}, 1.0}, 1, rgb);
  check_near(rgb, {255, 100, 10});
}

TEST_CASE("preprocess: settings and outputs that do not fit are refused") {
  const Image image{2, 2, 1, {0, 1, 2, 3}};
  std::vector<float> out(4);
  check_error(
      [&] {
        preprocess(image, {1, {0.f}, {1.f}, 1.0}, 3, out);
      },
      ErrorCode::bad_input, {"4 floats", "expected 9"});
  check_error([&] { preprocess(image, {1, {0.f}, {1.f}, 1.5}, 2, out); }, ErrorCode::bad_input, {"crop 1.5"});
  check_error(
      [&] {
        preprocess(image, {1, {0.f, 1.f}, {1.f}, 1.0}, 2, out);
      },
      ErrorCode::bad_input, {"2 means"});
  check_error([&] { preprocess(Image{}, {1, {0.f}, {1.f}, 1.0}, 2, out); }, ErrorCode::bad_input, {});
}

TEST_CASE("Preprocessing: goes through JSON unchanged, with decimals as people write them") {
  for (const char* spec : {"fashion-mnist", "cifar10:/data", "idx:/data", "folder:/data"}) {
    const Preprocessing how = Preprocessing::for_dataset(spec);
    const Json json = how.to_json();
    const Preprocessing back = Preprocessing::from_json(JsonView(json, "x.json"));
    CHECK(back.channels == how.channels);
    CHECK(back.mean == how.mean);
    CHECK(back.stddev == how.stddev);
    CHECK(back.crop == how.crop);
  }
  CHECK(Preprocessing::for_dataset("fashion-mnist@val").to_json().dump() ==
        R"({"channels":1,"crop":1.0,"mean":[0.286],"stddev":[0.353]})");
  CHECK(Preprocessing::for_dataset("photo.jpg").crop == 0.875);
  CHECK(Preprocessing::for_dataset("folder:/x").channels == 3);
  CHECK(Preprocessing::for_dataset("cifar10:/x").mean.size() == 3);
}

TEST_CASE("Preprocessing::from_json: names file and path of what does not fit") {
  const Json good = Preprocessing::for_dataset("cifar10:x").to_json();
  const auto read = [](const Json& json) {
    (void)Preprocessing::from_json(JsonView(json, "b.json", "/preprocessing"));
  };
  CHECK_NOTHROW(read(good));
  const auto check_bad = [&](const char* key, const Json& value) {
    Json json = good;
    json[key] = value;
    check_error([&] { read(json); }, ErrorCode::bad_input, {"b.json", std::string("/preprocessing/") + key});
  };
  check_bad("channels", 2);
  check_bad("channels", "3");
  check_bad("mean", Json::array({0.5}));
  check_bad("mean", "0.5");
  check_bad("stddev", Json::array({0.5, 0.0, 0.5}));
  check_bad("crop", 0);
  check_bad("crop", 1.01);
  Json json = good;
  json.erase("crop");
  check_error([&] { read(json); }, ErrorCode::bad_input, {"b.json", "crop"});
}

}  // namespace dsn::test
