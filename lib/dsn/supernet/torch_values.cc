// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/torch_values.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace dsn {
namespace {

struct TypeInfo {
  TorchDType dtype;
  std::string_view name;
  std::size_t size;
  bool floating;
};
constexpr TypeInfo kTypes[] = {
    {TorchDType::f16, "float16", 2, true}, {TorchDType::bf16, "bfloat16", 2, true},
    {TorchDType::f32, "float32", 4, true}, {TorchDType::f64, "float64", 8, true},
    {TorchDType::u8, "uint8", 1, false},   {TorchDType::i8, "int8", 1, false},
    {TorchDType::i16, "int16", 2, false},  {TorchDType::i32, "int32", 4, false},
    {TorchDType::i64, "int64", 8, false},  {TorchDType::boolean, "bool", 1, false},
};

const TypeInfo& info_of(TorchDType dtype) noexcept {
  return kTypes[static_cast<std::size_t>(dtype)];
}

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// IEEE 754 binary16 to binary32: exact.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  if (exponent == 0) {  // zero and subnormals: multiples of 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t widened = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

// Calls visit(pointer to element) for each element in row-major order.
template <typename Visit>
void for_each_element(const TorchTensor& tensor, const std::byte* storage, Visit visit) {
  const std::size_t size = size_bytes(tensor.dtype);
  const std::int64_t count = tensor.numel();
  std::vector<std::int64_t> shape, strides;
  for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
    if (tensor.shape[d] == 1) continue;  // its stride may be anything
    shape.push_back(tensor.shape[d]);
    strides.push_back(tensor.strides[d]);
  }
  std::vector<std::int64_t> index(shape.size(), 0);
  std::int64_t at = tensor.offset;
  for (std::int64_t i = 0; i < count; ++i) {
    visit(storage + static_cast<std::size_t>(at) * size);
    for (std::size_t d = index.size(); d-- > 0;) {
      at += strides[d];
      if (++index[d] < shape[d]) break;
      at -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

}  // namespace

std::string_view to_string(TorchDType dtype) noexcept {
  return info_of(dtype).name;
}

std::size_t size_bytes(TorchDType dtype) noexcept {
  return info_of(dtype).size;
}

bool is_floating(TorchDType dtype) noexcept {
  return info_of(dtype).floating;
}

std::int64_t TorchTensor::numel() const noexcept {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) count *= dimension;
  return count;
}

TorchValues gather(const TorchTensor& tensor, std::span<const std::byte> storage) {
  TorchValues values;
  const auto count = static_cast<std::size_t>(tensor.numel());
  const auto floats = [&](auto convert) {
    values.floats.reserve(count);
    for_each_element(tensor, storage.data(),
                     [&](const std::byte* at) { values.floats.push_back(convert(at)); });
  };
  const auto integers = [&](auto convert) {
    values.integers.reserve(count);
    for_each_element(tensor, storage.data(),
                     [&](const std::byte* at) { values.integers.push_back(convert(at)); });
  };
  switch (tensor.dtype) {
    case TorchDType::f16:
      floats([](const std::byte* at) { return half_to_float(load<std::uint16_t>(at)); });
      break;
    case TorchDType::bf16:
      floats([](const std::byte* at) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(at)) << 16);
      });
      break;
    case TorchDType::f32:
      floats([](const std::byte* at) { return load<float>(at); });
      break;
    case TorchDType::f64:
      floats([](const std::byte* at) { return static_cast<float>(load<double>(at)); });
      break;
    case TorchDType::u8:
      integers([](const std::byte* at) { return std::int64_t{load<std::uint8_t>(at)}; });
      break;
    case TorchDType::i8:
      integers([](const std::byte* at) { return std::int64_t{load<std::int8_t>(at)}; });
      break;
    case TorchDType::i16:
      integers([](const std::byte* at) { return std::int64_t{load<std::int16_t>(at)}; });
      break;
    case TorchDType::i32:
      integers([](const std::byte* at) { return std::int64_t{load<std::int32_t>(at)}; });
      break;
    case TorchDType::i64:
      integers([](const std::byte* at) { return load<std::int64_t>(at); });
      break;
    case TorchDType::boolean:
      integers([](const std::byte* at) { return std::int64_t{load<std::uint8_t>(at) != 0}; });
      break;
  }
  return values;
}

}  // namespace dsn
