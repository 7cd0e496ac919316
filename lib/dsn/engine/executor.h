// SPDX-License-Identifier: Apache-2.0
// Inference over the shared weights of a super-network: one Executor holds all of a family's levels and
// switches between them without rebuilding anything.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/space/bn_stats.h"
#include "dsn/space/network.h"

namespace dsn {

// A sub-network that an executor shall be able to run.
struct LevelSpec {
  SubnetConfig config;
  BnStats bn;  // empty: the super-network's shared statistics
};

// Bytes that an executor holds in memory, beside the file of weights that it maps.
struct MemoryUse {
  std::size_t weights = 0;  // the super-network's; counted in full by each of the executors that share them
  std::size_t levels = 0;   // what the prepared levels add, together
  std::size_t work = 0;     // room for activations; 0 where a library manages it
  [[nodiscard]] std::size_t total() const noexcept { return weights + levels + work; }
};

// Called after each unit of an inference with its index in Network::units, on the inferring thread. The
// profiler takes time there.
using UnitObserver = std::function<void(std::size_t unit)>;

// thread-bound: one thread calls, the executor may use more. infer() after prepare() and activate().
class Executor {
 public:
  virtual ~Executor() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;  // "torch", "elastic"

  // Makes `levels` ready to be activated; replaces what was prepared before. Throws Error{bad_input |
  // mismatch}.
  virtual void prepare(std::vector<LevelSpec> levels) = 0;
  // Switches to prepared level `index`; takes effect at the next infer(). Cheap: no copy of weights.
  virtual void activate(std::size_t index) = 0;
  [[nodiscard]] virtual const Network& network() const = 0;  // of the active level
  // Threads that infer() may use from the next call on, >= 1.
  virtual void set_threads(int threads) = 0;

  // input: float32 [batch, C, r, r], NCHW contiguous, r of the active level; logits: float32 [batch,
  // classes]. Throws Error{bad_usage} when a size does not fit.
  virtual void infer(std::span<const float> input, int batch, std::span<float> logits,
                     const UnitObserver* observer = nullptr) = 0;

  [[nodiscard]] virtual MemoryUse memory() const = 0;
};

// Executors of this build, best first: "elastic" is in every one.
[[nodiscard]] std::vector<std::string> executor_names();
// kind: a name above, or "auto" for the first that runs on `device`: "cpu" or "cuda[:N]". Throws
// Error{unsupported} naming what there is, or the build option. `weights` is kept (mapped) as long as the
// executor lives.
[[nodiscard]] std::unique_ptr<Executor> make_executor(const std::string& kind, const SearchSpace& space,
                                                      const TensorFile& weights,
                                                      const std::string& device = "cpu");

// Implemented by the torch library and put in place when it is linked (dsn_torch's
// register_torch_executor()).
using ExecutorFactory = std::function<std::unique_ptr<Executor>(const SearchSpace&, const TensorFile&,
                                                                const std::string& device)>;
void register_executor(std::string name, ExecutorFactory factory);

}  // namespace dsn
