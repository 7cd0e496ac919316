// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/safetensors.h"

#include <cstring>

#include "safetensors_support.h"

using dsn::DType;
using dsn::ErrorCode;
using dsn::TensorFile;
using dsn::TensorView;
using dsn_test::contains;
using dsn_test::error_of;
using dsn_test::TempFolder;
using dsn_test::Tensors;

namespace {

// Message of opening a file made of `header` and `data_size` zero bytes.
std::string open_message(const std::string& header, std::size_t data_size) {
  const TempFolder folder;
  const auto file = folder.put("w.safetensors", dsn_test::raw_file(header, std::string(data_size, '\0')));
  const auto error = error_of([&] { (void)TensorFile::open(file); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(contains(error.message(), file.string()));
  return error.message();
}

std::string open_raw_message(const std::string& content) {
  const TempFolder folder;
  const auto file = folder.put("w.safetensors", content);
  const auto error = error_of([&] { (void)TensorFile::open(file); });
  CHECK(error.code() == ErrorCode::bad_input);
  return error.message();
}

}  // namespace

TEST_CASE("safetensors: what is written is read, with metadata, every dtype, a scalar and an empty tensor") {
  const TempFolder folder;
  Tensors tensors;
  tensors.add_floats("w", {2, 3}, {1, 2, 3, 4, 5, -6.5F});
  tensors.add("steps", DType::i64, {1}, std::string("\1\2\3\4\5\6\7\10", 8));
  tensors.add("mask", DType::u8, {3}, "abc");
  tensors.add_floats("scalar", {}, {7});
  tensors.add("empty", DType::u8, {0, 4}, "");
  const auto path = folder / "w.safetensors";
  dsn::write_safetensors(path, tensors.views(), {{"epoch", "3"}, {"note", "\"quoted\" é"}});
  const TensorFile file = TensorFile::open(path);
  CHECK(file.file() == path.string());
  CHECK(file.metadata() == std::map<std::string, std::string>{{"epoch", "3"}, {"note", "\"quoted\" é"}});
  CHECK(dsn_test::same_tensors(file.tensors(), tensors.views()));
  CHECK(file.has("w"));
  CHECK_FALSE(file.has("v"));
  CHECK(file.at("w").numel() == 6);
  CHECK(file.at("w").floats()[5] == -6.5F);
  CHECK(file.at("scalar").numel() == 1);
  CHECK(file.at("scalar").floats()[0] == 7);
  CHECK(file.at("empty").numel() == 0);
}

TEST_CASE("safetensors: a copy of a TensorFile keeps the data alive") {
  const TempFolder folder;
  Tensors tensors;
  tensors.add_floats("w", {1}, {2.5F});
  dsn::write_safetensors(folder / "w", tensors.views(), {});
  auto first = std::make_unique<TensorFile>(TensorFile::open(folder / "w"));
  const TensorFile second = *first;
  first.reset();
  CHECK(second.at("w").floats()[0] == 2.5F);
}

TEST_CASE("safetensors: the same input gives the same bytes, data starts at a multiple of 64") {
  const TempFolder folder;
  Tensors tensors;
  tensors.add_floats("b", {2}, {1, 2});
  tensors.add("a", DType::u8, {1}, "x");
  dsn::write_safetensors(folder / "1", tensors.views(), {{"k", "v"}});
  dsn::write_safetensors(folder / "2", tensors.views(), {{"k", "v"}});
  const std::string bytes = dsn::read_file(folder / "1");
  CHECK(bytes == dsn::read_file(folder / "2"));
  CHECK((bytes.size() - 9) % 64 == 0);
  // The layout is a promise: files are compared by their hashes.
  CHECK(contains(bytes, R"({"__metadata__":{"k":"v"},"a":{"data_offsets":[8,9],"dtype":"U8","shape":[1]},)"
                        R"("b":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}})"));
}

TEST_CASE("safetensors: no tensors at all is a file") {
  const TempFolder folder;
  dsn::write_safetensors(folder / "none", {}, {});
  CHECK(TensorFile::open(folder / "none").tensors().empty());
}

TEST_CASE("safetensors: a tensor that the file does not align can be used all the same") {
  const TempFolder folder;
  const float value = 3.25F;
  std::string data = "x";
  data.append(reinterpret_cast<const char*>(&value), sizeof(value));
  const auto path =
      folder.put("odd", dsn_test::raw_file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                           R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                           data));
  const TensorFile file = TensorFile::open(path);
  CHECK(file.at("b").floats()[0] == 3.25F);
  const TensorFile copy = file;
  CHECK(copy.at("b").floats()[0] == 3.25F);
}

TEST_CASE("TensorFile::at: an absent tensor names file and tensor; floats() refuses other dtypes") {
  const TempFolder folder;
  Tensors tensors;
  tensors.add("mask", DType::u8, {4}, "abcd");
  dsn::write_safetensors(folder / "w", tensors.views(), {});
  const TensorFile file = TensorFile::open(folder / "w");
  CHECK(error_of([&] { (void)file.at("stem.weight"); }).message() ==
        (folder / "w").string() + ": has no tensor \"stem.weight\"");
  CHECK(error_of([&] { (void)file.at("mask").floats(); }).code() == ErrorCode::bad_input);
}

TEST_CASE("TensorFile::open: files that are none are refused in words") {
  CHECK(error_of([] { (void)TensorFile::open("/no/such"); }).code() == ErrorCode::not_found);
  CHECK(contains(open_raw_message(""), "found 0 bytes, expected at least 8"));
  CHECK(contains(open_raw_message("1234567"), "found 7 bytes"));
  CHECK(contains(open_raw_message(std::string(8, '\xff')), "found a header of 18446744073709551615 bytes"));
  CHECK(contains(open_raw_message(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8)),
                 "found a header of 100000001 bytes"));
  CHECK(contains(open_raw_message(std::string("\x10\0\0\0\0\0\0\0{}", 10)), "truncated"));
  CHECK(contains(open_raw_message("\x89PNG and a picture, not weights"), "not a safetensors file"));
  CHECK(contains(open_message("{]", 0), "syntax error"));
  CHECK(contains(open_message("", 0), "syntax error"));
  CHECK(contains(open_message("[]", 0), "found an array of 0, expected a header that is an object"));
}

TEST_CASE("TensorFile::open: a wrong entry names tensor, found and expected") {
  CHECK(contains(open_message(R"({"w":3})", 0), "/w: found 3"));
  CHECK(contains(open_message(R"({"w":{"shape":[1],"data_offsets":[0,4]}})", 4), "/w/dtype: found nothing"));
  CHECK(contains(open_message(R"({"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", 2),
                 "/w/dtype: found \"F16\", expected F32, I64 or U8"));
  CHECK(contains(open_message(R"({"w":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1),
                 "/w/shape: found 1"));
  CHECK(contains(open_message(R"({"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1),
                 "/w/shape/0: found -1"));
  CHECK(
      contains(open_message(R"({"w":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1), "/w/shape/0"));
  CHECK(
      contains(open_message(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1), "/w/data_offsets"));
  CHECK(contains(open_message(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1),
                 "/w/data_offsets/0"));
  CHECK(contains(open_message(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1),
                 "/w/data_offsets/1: found 0, expected at least the begin, 1"));
  CHECK(contains(open_message(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
                 "tensor \"w\": found data of 4 bytes, expected 8 for F32 [2]"));
  CHECK(contains(open_message(R"({"__metadata__":{"k":3}})", 0), "/__metadata__/k: found 3, expected text"));
  CHECK(contains(open_message(R"({"__metadata__":[]})", 0), "/__metadata__: found an array of 0"));
}

TEST_CASE("TensorFile::open: shapes whose product overflows are refused") {
  // 2^32 * 2^32 is 0 in 64 bits, which would fit the empty data.
  CHECK(contains(
      open_message(R"({"w":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
      "/w/shape"));
  CHECK(
      contains(open_message(R"({"w":{"dtype":"I64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0),
               "/w/shape"));
  CHECK(
      contains(open_message(R"({"w":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0]}})", 0),
               "/w/shape/0"));
}

TEST_CASE("TensorFile::open: overlaps, holes, data outside the file, a tail and a name twice are refused") {
  const std::string a = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  CHECK(contains(open_message("{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6),
                 "tensor \"b\": found data at offset 2, expected 4: tensors overlap"));
  CHECK(contains(open_message("{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9),
                 "tensor \"b\": found data at offset 5, expected 4: a hole"));
  CHECK(contains(open_message("{" + a + "}", 3),
                 "tensor \"a\": found data up to offset 4, but the file ends at 3"));
  CHECK(contains(open_message("{" + a + "}", 6), "found 2 bytes after the last tensor, expected none"));
  CHECK(contains(open_message("{" + a + "," + a + "}", 4), "/a: found the key twice"));
}

TEST_CASE("write_safetensors: what does not fit is refused before a file appears") {
  const TempFolder folder;
  const auto refused = [&](const std::string& name, const TensorView& view) {
    const auto error = error_of([&] { dsn::write_safetensors(folder / "w", {{name, view}}, {}); });
    CHECK(error.code() == ErrorCode::failed);
    CHECK(folder.count() == 0);
    return error.message();
  };
  CHECK(contains(refused("w", {DType::f32, {2}, {}}), "tensor \"w\": found 0 bytes for F32 [2]"));
  CHECK(contains(refused("w", {DType::u8, {-1}, {}}), "tensor \"w\""));
  CHECK(contains(refused("__metadata__", {DType::u8, {0}, {}}), "__metadata__"));
  CHECK(contains(refused("\xff", {DType::u8, {0}, {}}), "not UTF-8"));
  const auto missing = error_of([&] { dsn::write_safetensors(folder / "no/w", {}, {}); });
  CHECK(missing.code() == ErrorCode::not_found);
}

TEST_CASE("tensors_sha256: depends on names, dtypes, shapes and values, not on the file") {
  const TempFolder folder;
  const auto hash = [](const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                       const std::string& data) {
    Tensors tensors;
    tensors.add(name, dtype, std::move(shape), data);
    return dsn::tensors_sha256(tensors.views());
  };
  const std::string base = hash("w", DType::u8, {8}, "abcdefgh");
  CHECK(base == hash("w", DType::u8, {8}, "abcdefgh"));
  CHECK(base != hash("v", DType::u8, {8}, "abcdefgh"));
  CHECK(base != hash("w", DType::u8, {2, 4}, "abcdefgh"));
  CHECK(base != hash("w", DType::f32, {2}, "abcdefgh"));
  CHECK(base != hash("w", DType::u8, {8}, "abcdefgH"));
  CHECK(base != dsn::tensors_sha256({}));
  Tensors tensors;
  tensors.add("w", DType::u8, {8}, "abcdefgh");
  dsn::write_safetensors(folder / "w", tensors.views(), {{"any", "metadata"}});
  CHECK(dsn::tensors_sha256(TensorFile::open(folder / "w").tensors()) == base);
}

TEST_CASE("dtype_name: as the format spells it") {
  CHECK(dsn::dtype_name(DType::f32) == "F32");
  CHECK(dsn::dtype_name(DType::i64) == "I64");
  CHECK(dsn::dtype_name(DType::u8) == "U8");
}
