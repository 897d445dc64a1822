#include "dispatch.h"

#include <cstdlib>
#include <cstring>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

namespace napari_msd {
namespace {

#if defined(__x86_64__) || defined(_M_X64)

// clang-cl, too, asks the processor itself: __builtin_cpu_supports needs a library that Microsoft's linker lacks.
#if defined(_MSC_VER) && defined(__clang__)
__attribute__((target("xsave")))
#endif
Variant best_variant() {
#if defined(_MSC_VER)
  int leaf[4];
  __cpuid(leaf, 0);
  if (leaf[0] < 7) return Variant::baseline;
  __cpuid(leaf, 1);
  const bool os_saves_registers = (leaf[2] >> 27) & 1, fma = (leaf[2] >> 12) & 1;
  if (!os_saves_registers) return Variant::baseline;
  const unsigned long long saved = _xgetbv(0);
  __cpuidex(leaf, 7, 0);
  const bool avx2 = (leaf[1] >> 5) & 1;
  const unsigned wanted = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // F, DQ, BW, VL
  const bool avx512 = (static_cast<unsigned>(leaf[1]) & wanted) == wanted;
  if (avx2 && fma && avx512 && (saved & 0xe6) == 0xe6) return Variant::avx512;
  if (avx2 && fma && (saved & 6) == 6) return Variant::avx2;
  return Variant::baseline;
#else
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Variant::baseline;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return avx512 ? Variant::avx512 : Variant::avx2;
#endif
}

Variant choose() {
  const Variant best = best_variant();
  const char *asked = std::getenv("NAPARI_MSD_CPU_VARIANT");
  if (!asked) return best;
  if (!std::strcmp(asked, "baseline")) return Variant::baseline;
  if (!std::strcmp(asked, "avx2") && best == Variant::avx512) return Variant::avx2;
  return best;
}

#else

Variant choose() { return Variant::baseline; }

#endif

}  // namespace

Variant chosen_variant() {
  static const Variant variant = choose();
  return variant;
}

const char *variant_name() {
#if defined(__aarch64__) || defined(_M_ARM64)
  return "NEON";
#else
  switch (chosen_variant()) {
    case Variant::avx512: return "AVX-512";
    case Variant::avx2: return "AVX2";
    default: return "baseline";
  }
#endif
}

template <>
const KernelTable<float> &kernels<float>() {
#if defined(__x86_64__) || defined(_M_X64)
  if (chosen_variant() == Variant::avx512) return avx512::float_kernels;
  if (chosen_variant() == Variant::avx2) return avx2::float_kernels;
#endif
  return baseline::float_kernels;
}

template <>
const KernelTable<double> &kernels<double>() {
#if defined(__x86_64__) || defined(_M_X64)
  if (chosen_variant() == Variant::avx512) return avx512::double_kernels;
  if (chosen_variant() == Variant::avx2) return avx2::double_kernels;
#endif
  return baseline::double_kernels;
}

}  // namespace napari_msd
