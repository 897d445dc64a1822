// How long a cache line takes from one core to another, for benchmarks: it says whether the two share a cache.
#pragma once

#include <cstdint>

namespace napari_msd {

// Mean one-way time in nanoseconds of `rounds` round trips between this thread and a new one; 0 where none can be
// started, or where they would take longer than a tenth of a second (both on one core).
double measure_handover(int64_t rounds);

}  // namespace napari_msd
