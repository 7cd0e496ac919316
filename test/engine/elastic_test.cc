// SPDX-License-Identifier: Apache-2.0
// The elastic engine without LibTorch: against a plain computation, and against recorded outputs of the
// Once-for-All implementation.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/engine/elastic/kernels.h"
#include "dsn/engine/elastic/weights.h"
#include "dsn/engine/executor.h"
#include "dsn/supernet/ofa_import.h"
#include "fakes/drawn_weights.h"
#include "fakes/forced_target.h"
#include "fakes/temp_folder.h"
#include "plain_network.h"

namespace dsn {
namespace {

constexpr double kTolerance = 1e-5;  // of the largest logit; what a row read in the wrong place gives is more

// One super-network on disk.
struct Made {
  fakes::TempFolder folder;
  SearchSpace space;
  TensorFile file;
  explicit Made(SearchSpace s)
      : space(std::move(s)), file(fakes::draw_weights(folder / "w.safetensors", space)) {}
  [[nodiscard]] std::unique_ptr<Executor> executor() const { return make_executor("elastic", space, file); }
};

// The shipped space, narrow and with small images: every unit, quickly.
SearchSpace small(const std::string& name) {
  const SearchSpace whole = SearchSpace::load(name);
  Json document = SearchSpace::load(name, whole.in_channels() == 1 ? 0.0 : 0.25, 10).document();
  if (whole.in_channels() == 3) document["resolutions"] = {33, 40, 48};
  return SearchSpace::parse(document, name);
}

std::vector<LevelSpec> random_levels(const SearchSpace& space, int count) {
  Rng rng(17);
  std::vector<LevelSpec> levels{{space.smallest(), {}}, {space.largest(), {}}};
  for (int i = 0; i < count; ++i) {
    const SubnetConfig config = space.sample(rng);
    BnStats bn;
    if (i % 2 == 0) bn = fakes::draw_statistics(make_network(space, config), static_cast<std::uint64_t>(i));
    levels.push_back({config, bn});
  }
  return levels;
}

// Of the mapping of a file with that name, the part that this process has in memory.
double resident_part(const std::string& name) {
  std::ifstream maps("/proc/self/smaps");
  double size = 0, resident = 0;
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string key;
    double value = 0;
    words >> key;
    if (!key.ends_with(':')) {
      here = line.ends_with("/" + name);
    } else if (here && words >> value) {
      if (key == "Size:") size += value;
      if (key == "Rss:") resident += value;
    }
  }
  return size > 0 ? resident / size : -1;
}

}  // namespace

TEST_CASE(
    "ElasticExecutor: random sub-networks of every shipped space give a plain computation's logits, with "
    "every "
    "instruction set of this CPU") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const Made made(small(name));
    const std::vector<LevelSpec> levels = random_levels(made.space, 10);
    test::PlainNetwork plain(made.space, made.file);
    std::vector<std::vector<float>> images, expected;
    constexpr int kBatch = 3;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const Network net = make_network(made.space, levels[i].config);
      images.push_back(fakes::draw_images(net, kBatch, i));
      std::vector<float>& logits = expected.emplace_back();
      for (int n = 0; n < kBatch; ++n) {
        const auto one =
            plain.logits(levels[i].config, levels[i].bn,
                         images[i].data() + images[i].size() / kBatch * static_cast<std::size_t>(n));
        logits.insert(logits.end(), one.begin(), one.end());
      }
    }
    for (const std::string_view target : elastic::kernel_targets()) {
      CAPTURE(target);
      const fakes::ForcedTarget forced(target);
      const auto executor = made.executor();
      executor->prepare(levels);
      double worst = 0;
      for (const int threads : {1, 2, 4}) {
        executor->set_threads(threads);
        for (std::size_t i = levels.size(); i-- > 0;) {
          executor->activate(i);
          const int batch = 1 + static_cast<int>(i + static_cast<std::size_t>(threads)) % kBatch;
          const auto classes = static_cast<std::size_t>(made.space.classes());
          std::vector<float> logits(classes * static_cast<std::size_t>(batch));
          const auto n = static_cast<std::size_t>(batch);
          executor->infer(std::span(images[i]).first(images[i].size() / kBatch * n), batch, logits);
          const double off = fakes::relative_difference(logits, std::span(expected[i]).first(logits.size()));
          INFO(made.space.describe(levels[i].config) << " batch " << batch << " threads " << threads);
          CHECK(off <= kTolerance);
          worst = std::max(worst, off);
        }
      }
      MESSAGE(fmt::format("{} {}: largest difference over largest logit {:.1e}", name, target, worst));
    }
  }
}

TEST_CASE("ElasticExecutor: logits of Once-for-All's implementation, from its checkpoint") {
  const fs::path parity = fs::path(DSN_TEST_DATA) / "ofa-parity";
  Json document = SearchSpace::load("ofa-mbv3", 0.25, 10).document();
  document["resolutions"] = {48, 64, 96};
  const SearchSpace space = SearchSpace::parse(document, "parity");
  const fakes::TempFolder temp;
  const OfaImport import = import_ofa(parity / "ofa-mbv3-w0.25.zip.pth", space);
  write_safetensors(temp / "w.safetensors", import.views(), {});
  const auto executor = make_executor("elastic", space, TensorFile::open(temp / "w.safetensors"));
  const Json expected = read_json(parity / "ofa-mbv3-w0.25.expected.json");
  const TensorFile inputs = TensorFile::open(parity / "ofa-mbv3-w0.25.inputs.safetensors");
  REQUIRE(expected["cases"].size() == 8);
  for (const Json& one : expected["cases"]) {
    const SubnetConfig config = space.from_json(JsonView(one["config"], "expected"));
    executor->prepare({{config, {}}});
    executor->activate(0);
    CHECK(executor->network().params() == one["params"].get<std::int64_t>());
    std::vector<float> wanted;
    for (const Json& row : one["logits"]) {
      for (const Json& value : row) wanted.push_back(value.get<float>());
    }
    std::vector<float> logits(wanted.size());
    executor->infer(inputs.at(std::to_string(config.r)).floats(), static_cast<int>(one["logits"].size()),
                    logits);
    CHECK(fakes::relative_difference(logits, wanted) < kTolerance);
  }
}

TEST_CASE("ElasticExecutor::infer: the observer sees every unit once, in order") {
  const Made made(small("ofa-mbv3"));
  const auto executor = made.executor();
  executor->prepare({{made.space.smallest(), {}}});
  executor->activate(0);
  std::vector<std::size_t> seen;
  const UnitObserver observer = [&](std::size_t unit) { seen.push_back(unit); };
  std::vector<float> logits(10);
  executor->infer(fakes::draw_images(executor->network(), 1, 1), 1, logits, &observer);
  REQUIRE(seen.size() == executor->network().units.size());
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == i);
}

TEST_CASE("ElasticExecutor: wrong sizes, an unprepared level, foreign statistics and weights are refused") {
  const Made made(small("ofa-mbv3"));
  const auto executor = made.executor();
  std::vector<float> logits(10);
  const SubnetConfig smallest = made.space.smallest();
  const Network net = make_network(made.space, smallest);
  const std::vector<float> image = fakes::draw_images(net, 1, 1);
  CHECK_THROWS_AS(executor->infer(image, 1, logits), Error);  // nothing active
  executor->prepare({{smallest, {}}});
  CHECK_THROWS_AS(executor->activate(1), Error);
  executor->activate(0);
  CHECK_THROWS_AS(executor->infer(image, 2, logits), Error);
  CHECK_THROWS_AS(executor->infer(std::span(image).first(image.size() - 1), 1, logits), Error);
  CHECK_THROWS_AS(executor->infer(image, 1, std::span(logits).first(9)), Error);
  CHECK_THROWS_AS(executor->set_threads(0), Error);
  executor->infer(image, 1, logits);

  // Of another width, a part of them, and more than the level has: none is filled up or left out.
  const BnStats own = fakes::draw_statistics(net, 1);
  BnStats foreign = own, partial = own, more = own;
  foreign["blocks.0.depth.bn"] = {{1.F}, {1.F}};
  partial.erase("final_expand.bn");
  more["blocks.3.depth.bn"] = own.at("stem.bn");
  const std::vector<std::pair<BnStats, std::string>> refused{
      {foreign, "blocks.0.depth.bn"}, {partial, "final_expand.bn: found none"}, {more, "level 0"}};
  for (const auto& [stats, named] : refused) {
    try {
      executor->prepare({{smallest, stats}});
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::mismatch);
      CHECK(error.message().find(named) != std::string::npos);
    }
  }
  std::vector<float> again(10);
  executor->infer(image, 1, again);  // a failed prepare() leaves what was there
  CHECK(again == logits);

  try {
    (void)make_executor("elastic", SearchSpace::load("ofa-mbv3", 0.5, 10), made.file);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::mismatch);
    CHECK(error.message().find("found shape") != std::string::npos);
  }
}

TEST_CASE("Weights::shared: one packed copy for all who hold the same file, as long as one does; its size") {
  const Made made(SearchSpace::load("ofa-mbv3"));
  auto first = elastic::Weights::shared(made.space, made.file);
  CHECK(elastic::Weights::shared(made.space, TensorFile(made.file)) == first);
  CHECK(elastic::Weights::shared(made.space, TensorFile::open(made.folder / "w.safetensors")) != first);
  // Padding to blocks and the ready-made filters: little more than the largest sub-network's own weights.
  const auto largest = static_cast<double>(make_network(made.space, made.space.largest()).params() * 4);
  MESSAGE(fmt::format("ofa-mbv3: {} bytes, {:.3f} of the largest sub-network's parameters", first->bytes(),
                      static_cast<double>(first->bytes()) / largest));
  CHECK(static_cast<double>(first->bytes()) < 1.1 * largest);
  const std::weak_ptr<const elastic::Weights> gone = first;
  first.reset();
  CHECK(gone.expired());
}

TEST_CASE(
    "Weights: the pages of a file that was packed are given back, and read as before; copies of unaligned "
    "tensors are kept") {
  const Made made(SearchSpace::load("ofa-mbv3"));
  std::string bytes = read_file(made.folder / "w.safetensors");
  write_file_atomic(made.folder / "aligned.safetensors", bytes);
  // A space more in the header: no tensor is where its type wants it.
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.insert(sizeof header + header, 1, ' ');
  ++header;
  std::memcpy(bytes.data(), &header, sizeof header);
  write_file_atomic(made.folder / "unaligned.safetensors", bytes);
  for (const std::string name : {"aligned.safetensors", "unaligned.safetensors"}) {
    CAPTURE(name);
    const TensorFile file = TensorFile::open(made.folder / name);
    const auto content = [&] {
      std::map<std::string, std::string> hashes;
      for (const auto& [key, view] : file.tensors()) hashes[key] = sha256_hex(view.bytes);
      return hashes;
    };
    const auto before = content();
    CHECK(resident_part(name) > 0.9);
    const elastic::Weights weights(made.space, file);
    if (name == "aligned.safetensors") CHECK(resident_part(name) < 0.1);
    CHECK(content() == before);
  }
}

TEST_CASE("ElasticExecutor::memory: levels and threads add little to the weights, which executors share") {
  const Made made(small("ofa-mbv3"));
  const auto one = made.executor(), other = made.executor();
  one->prepare({{made.space.largest(), {}}});
  const MemoryUse single = one->memory();
  CHECK(single.weights == elastic::Weights::shared(made.space, made.file)->bytes());
  CHECK(other->memory().weights == single.weights);
  CHECK(other->memory().total() == single.weights);  // nothing prepared
  CHECK(single.levels > 0);
  CHECK(single.work > 0);
  one->prepare(random_levels(made.space, 6));
  const MemoryUse family = one->memory();
  CHECK(family.weights == single.weights);
  CHECK(family.levels > 4 * single.levels / 2);
  CHECK(family.levels < 8 * single.levels);  // none has more batch norms than the largest
  one->set_threads(3);
  CHECK(one->memory().work > family.work);
  CHECK(one->memory().levels == family.levels);
}

TEST_CASE("kernels_for: the environment forces an instruction set; unknown ones are refused by name") {
  const auto targets = elastic::kernel_targets();
  REQUIRE(!targets.empty());
  CHECK(elastic::kernels_for().name == targets.front());
  {
    const fakes::ForcedTarget forced(targets.back());
    CHECK(elastic::kernels_for().name == targets.back());
  }
  const fakes::ForcedTarget forced("mmx");
  try {
    (void)elastic::kernels_for();
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_usage);
    CHECK(error.message().find("DSN_ENGINE_TARGET: found 'mmx'") != std::string::npos);
  }
}

}  // namespace dsn
