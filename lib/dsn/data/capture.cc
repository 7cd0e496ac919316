// SPDX-License-Identifier: Apache-2.0
// Video files through FFmpeg (or OpenCV's own AVI reader), cameras through Video4Linux.
//
// Backends are named, never left to OpenCV's search: that would try every one of them, with their messages on
// stderr and, for some, waits of their own.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <opencv2/videoio.hpp>
#include <opencv2/videoio/registry.hpp>
#include <system_error>

#include "dsn/data/internal.h"
#include "dsn/data/opencv_glue.h"

namespace dsn::datasets {
namespace {

std::string reason(int number) {
  return std::generic_category().message(number);
}

bool try_open(cv::VideoCapture& capture, const std::string& path, cv::VideoCaptureAPIs backend) {
  if (!cv::videoio_registry::hasBackend(backend)) return false;
  try {
    return capture.open(path, backend);
  } catch (const cv::Exception&) {
    return false;
  }
}

// Nothing when the backend has no further frame, or says so by throwing.
bool read_frame(cv::VideoCapture& capture, cv::Mat& frame) {
  try {
    return capture.read(frame) && !frame.empty();
  } catch (const cv::Exception&) {
    return false;
  }
}

class VideoFrames final : public FrameSource {
 public:
  VideoFrames(const std::string& file, bool repeat)
      : name_("video:" + file), file_(file), path_(fs::absolute(file).string()), repeat_(repeat) {
    open();
  }

  std::optional<Frame> next() override {
    if (ended_) return std::nullopt;
    if (!read_frame(capture_, frame_)) {
      if (read_ == 0)
        throw Error(ErrorCode::bad_input, fmt::format("{}: holds no frame that can be decoded", file_));
      if (!repeat_) {
        ended_ = true;
        return std::nullopt;
      }
      open();
      return next();
    }
    ++read_;
    return Frame{to_image(frame_, file_), std::nullopt};
  }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }

 private:
  // From the first frame. Opened anew instead of seeking, which not every container can do exactly.
  void open() {
    capture_.release();
    read_ = 0;
    if (!try_open(capture_, path_, cv::CAP_FFMPEG) && !try_open(capture_, path_, cv::CAP_OPENCV_MJPEG)) {
      throw Error(ErrorCode::bad_input, fmt::format("{}: cannot be opened as a video", file_),
                  "the file may be damaged, or its codec unknown to FFmpeg");
    }
  }

  std::string name_;
  std::string file_;
  std::string path_;
  bool repeat_;
  cv::VideoCapture capture_;
  cv::Mat frame_;
  std::uint64_t read_ = 0;  // since open()
  bool ended_ = false;
};

class CameraFrames final : public FrameSource {
 public:
  explicit CameraFrames(const std::string& device) : name_("camera:" + device), device_(device) {
    if (!try_open(capture_, device, cv::CAP_V4L2)) {
      throw Error(ErrorCode::unsupported, fmt::format("{}: the camera cannot be opened", device),
                  "is another program using it?");
    }
    // As few old frames as the driver allows: what is classified is what is there now.
    capture_.set(cv::CAP_PROP_BUFFERSIZE, 1);
  }

  std::optional<Frame> next() override {
    // OpenCV gives up after ten seconds without a frame (OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT).
    if (!read_frame(capture_, frame_)) {
      throw Error(ErrorCode::io, fmt::format("{}: the camera gave no frame", device_),
                  "is it still connected, and is no other program using it?");
    }
    return Frame{to_image(frame_, device_), std::nullopt};
  }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }

 private:
  std::string name_;
  std::string device_;
  cv::VideoCapture capture_;
  cv::Mat frame_;
};

// Throws unless `device` is a camera that this user may open, before OpenCV, which would only say no.
void check_camera(const std::string& device) {
  constexpr unsigned kVideo4LinuxMajor = 81;  // Documentation/admin-guide/devices.txt
  struct stat info {};
  if (::stat(device.c_str(), &info) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      throw Error(ErrorCode::not_found, fmt::format("{}: no such camera", device),
                  "list the cameras of this machine with: ls /dev/video*");
    }
    throw Error(error == EACCES ? ErrorCode::permission : ErrorCode::io,
                fmt::format("{}: {}", device, reason(error)));
  }
  if (!S_ISCHR(info.st_mode) || major(info.st_rdev) != kVideo4LinuxMajor) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: not a camera (no Video4Linux device)", device),
                "cameras are camera:N and camera:/dev/videoN; a video file is video:FILE");
  }
  const int fd = ::open(device.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    const bool denied = error == EACCES || error == EPERM;
    throw Error(denied ? ErrorCode::permission : ErrorCode::unsupported,
                fmt::format("{}: the camera cannot be opened: {}", device, reason(error)),
                denied ? "add your user to the group \"video\"" : "");
  }
  v4l2_capability caps{};
  const bool known = ::ioctl(fd, VIDIOC_QUERYCAP, &caps) == 0;
  ::close(fd);
  const std::uint32_t can =
      (caps.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? caps.device_caps : caps.capabilities;
  if (!known || (can & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)) == 0) {
    throw Error(ErrorCode::unsupported, fmt::format("{}: this video device does not capture", device),
                "many cameras bring several devices: try the next lower number");
  }
}

}  // namespace

std::unique_ptr<FrameSource> open_video(const std::string& file, bool repeat) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (file.empty() || status.type() == fs::file_type::not_found) {
    throw Error(ErrorCode::not_found, fmt::format("video:{}: no such file", file));
  }
  if (status.type() != fs::file_type::regular) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: not a file, expected a video", file),
                "for a camera write camera:N");
  }
  if (::access(file.c_str(), R_OK) != 0) {
    const int number = errno;
    throw Error(number == EACCES ? ErrorCode::permission : ErrorCode::io,
                fmt::format("{}: {}", file, reason(number)));
  }
  quiet_opencv();
  return std::make_unique<VideoFrames>(file, repeat);
}

std::unique_ptr<FrameSource> open_camera(const std::string& device) {
  const bool index = !device.empty() && device.size() <= 4 &&
                     std::all_of(device.begin(), device.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!index && !device.starts_with('/')) {
    throw Error(ErrorCode::bad_input,
                fmt::format("\"camera:{}\": found \"{}\", expected a number or /dev/videoN", device, device));
  }
  const std::string path = index ? "/dev/video" + device : device;
  check_camera(path);
  quiet_opencv();
  return std::make_unique<CameraFrames>(path);
}

}  // namespace dsn::datasets
