// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/torch_file.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "pickle_support.h"

namespace dsn {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

const fs::path kSeeds = fs::path(DSN_SOURCE_ROOT) / "test/fuzz/corpus/torch_file";
const fs::path kTorch = fs::path(DSN_TEST_DATA) / "torch";

// "w" as `object`, over one storage "0" of `values`.
std::string one_tensor(const std::string& object, const std::vector<float>& values, std::int64_t count = -1) {
  std::string content = legacy_file("\x80\x02}" + text("w") + object + "s.", "\x80\x02]" + text("0") + "a.");
  content += raw(count < 0 ? static_cast<std::int64_t>(values.size()) : count);
  for (const float value : values) content += raw(value);
  return content;
}

std::string refusal(const std::string& content) {
  try {
    const TorchFile file = TorchFile::parse(bytes_of(content), "file");
    for (const auto& [name, tensor] : file.tensors()) (void)file.values(name);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_input);
    CHECK(error.message().starts_with("file: "));
    CHECK(error.message().find('\n') == std::string::npos);
    return error.message();
  }
  return "accepted";
}

void check_refused(const std::string& content, const std::string& because) {
  const std::string message = refusal(content);
  CHECK_MESSAGE(message.find(because) != std::string::npos, message);
}

const std::vector<float> kSix{0, 1, 2, 3, 4, 5};

}  // namespace

TEST_CASE("TorchFile: small files of PyTorch in every format give the same tensors") {
  for (const char* name : {"small.legacy.pth", "small.zip.pth", "deflated.zip.pth"}) {
    CAPTURE(name);
    const TorchFile file = TorchFile::open(kSeeds / name);
    CHECK(file.format() == (std::string(name).find("zip") == std::string::npos ? "legacy" : "zip"));
    REQUIRE(file.tensors().size() == 3);
    const TorchTensor& a = file.tensors().at("a");
    CHECK(a.dtype == TorchDType::f32);
    CHECK(a.shape == std::vector<std::int64_t>{2, 3});
    CHECK(file.values("a").floats == kSix);
    CHECK(file.tensors().at("b").dtype == TorchDType::f16);
    CHECK(file.values("b").floats == std::vector<float>{1, 3, 5});
    CHECK(file.tensors().at("n").shape.empty());
    CHECK(file.values("n").integers == std::vector<std::int64_t>{3});
    CHECK(file.values("n").floats.empty());
  }
}

TEST_CASE(
    "TorchFile: state_dict is unwrapped, parameters and transposed views are read, what stands beside is "
    "not") {
  for (const char* name : {"nested.legacy.pth", "nested.p4.legacy.pth", "nested.p4.zip.pth"}) {
    CAPTURE(name);
    const TorchFile file = TorchFile::open(kSeeds / name);
    REQUIRE(file.tensors().size() == 1);
    CHECK(file.tensors().at("x").shape == std::vector<std::int64_t>{2, 3});
    CHECK(file.tensors().at("x").strides == std::vector<std::int64_t>{1, 2});
    CHECK(file.values("x").floats == std::vector<float>{0, 2, 4, 1, 3, 5});
  }
}

TEST_CASE("TorchFile: an optimizer's storages lie between the others in a legacy file") {
  const TorchFile file = TorchFile::open(kTorch / "tiny.training.legacy.pth");
  CHECK(file.tensors().size() == 115);
  CHECK(file.values("module.classifier.linear.bias").floats.size() == 4);
}

TEST_CASE("TorchFile: a tensor written by hand is read with its offset and strides") {
  const std::string content = one_tensor(tensor("0", 6, 1, "K\x02K\x02", "K\x01K\x03"), kSix);
  const TorchFile file = TorchFile::parse(bytes_of(content), "file");
  CHECK(file.values("w").floats == std::vector<float>{1, 4, 2, 5});
}

TEST_CASE("TorchFile: nested dicts are flattened, shared tensors have both names") {
  const std::string object = "\x80\x02}" + text("a") + "}" + text("w") + tensor("0", 6, 0, "K\x06", "K\x01") +
                             put(50) + "ss" + text("b") + "}" + "K\x07" + get(50) + "ss.";
  std::string content = legacy_file(object, "\x80\x02]" + text("0") + "a.");
  content += raw(std::int64_t{6});
  for (const float value : kSix) content += raw(value);
  const TorchFile file = TorchFile::parse(bytes_of(content), "file");
  REQUIRE(file.tensors().size() == 2);
  CHECK(file.values("a.w").floats == kSix);
  CHECK(file.values("b.7").floats == kSix);
}

TEST_CASE(
    "TorchFile: views that leave their storage, overflow or repeat it are refused with the tensor's name") {
  check_refused(one_tensor(tensor("0", 6, 1, "K\x02K\x03", "K\x03K\x01"), kSix),
                "tensor w: found shape [2, 3]");
  check_refused(one_tensor(tensor("0", 6, 0, "K\x02K\x03", "K\x04K\x01"), kSix),
                "outside its storage of 6 elements");
  check_refused(one_tensor(tensor("0", 6, -1, "K\x02", "K\x01"), kSix), "found -1 as an offset");
  check_refused(one_tensor(tensor("0", 6, 0, "J\xff\xff\xff\xff", "K\x01"), kSix), "found -1 as a shape");
  check_refused(one_tensor(tensor("0", 6, 3, "K\x02", "J\xff\xff\xff\xff"), kSix), "found -1 as strides");
  check_refused(one_tensor(tensor("0", 6, 0, "K\x02", "K\x01K\x01"), kSix), "2 strides for shape [2]");
  const std::string huge = "\x8a\x08" + raw(std::int64_t{1} << 62);
  check_refused(one_tensor(tensor("0", 6, 0, huge + huge, "K\x01K\x01"), kSix), "does not fit 63 bits");
  check_refused(one_tensor(tensor("0", 6, 0, "K\x02", huge), kSix), "outside its storage");
  check_refused(one_tensor(tensor("0", 6, 0, "K\x03K\x02", huge + huge), kSix), "outside its storage");
  // Stride 0 would make any amount of memory from one element.
  check_refused(one_tensor(tensor("0", 6, 0, huge, "K\x00"s), kSix), "over a storage of 6 elements");
  std::string ones;
  for (int i = 0; i < 17; ++i) ones += "K\x01";
  check_refused(one_tensor(tensor("0", 6, 0, ones, ones), kSix),
                "a shape of 17 dimensions, expected at most 16");
  // A dimension of 1 may have any stride, and nothing is nothing wherever it lies.
  CHECK(refusal(one_tensor(tensor("0", 6, 0, "K\x01K\x06", huge + "K\x01"), kSix)) == "accepted");
  CHECK(refusal(one_tensor(tensor("0", 6, 99, "K\x00"s, "K\x01"), kSix)) == "accepted");
}

TEST_CASE("TorchFile: a legacy file whose storages do not fit its tensors is refused") {
  const std::string good = tensor("0", 6, 0, "K\x06", "K\x01");
  REQUIRE(refusal(one_tensor(good, kSix)) == "accepted");
  check_refused(one_tensor(good, kSix, 5), "found storage 0 of 5 elements, expected 6");
  check_refused(one_tensor(good, {0, 1, 2, 3, 4}, 6), "truncated: storage 0 needs 24 bytes, found 20");
  check_refused(one_tensor(tensor("1", 6, 0, "K\x06", "K\x01"), kSix),
                "found storage 0 that the object does not name");
  check_refused(legacy_file("\x80\x02}" + text("w") + good + "s.", "\x80\x02]."),
                "tensor w: its storage 0 is not in the file");
  check_refused(legacy_file("\x80\x02}" + text("w") + good + "s.", "K\x01."),
                "expected the list of storages");
  check_refused(legacy_file("\x80\x02}" + text("w") + good + "s.",
                            "](K\x01"
                            "e."),
                "found storage  that the object does not name");
  check_refused(legacy_file("\x80\x02}.", "]."), "holds no tensors");
  check_refused(legacy_file("\x80\x02].", "]."), "found a list, expected a dict of tensors");
  const std::string twice =
      "\x80\x02}" + text("v") + tensor("0", 7, 0, "K\x06", "K\x01") + "s" + text("w") + good + "s.";
  check_refused(legacy_file(twice, "]."), "found storage 0 as 7 float32 and as 6 float32");
}

TEST_CASE("TorchFile: dicts that multiply names or nest without end are refused") {
  const std::string good = tensor("0", 6, 0, "K\x06", "K\x01");
  check_refused(legacy_file("}" + text("a") + "}" + put(9) + "s" + text("b") + get(9) + "s.", "]."),
                "b: found a dict that is already elsewhere");
  check_refused(legacy_file("}" + put(9) + text("a") + get(9) + "s.", "]."),
                "a: found a dict that is already elsewhere");
  std::string deep = "}";
  for (int i = 0; i < 20; ++i) deep = "}" + text("k") + deep + "s";
  check_refused(legacy_file(deep + ".", "]."), "nested deeper than 16");
  check_refused(legacy_file("}" + text(std::string(2000, 'k')) + good + "s.", "]."),
                "found a name of 1025 bytes");
}

TEST_CASE("TorchFile: code is refused by name, wherever in a legacy file it stands") {
  const std::string evil = global("os", "system") + "(" + text("true") + "tR.";
  check_refused(legacy_file(evil, "]."), "found global os.system");
  check_refused(legacy_file("}" + text("w") + tensor("0", 1, 0, "K\x01", "K\x01") + "s.", evil),
                "found global os.system");
  check_refused("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03." + evil,
                "found global os.system");
  // Not even containers of other kinds are called where no tensors are.
  check_refused(legacy_file("}" + text("w") + tensor("0", 1, 0, "K\x01", "K\x01") + "s.",
                            global("collections", "OrderedDict") + ")R."),
                "found global collections.OrderedDict");
}

TEST_CASE("TorchFile: a zip bomb is refused before it is unpacked") {
  const TorchFile file = TorchFile::open(kTorch / "bomb.zip.pth");
  REQUIRE(file.tensors().at("w").numel() == 1 << 19);
  check_refused(read_file(kTorch / "bomb.zip.pth"), "said to unpack to 2097152: refused as a zip bomb");
}

TEST_CASE("TorchFile: a pickled module is refused") {
  const std::string module =
      "(" + text("module") + text("Net") + text("net.py") + text("class Net: pass") + "tQ";
  check_refused(legacy_file("}" + text("net") + module + "s.", "]."),
                "a persistent object that is not a storage");
  check_refused(legacy_file(global("models.net", "Net") + ")\x81.", "]."), "found global models.net.Net");
}

TEST_CASE("TorchFile: big-endian, foreign and empty files are told apart") {
  check_refused(read_file(kTorch / "big-endian.zip.pth"), "found byte order 'big', expected little");
  std::string content = one_tensor(tensor("0", 6, 0, "K\x06", "K\x01"), kSix);
  std::string big = content;
  big.replace(big.find("\x88s."), 1, "\x89");
  check_refused(big, "found big-endian tensors");
  check_refused("", "found an empty file, expected a checkpoint of torch.save()");
  check_refused("<!DOCTYPE html>", "found a file that starts with '<!DOCTYPE html>'");
  content.replace(content.find("M\xe9\x03"), 3, "M\xe8\x03");
  check_refused(content, "found another protocol than 1001");
}

TEST_CASE("TorchFile: seeds cut after any byte are refused, whatever the format") {
  for (const char* name : {"small.legacy.pth", "small.zip.pth", "nested.p4.zip.pth"}) {
    const std::string whole = read_file(kSeeds / name);
    REQUIRE(refusal(whole) == "accepted");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(name);
      CAPTURE(size);
      CHECK(refusal(whole.substr(0, size)) != "accepted");
    }
  }
}

TEST_CASE(
    "TorchFile: a zip archive with a storage missing, short, damaged or of another byte order is refused") {
  const std::string whole = read_file(kSeeds / "small.zip.pth");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string content = whole;
    for (std::size_t at = 0; (at = content.find(from, at)) != std::string::npos; at += to.size())
      content.replace(at, from.size(), to);
    return content;
  };
  REQUIRE(whole.find("/data/0") != std::string::npos);
  check_refused(replaced("/data/0", "/dato/0"), "its storage 0 is not in the zip archive");
  check_refused(replaced("/data.pkl", "/dato.pkl"), "found a zip archive without data.pkl");
  // A value of the stored data changed: the checksum tells.
  const float four = 4;
  check_refused(replaced(raw(four), raw(four + 1)), "damaged: CRC error");
}

}  // namespace dsn
