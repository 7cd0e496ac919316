// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/elastic/runner.h"

#include <algorithm>
#include <utility>

namespace dsn::elastic {

void Workspace::fit(const Needs& needs, int batch, int threads) {
  images = std::max(images, batch);
  const auto n = static_cast<std::size_t>(images);
  for (Floats& plane : planes) plane.reserve(needs.plane * n + kSlack);
  for (Floats& m : middle) m.reserve(needs.middle * n + kSlack);
  padded.reserve(needs.padded * n + kSlack);
  for (Floats* f : {&pooled, &hidden, &gates, &logits}) f->reserve(needs.vector * n + kSlack);
  rings.resize(std::max(rings.size(), static_cast<std::size_t>(threads)));
  for (Floats& ring : rings) ring.reserve(needs.ring + kSlack);
}

std::size_t Workspace::bytes() const noexcept {
  std::size_t total = 0;
  for (const Floats* f :
       {&planes[0], &planes[1], &middle[0], &middle[1], &padded, &pooled, &hidden, &gates, &logits})
    total += f->bytes();
  for (const Floats& ring : rings) total += ring.bytes();
  return total;
}

ConvCall call_of(const ConvStep& step, const std::ptrdiff_t* x_tap) {
  ConvCall call;
  call.x_tap = x_tap;
  call.in = step.in;
  call.kernel = step.kernel;
  call.w = step.w.data;
  call.w_panel = step.w.panel;
  call.scale = step.scale;
  call.bias = step.bias;
  call.out = step.out;
  call.epilogue = step.epilogue;
  return call;
}

void Runner::run(const LevelPlan& plan, const float* input, float* logits, const UnitObserver* observer) {
  const Network& net = plan.network;
  Map x{nullptr, net.in_channels, net.resolution};
  vector_ = nullptr;
  for (std::size_t i = 0; i < plan.units.size(); ++i) {
    const Unit& unit = net.units[i];
    const Map y{work_.planes[i % 2].data(), unit.out_channels, unit.out_size};
    if (i == 0) {
      stem(unit, plan.units[i].project, input, y);
    } else {
      run_unit(unit, plan.units[i], x, y);
    }
    x = y;
    if (observer != nullptr) (*observer)(i);
  }
  // [classes/16][batch][16] to rows.
  for (int image = 0; image < batch_; ++image) {
    for (int c = 0; c < net.classes; ++c)
      logits[image * net.classes + c] = vector_[(c / kBlock * batch_ + image) * kBlock + c % kBlock];
  }
}

void Runner::run_unit(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y) {
  switch (unit.kind) {
    case UnitKind::stem:
      break;  // first only: run() does it
    case UnitKind::stem_residual:
      dense(p.project, x, y, x.data);
      break;
    case UnitKind::stem_pool: {
      const Map full{work_.middle[0].data(), unit.out_channels, unit.in_size};
      dense(p.project, x, full, nullptr);
      max_pool(full, y);
      break;
    }
    case UnitKind::mbconv:
      mbconv(unit, p, x, y);
      break;
    case UnitKind::bottleneck:
      bottleneck(unit, p, x, y);
      break;
    case UnitKind::final_expand:
      pointwise(p.project, x, y, nullptr);
      break;
    case UnitKind::feature_mix:
    case UnitKind::classifier: {
      const float* from = vector_;
      if (!p.from_vector) {
        pool_map(x, work_.pooled.data());
        from = work_.pooled.data();
      }
      float* to = unit.kind == UnitKind::classifier ? work_.logits.data() : work_.hidden.data();
      vector(p.project, from, to);
      vector_ = to;
      break;
    }
  }
}

}  // namespace dsn::elastic
