// SPDX-License-Identifier: Apache-2.0
// What both kernel files share; included once per instruction set, after highway.h.
#if defined(DSN_ELASTIC_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DSN_ELASTIC_SIMD_INL_H
#undef DSN_ELASTIC_SIMD_INL_H
#else
#define DSN_ELASTIC_SIMD_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace dsn::elastic {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kBlock>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
constexpr int kVecs = kBlock / kLanes;                                             // vectors per block
constexpr bool kManyRegisters = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON;  // 32 instead of 16

// Keeps `n` accumulators in registers: the loops over them are unrolled whole.
#define DSN_UNROLL _Pragma("GCC unroll 64")

template <class Tag, class Vec>
HWY_INLINE Vec activated(Tag d, Vec x, const Epilogue& e) {
  if (e.hswish) {
    const Vec gate = hn::Min(hn::Max(hn::Add(x, hn::Set(d, 3.0F)), hn::Zero(d)), hn::Set(d, 6.0F));
    return hn::Mul(hn::Mul(x, hn::Set(d, 1.0F / 6.0F)), gate);
  }
  return hn::Min(hn::Max(x, hn::Set(d, e.low)), hn::Set(d, e.high));
}

}  // namespace HWY_NAMESPACE
}  // namespace dsn::elastic
HWY_AFTER_NAMESPACE();

#endif
