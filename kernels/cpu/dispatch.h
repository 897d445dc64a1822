// Which inner loops this machine can run, decided once per process.
#pragma once

#include "kernel_table.h"

namespace napari_msd {

// NAPARI_MSD_CPU_VARIANT=baseline|avx2|avx512 lowers the choice (for tests and bug reports); a variant that
// this machine cannot run is never chosen.
enum class Variant { baseline, avx2, avx512 };

Variant chosen_variant();
const char *variant_name();

template <class T>
const KernelTable<T> &kernels();

}  // namespace napari_msd
