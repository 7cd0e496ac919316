// SPDX-License-Identifier: Apache-2.0
// Image folders, single images, videos and cameras: what needs OpenCV.
#include <doctest/doctest.h>

#include <algorithm>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/videoio.hpp>
#include <thread>

#include "helpers.h"

namespace dsn::test {

namespace {

// 4 x 3 pixels of one colour, given as red, green, blue.
void write_colour(const fs::path& path, int r, int g, int b) {
  fs::create_directories(path.parent_path());
  REQUIRE(cv::imwrite(path.string(), cv::Mat(3, 4, CV_8UC3, cv::Scalar(b, g, r))));
}

void write_noise(const fs::path& path, int side) {
  fs::create_directories(path.parent_path());
  cv::Mat mat(side, side, path.extension() == ".pgm" ? CV_8UC1 : CV_8UC3);
  cv::RNG rng(1);
  rng.fill(mat, cv::RNG::UNIFORM, 0, 256);
  REQUIRE(cv::imwrite(path.string(), mat));
}

void write_folder_set(const fs::path& dir) {
  write_colour(dir / "train/bee/2.png", 20, 0, 0);
  write_colour(dir / "train/bee/10.png", 10, 0, 0);
  write_colour(dir / "train/ant/x.PNG", 1, 2, 3);
  write_colour(dir / "train/Cat/x.bmp", 30, 0, 0);
  write_colour(dir / "test/bee/x.png", 200, 100, 50);
  write(dir / "train/ant/notes.txt", "no image");
  write(dir / "train/ant/.hidden.png", "no image");
  fs::create_directories(dir / "train/.cache");
}

}  // namespace

TEST_CASE("folder: classes and files in byte order, numbered as in train, decoded to RGB") {
  const TempDir dir;
  write_folder_set(dir.path());
  const auto train = open_dataset("folder:" + dir.str(), Split::train);
  CHECK(train->name() == "folder:" + dir.path().filename().string() + "/train");
  CHECK(train->class_names() == std::vector<std::string>{"Cat", "ant", "bee"});
  REQUIRE(train->size() == 4);
  std::vector<int> labels;
  std::vector<int> reds;
  for (std::size_t i = 0; i < 4; ++i) {
    labels.push_back(train->label(i));
    reds.push_back(train->image(i).pixels[0]);
  }
  CHECK(labels == std::vector{0, 1, 2, 2});
  CHECK(reds == std::vector{30, 1, 10, 20});

  const auto test = open_dataset("folder:" + dir.str(), Split::test);
  CHECK(test->classes() == 3);
  REQUIRE(test->size() == 1);
  CHECK(test->label(0) == 2);
  const Image image = test->image(0);
  CHECK(image.width == 4);
  CHECK(image.height == 3);
  REQUIRE(image.channels == 3);
  CHECK(std::vector(image.pixels.begin(), image.pixels.begin() + 3) ==
        std::vector<std::uint8_t>{200, 100, 50});
}

TEST_CASE("folder: a missing split, an empty class and an unknown class are told") {
  const TempDir dir;
  check_error([&] { (void)open_dataset("folder:" + dir.str() + "/none", Split::test); }, ErrorCode::not_found,
              {"/none", "{train,val,test}"});
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::train); }, ErrorCode::not_found,
              {"/train", "{train,val,test}"});
  fs::create_directories(dir.path() / "train");
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::train); }, ErrorCode::bad_input,
              {"/train", "no class folders"});
  write_folder_set(dir.path());
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::val); }, ErrorCode::not_found,
              {"/val", "validation"});
  fs::create_directories(dir.path() / "val");
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::val); }, ErrorCode::bad_input, {"/val"});
  fs::create_directories(dir.path() / "train/dog");
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::train); }, ErrorCode::bad_input,
              {"train/dog", "no images"});
  write_colour(dir.path() / "test/zebra/x.png", 1, 1, 1);
  check_error([&] { (void)open_dataset("folder:" + dir.str(), Split::test); }, ErrorCode::bad_input,
              {"\"zebra\""});
}

TEST_CASE("folder: several threads read one data set") {
  const TempDir dir;
  for (int i = 0; i < 8; ++i) write_noise(dir.path() / "test" / "a" / (std::to_string(i) + ".jpg"), 20 + i);
  const auto set = open_dataset("folder:" + dir.str(), Split::test);
  std::vector<std::vector<Image>> seen(4);
  {
    std::vector<std::jthread> threads;
    for (auto& images : seen) {
      threads.emplace_back([&set, &images] {
        for (std::size_t i = 0; i < set->size(); ++i) images.push_back(set->image(i));
      });
    }
  }
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(seen[0][i].width == 20 + static_cast<int>(i));
    for (const auto& images : seen) CHECK(images[i].pixels == seen[0][i].pixels);
  }
}

TEST_CASE("images: grey stays grey, transparency is dropped, 16 bits become 8") {
  const TempDir dir;
  const auto read = [](const fs::path& path) { return open_frames(path.string(), 1, false)->next()->image; };
  cv::imwrite((dir.path() / "grey.png").string(), cv::Mat(2, 2, CV_8UC1, cv::Scalar(7)));
  CHECK(read(dir.path() / "grey.png").channels == 1);
  CHECK(read(dir.path() / "grey.png").pixels == std::vector<std::uint8_t>(4, 7));
  cv::imwrite((dir.path() / "alpha.png").string(), cv::Mat(1, 1, CV_8UC4, cv::Scalar(1, 2, 3, 0)));
  CHECK(read(dir.path() / "alpha.png").pixels == std::vector<std::uint8_t>{3, 2, 1});
  cv::imwrite((dir.path() / "deep.png").string(), cv::Mat(1, 1, CV_16UC1, cv::Scalar(0x1234)));
  CHECK(read(dir.path() / "deep.png").pixels == std::vector<std::uint8_t>{0x12});
}

TEST_CASE(
    "images: truncated, damaged and foreign files are bad input that names them, and nothing is printed") {
  const TempDir dir;
  for (const char* ending : {"png", "jpg", "bmp", "webp", "ppm", "pgm", "tif"}) {
    const fs::path whole = dir.path() / ("whole." + std::string(ending));
    write_noise(whole, 40);
    CHECK(open_frames(whole.string(), 1, false)->next()->image.width == 40);
    const std::string bytes = slurp(whole);
    std::vector<std::string> broken{"", "not an image", bytes.substr(0, 3),
                                    bytes.substr(0, bytes.size() / 10), bytes.substr(0, bytes.size() / 2)};
    for (std::size_t i = 0; i < broken.size(); ++i) {
      CAPTURE(std::string(ending));
      CAPTURE(i);
      const fs::path path = dir.path() / ("broken." + std::string(ending));
      write(path, broken[i]);
      const std::string printed = stderr_of([&] {
        check_error([&] { (void)open_frames(path.string(), 1, false)->next(); }, ErrorCode::bad_input,
                    {path.string()});
      });
      CHECK(printed == "");
    }
  }
}

TEST_CASE("images: a PNG with a wrong checksum, a missing end or a huge size says so") {
  const TempDir dir;
  const fs::path path = dir.path() / "a.png";
  write_noise(path, 40);
  const std::string bytes = slurp(path);
  const auto check_broken = [&](std::string broken, const std::string& part) {
    write(path, broken);
    const std::string printed = stderr_of([&] {
      check_error([&] { (void)open_frames(path.string(), 1, false)->next(); }, ErrorCode::bad_input,
                  {path.string(), part});
    });
    CHECK(printed == "");
  };
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
  check_broken(flipped, "checksum of the IDAT chunk");
  check_broken(bytes.substr(0, bytes.size() - 12), "truncated PNG");
  check_broken(bytes.substr(0, bytes.size() - 20), "truncated PNG");
  std::string huge = bytes;
  huge[16] = huge[20] = '\x40';
  check_broken(huge, "pixels");
  // A chunk of text with a wrong checksum carries no pixels: the image is whole.
  write(path, bytes.substr(0, 33) + std::string("\0\0\0\1tEXtxABCD", 13) + bytes.substr(33));
  CHECK(stderr_of([&] { CHECK(open_frames(path.string(), 1, false)->next()->image.width == 40); }) == "");
}

TEST_CASE("images: a JPEG without its last bytes is truncated, bytes after its end are not") {
  const TempDir dir;
  const fs::path path = dir.path() / "a.jpg";
  write_noise(path, 64);
  const std::string bytes = slurp(path);
  write(path, bytes.substr(0, bytes.size() - 2));
  CHECK(stderr_of([&] {
          check_error([&] { (void)open_frames(path.string(), 1, false)->next(); }, ErrorCode::bad_input,
                      {path.string(), "truncated JPEG"});
        }) == "");
  write(path, bytes + "trailing");
  CHECK(stderr_of([&] { CHECK(open_frames(path.string(), 1, false)->next()->image.width == 64); }) == "");
}

TEST_CASE("open_frames: a folder of images without labels comes in byte order, once or for ever") {
  const TempDir dir;
  write_colour(dir.path() / "b.png", 2, 0, 0);
  write_colour(dir.path() / "a.png", 1, 0, 0);
  write_colour(dir.path() / "sub/c.png", 3, 0, 0);
  const auto once = open_frames(dir.str(), 1, false);
  CHECK(once->name() == dir.str());
  auto frame = once->next();
  REQUIRE(frame.has_value());
  CHECK_FALSE(frame->label.has_value());
  CHECK(frame->image.pixels[0] == 1);
  CHECK(once->next()->image.pixels[0] == 2);
  CHECK_FALSE(once->next().has_value());
  CHECK_FALSE(once->next().has_value());
  const auto endless = open_frames(dir.str(), 1, true);
  for (int i = 0; i < 6; ++i) CHECK(endless->next()->image.pixels[0] == 1 + i % 2);
  fs::create_directories(dir.path() / "empty");
  check_error([&] { (void)open_frames(dir.str() + "/empty", 1, true); }, ErrorCode::bad_input,
              {"/empty", "no images"});
}

TEST_CASE("open_frames: a video comes frame by frame, and again when repeated") {
  const TempDir dir;
  const fs::path path = dir.path() / "a.avi";
  {
    cv::VideoWriter writer(path.string(), cv::CAP_OPENCV_MJPEG, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'),
                           10, cv::Size(32, 16));
    REQUIRE(writer.isOpened());
    for (int i = 0; i < 5; ++i) writer.write(cv::Mat(16, 32, CV_8UC3, cv::Scalar(10, 0, 50 * i)));
  }
  for (const bool repeat : {false, true}) {
    const auto source = open_frames("video:" + path.string(), 1, repeat);
    CHECK(source->name() == "video:" + path.string());
    for (int i = 0; i < (repeat ? 12 : 5); ++i) {
      const auto frame = source->next();
      REQUIRE(frame.has_value());
      CHECK_FALSE(frame->label.has_value());
      CHECK(frame->image.width == 32);
      CHECK(frame->image.height == 16);
      CHECK(std::abs(frame->image.pixels[0] - 50 * (i % 5)) < 12);  // red; JPEG is lossy
    }
    CHECK(source->next().has_value() == repeat);
    CHECK(source->next().has_value() == repeat);
  }
}

TEST_CASE("open_frames: unreadable videos name the file, and nothing is printed") {
  const TempDir dir;
  const auto check_video = [](const std::string& file, ErrorCode code) {
    CAPTURE(file);
    const std::string printed = stderr_of(
        [&] { check_error([&] { (void)open_frames("video:" + file, 1, false)->next(); }, code, {file}); });
    CHECK(printed == "");
  };
  check_video(dir.str() + "/none.mp4", ErrorCode::not_found);
  check_video("", ErrorCode::not_found);
  check_video(dir.str(), ErrorCode::bad_input);
  check_video("/dev/zero", ErrorCode::bad_input);
  write(dir.path() / "empty.mp4", "");
  check_video(dir.str() + "/empty.mp4", ErrorCode::bad_input);
  write(dir.path() / "text.avi", "this is no video at all, whatever its name says");
  check_video(dir.str() + "/text.avi", ErrorCode::bad_input);
  // The header of an MP4 file without its index.
  write(dir.path() / "cut.mp4", std::string("\0\0\0\x18"
                                            "ftypisom\0\0\0\0isomavc1\0\0\1\0mdat",
                                            32) +
                                    std::string(300, 'x'));
  check_video(dir.str() + "/cut.mp4", ErrorCode::bad_input);
}

TEST_CASE("open_frames: cameras that are none name the device, at once and in silence") {
  const auto check_camera = [](const std::string& spec, ErrorCode code, const std::string& part) {
    CAPTURE(spec);
    const std::string printed =
        stderr_of([&] { check_error([&] { (void)open_frames(spec, 1, false); }, code, {part}); });
    CHECK(printed == "");
  };
  check_camera("camera:987", ErrorCode::not_found, "/dev/video987");
  check_camera("camera:/dev/video987", ErrorCode::not_found, "/dev/video987");
  check_camera("camera:/dev/null", ErrorCode::bad_input, "/dev/null");
  check_camera("camera:/tmp", ErrorCode::bad_input, "/tmp");
  check_camera("camera:front", ErrorCode::bad_input, "camera:front");
  check_camera("camera:-1", ErrorCode::bad_input, "camera:-1");
  check_camera("camera:", ErrorCode::bad_input, "camera:");
}

}  // namespace dsn::test
