// SPDX-License-Identifier: Apache-2.0
// Tensors with memory of their own, and files put together byte by byte.
#pragma once

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dsn/core/safetensors.h"
#include "support.h"

namespace dsn_test {

class Tensors {
 public:
  void add(const std::string& name, dsn::DType dtype, std::vector<std::int64_t> shape,
           const std::string& data) {
    std::vector<std::byte>& memory = memory_.emplace_back(data.size());
    if (!data.empty()) std::memcpy(memory.data(), data.data(), data.size());
    views_[name] = {dtype, std::move(shape), memory};
  }
  void add_floats(const std::string& name, std::vector<std::int64_t> shape,
                  const std::vector<float>& values) {
    add(name, dsn::DType::f32, std::move(shape),
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  [[nodiscard]] const std::map<std::string, dsn::TensorView>& views() const { return views_; }

 private:
  std::list<std::vector<std::byte>> memory_;
  std::map<std::string, dsn::TensorView> views_;
};

inline bool same_tensors(const std::map<std::string, dsn::TensorView>& a,
                         const std::map<std::string, dsn::TensorView>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.dtype == y.second.dtype && x.second.shape == y.second.shape &&
           std::equal(x.second.bytes.begin(), x.second.bytes.end(), y.second.bytes.begin(),
                      y.second.bytes.end());
  });
}

// Length, header, data: not checked in any way.
inline std::string raw_file(const std::string& header, const std::string& data) {
  std::string content;
  for (int i = 0; i < 8; ++i) content += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return content + header + data;
}

}  // namespace dsn_test
