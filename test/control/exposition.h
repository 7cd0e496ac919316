// SPDX-License-Identifier: Apache-2.0
// Reads Prometheus' text exposition format 0.0.4 as a scraper would, and refuses what its tools warn about.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace dsn::test {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

class Exposition {
 public:
  // Throws std::runtime_error naming the line that breaks a rule.
  explicit Exposition(const std::string& text) {
    if (text.empty() || text.back() != '\n') throw std::runtime_error("the last line does not end");
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      line_ = line;
      line.starts_with('#') ? comment(line) : sample(line);
    }
    for (const auto& [name, type] : types_)
      if (type == "histogram") check_histogram(name);
  }

  [[nodiscard]] double value(const std::string& name,
                             const std::map<std::string, std::string>& labels = {}) const {
    for (const Sample& sample : samples_)
      if (sample.name == name && sample.labels == labels) return sample.value;
    return std::nan("");
  }
  [[nodiscard]] bool has(const std::string& name) const { return types_.contains(name); }
  [[nodiscard]] const std::vector<Sample>& samples() const noexcept { return samples_; }

 private:
  [[noreturn]] void fail(const std::string& why) const { throw std::runtime_error(why + ": " + line_); }

  static bool is_name(const std::string& text, bool colon) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
    for (const char c : text)
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && !(colon && c == ':')) return false;
    return true;
  }

  void comment(const std::string& line) {
    std::istringstream words(line);
    std::string hash, kind, name, rest;
    words >> hash >> kind >> name;
    std::getline(words >> std::ws, rest);
    if (!is_name(name, true) || rest.empty()) fail("not a comment that means something");
    if (kind == "HELP") {
      if (!helped_.insert(name).second) fail("second help");
    } else if (kind == "TYPE") {
      if (rest != "counter" && rest != "gauge" && rest != "histogram") fail("unknown type");
      if (!types_.emplace(name, rest).second) fail("second type");
      if (!helped_.contains(name)) fail("no help");
      // What promtool warns about: units and the endings of counters.
      if ((rest == "counter") != name.ends_with("_total")) fail("counters, and only they, end in _total");
      for (const char* bad : {"_ms", "_milliseconds", "_khz", "_mhz", "_percent"})
        if (name.ends_with(bad)) fail("not a base unit");
      current_ = name;
    } else {
      fail("neither HELP nor TYPE");
    }
  }

  void sample(const std::string& line) {
    Sample read;
    std::size_t at = line.find_first_of("{ ");
    if (at == std::string::npos) fail("no value");
    read.name = line.substr(0, at);
    if (!is_name(read.name, true)) fail("not a name");
    const bool histogram = types_[current_] == "histogram";
    const bool belongs = read.name == current_ ||
                         (histogram && (read.name == current_ + "_bucket" || read.name == current_ + "_sum" ||
                                        read.name == current_ + "_count"));
    if (!belongs) fail("a sample outside its metric's group");
    if (line[at] == '{') at = labels(line, at + 1, read.labels);
    if (line[at] != ' ') fail("no space before the value");
    const std::string number = line.substr(at + 1);
    char* end = nullptr;
    read.value = number == "+Inf" ? INFINITY : std::strtod(number.c_str(), &end);
    if (end != nullptr && (end == number.c_str() || *end != '\0')) fail("not a number");
    for (const Sample& other : samples_)
      if (other.name == read.name && other.labels == read.labels) fail("the same sample twice");
    samples_.push_back(read);
  }

  std::size_t labels(const std::string& line, std::size_t at, std::map<std::string, std::string>& into) {
    while (at < line.size() && line[at] != '}') {
      const std::size_t equals = line.find("=\"", at);
      if (equals == std::string::npos) fail("no label value");
      const std::string name = line.substr(at, equals - at);
      if (!is_name(name, false)) fail("not a label name");
      std::string value;
      for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\') {
          ++at;
          if (at == line.size() || (line[at] != '\\' && line[at] != '"' && line[at] != 'n'))
            fail("bad escape");
          value += line[at] == 'n' ? '\n' : line[at];
        } else {
          value += line[at];
        }
      }
      if (at == line.size() || !into.emplace(name, value).second) fail("broken label");
      if (line[++at] == ',') ++at;
    }
    if (at >= line.size()) fail("labels do not end");
    return at + 1;
  }

  // Buckets grow, and the last one is +Inf and equals the count.
  void check_histogram(const std::string& name) const {
    std::map<std::map<std::string, std::string>, double> last, bound;
    for (const Sample& sample : samples_) {
      if (sample.name != name + "_bucket") continue;
      auto rest = sample.labels;
      const std::string le = rest.at("le");
      rest.erase("le");
      const double upper = le == "+Inf" ? INFINITY : std::stod(le);
      if (bound.contains(rest) && upper <= bound[rest])
        throw std::runtime_error(name + ": bounds do not grow");
      if (last.contains(rest) && sample.value < last[rest])
        throw std::runtime_error(name + ": counts shrink");
      bound[rest] = upper;
      last[rest] = sample.value;
    }
    if (last.empty()) throw std::runtime_error(name + ": no buckets");
    for (const auto& [rest, count] : last) {
      if (!std::isinf(bound[rest]) || value(name + "_count", rest) != count ||
          std::isnan(value(name + "_sum", rest)))
        throw std::runtime_error(name + ": +Inf, count and sum do not belong together");
    }
  }

  std::string line_, current_;
  std::set<std::string> helped_;
  std::map<std::string, std::string> types_;
  std::vector<Sample> samples_;
};

}  // namespace dsn::test
