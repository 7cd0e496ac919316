// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "dsn/data/confusion.h"
#include "dsn/data/internal.h"
#include "dsn/data/opencv_glue.h"

namespace dsn {
namespace {

constexpr int kMostWithText = 20;  // classes; more make a heat map
constexpr int kFont = cv::FONT_HERSHEY_DUPLEX;
constexpr int kGap = 8;
const cv::Scalar kInk(40, 40, 40), kFaint(120, 120, 120), kPaper(255, 255, 255);
const cv::Scalar kRight(150, 80, 20), kWrong(40, 40, 200);  // BGR: the darkest blue and red of a cell

cv::Scalar blend(const cv::Scalar& from, const cv::Scalar& to, double part) {
  return from * (1 - part) + to * part;
}

cv::Size text_size(const std::string& text, double scale) {
  int below = 0;
  cv::Size size = cv::getTextSize(text, kFont, scale, 1, &below);
  size.height += below;
  return size;
}

// Draws with the text's box centred (anchor 0.5), left (0) or right (1) of x, its middle at y.
void put(cv::Mat& mat, const std::string& text, double x, double y, double anchor, double scale,
         const cv::Scalar& colour = kInk) {
  int below = 0;
  const cv::Size size = cv::getTextSize(text, kFont, scale, 1, &below);
  const cv::Point origin(static_cast<int>(std::lround(x - anchor * size.width)),
                         static_cast<int>(std::lround(y + size.height / 2.0)));
  cv::putText(mat, text, origin, kFont, scale, colour, 1, cv::LINE_AA);
}

// The same reading upwards, centred on x and ending at y.
void put_upwards(cv::Mat& mat, const std::string& text, double x, double y, double scale,
                 const cv::Scalar& colour = kInk) {
  const cv::Size size = text_size(text, scale);
  cv::Mat flat(size.height + 4, size.width + 4, CV_8UC3, kPaper), turned;
  put(flat, text, 2, flat.rows / 2.0, 0, scale, colour);
  cv::rotate(flat, turned, cv::ROTATE_90_COUNTERCLOCKWISE);
  const cv::Rect at(static_cast<int>(std::lround(x)) - turned.cols / 2,
                    static_cast<int>(std::lround(y)) - turned.rows, turned.cols, turned.rows);
  const cv::Rect inside = at & cv::Rect(0, 0, mat.cols, mat.rows);
  turned(inside - at.tl()).copyTo(mat(inside));
}

class Picture {
 public:
  Picture(const ConfusionMatrix& confusion, const std::vector<std::string>& names, std::string title)
      : confusion_(confusion),
        names_(names),
        title_(std::move(title)),
        n_(confusion.classes()),
        text_(n_ <= kMostWithText),
        cell_(text_ ? 58 : std::clamp(1000 / n_, 2, 28)),
        name_scale_(text_ ? 0.5 : 0.38) {
    for (int l = 0; l < n_; ++l) {
      for (int p = 0; p < n_; ++p) {
        if (l != p) worst_ = std::max(worst_, part(l, p));
      }
    }
    // One name per row as long as they do not touch.
    step_ = std::max(1, static_cast<int>(std::ceil(13.0 / cell_)));
    int names_width = 0;
    for (const std::string& name : names_)
      names_width = std::max(names_width, text_size(name, name_scale_).width);
    names_width = std::min(names_width, 260);
    left_ = 34 + names_width + kGap;
    top_ = 76 + names_width + kGap;
    right_ = text_ ? 84 : 24;
  }

  cv::Mat draw() {
    const int size = n_ * cell_;
    const int width = std::max(left_ + size + right_, 24 + text_size(title_, 0.62).width + 24);
    mat_ = cv::Mat(top_ + size + 64, width, CV_8UC3, kPaper);
    put(mat_, title_, 24, 26, 0, 0.62);
    put(mat_, "predicted", left_ + size / 2.0, 56, 0.5, 0.5, kFaint);
    put_upwards(mat_, "label", 18, top_ + size / 2.0 + 20, 0.5, kFaint);
    for (int l = 0; l < n_; ++l) {
      for (int p = 0; p < n_; ++p) draw_cell(l, p);
    }
    if (text_) {
      for (int i = 0; i <= n_; ++i) {
        cv::line(mat_, {left_ + i * cell_, top_}, {left_ + i * cell_, top_ + size}, {225, 225, 225});
        cv::line(mat_, {left_, top_ + i * cell_}, {left_ + size, top_ + i * cell_}, {225, 225, 225});
      }
    }
    cv::rectangle(mat_, cv::Rect(left_ - 1, top_ - 1, size + 2, size + 2), kFaint);
    draw_names();
    draw_legend(top_ + size + 34);
    return mat_;
  }

 private:
  [[nodiscard]] double part(int label, int predicted) const {
    const auto of = confusion_.labelled(label);
    return of == 0 ? 0.0 : static_cast<double>(confusion_.at(label, predicted)) / static_cast<double>(of);
  }

  // Mistakes are few: their scale ends at the most common one, and its square root lets rare ones show.
  [[nodiscard]] cv::Scalar colour(bool right, double value) const {
    if (right) return blend(kPaper, kRight, value);
    return worst_ == 0 ? kPaper : blend(kPaper, kWrong, std::sqrt(value / worst_) * 0.85);
  }

  void draw_cell(int label, int predicted) {
    const double value = part(label, predicted);
    const cv::Rect at(left_ + predicted * cell_, top_ + label * cell_, cell_, cell_);
    const cv::Scalar fill = colour(label == predicted, value);
    cv::rectangle(mat_, at, fill, cv::FILLED);
    if (!text_ || confusion_.at(label, predicted) == 0) return;
    const bool dark = 0.114 * fill[0] + 0.587 * fill[1] + 0.299 * fill[2] < 140;
    put(mat_, fmt::format("{:.1f}", 100 * value), at.x + cell_ / 2.0, at.y + cell_ / 2.0, 0.5, 0.45,
        dark ? kPaper : kInk);
  }

  void draw_names() {
    for (int c = 0; c < n_; c += step_) {
      const double middle = (c + 0.5) * cell_;
      const std::string& name = names_[static_cast<std::size_t>(c)];
      put(mat_, name, left_ - kGap, top_ + middle, 1, name_scale_);
      put_upwards(mat_, name, left_ + middle, top_ - kGap, name_scale_);
      if (text_) {
        put(mat_, fmt::format("n {}", confusion_.labelled(c)), left_ + n_ * cell_ + kGap, top_ + middle, 0,
            0.42, kFaint);
      }
    }
  }

  // What the colours mean.
  void draw_legend(int y) {
    int x = left_;
    const auto scale = [&](bool right, double most, const std::string& what) {
      for (int i = 0; i < 80; ++i)
        cv::line(mat_, {x + i, y - 7}, {x + i, y + 7}, colour(right, most * i / 79.0));
      const std::string text = fmt::format("0 to {:.0f} % {}", std::ceil(100 * most), what);
      put(mat_, text, x + 88, y, 0, 0.42, kFaint);
      x += 88 + text_size(text, 0.42).width + 28;
    };
    if (x + 2 * 260 > mat_.cols) x = 24;
    scale(true, 1.0, "right");
    scale(false, worst_, "mistaken");
  }

  const ConfusionMatrix& confusion_;
  const std::vector<std::string>& names_;
  std::string title_;
  int n_;
  bool text_;
  int cell_;
  double name_scale_;
  int step_ = 1, left_ = 0, top_ = 0, right_ = 0;
  double worst_ = 0;
  cv::Mat mat_;
};

}  // namespace

void write_confusion_picture(const ConfusionMatrix& confusion, const std::vector<std::string>& names,
                             const std::string& title, const fs::path& path) {
  check_confusion_picture(path);
  if (confusion.classes() < 1 || names.size() != static_cast<std::size_t>(confusion.classes())) {
    throw Error(ErrorCode::bad_usage, fmt::format("{}: found {} class names, expected {}", path.string(),
                                                  names.size(), confusion.classes()));
  }
  datasets::quiet_opencv();
  try {
    std::vector<unsigned char> bytes;
    cv::imencode(".png", Picture(confusion, names, title).draw(), bytes);
    write_file_atomic(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  } catch (const cv::Exception& error) {
    throw Error(ErrorCode::failed, fmt::format("{}: cannot draw the picture ({})", path.string(), error.err));
  }
}

}  // namespace dsn
