// What makes a problem valid, and the text of every error: the same for all cores.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <new>

#include "napari_msd.h"

namespace napari_msd {

// A product of sizes >= 0. What no memory could hold is out of memory, not a small number that wrapped around: seven such
// products still add up.
inline int64_t product(std::initializer_list<int64_t> sizes) {
  constexpr int64_t most = int64_t{1} << 60;
  int64_t result = 1;
  for (const int64_t size : sizes) {
    if (size > 0 && result > most / size) throw std::bad_alloc();
    result *= size;
  }
  return result;
}

inline msd_error check_problem(const msd_problem *p) {
  if (!p) return MSD_BAD_ARGUMENT;
  const bool counts = p->in_channels >= 1 && p->depth >= 1 && p->width >= 1 && p->n_classes >= 1 && p->batch >= 0;
  const bool kinds = (p->ndim == 2 || p->ndim == 3) && p->boundary >= MSD_REFLECT && p->boundary <= MSD_ZEROS &&
                     (p->dtype == MSD_FLOAT32 || p->dtype == MSD_FLOAT64) && p->threads >= 1 &&
                     p->schedule >= MSD_STAGED && p->schedule <= MSD_COOPERATIVE;
  if (!counts || !kinds || !p->dilations) return MSD_BAD_ARGUMENT;
  const bool maps_known =
      p->map_dtype == MSD_MAPS_AS_DTYPE ||
      ((p->map_dtype == MSD_MAPS_BFLOAT16 || p->map_dtype == MSD_MAPS_FLOAT16) && p->dtype == MSD_FLOAT32);
  if (!maps_known) return MSD_BAD_ARGUMENT;
  int64_t pixels = 1;
  for (const int64_t size : p->sizes) {
    // Rows and positions are 32-bit inside; planes and batches are not.
    if (size < 1 || size > (int64_t{1} << 30) || (pixels *= size) > (int64_t{1} << 40)) return MSD_BAD_ARGUMENT;
  }
  if (p->sizes[0] * p->sizes[1] > (int64_t{1} << 30)) return MSD_BAD_ARGUMENT;
  if (p->ndim == 2 && (p->sizes[0] != 1 || p->dilations_z)) return MSD_BAD_ARGUMENT;
  // So that numbers of pixels and of parameters are far from the end of 64 bits; memory() looks after its own products.
  if (p->batch > (int64_t{1} << 50) / pixels) return MSD_BAD_ARGUMENT;
  const int64_t channels = static_cast<int64_t>(p->depth) * p->width;
  constexpr int64_t most_maps = int64_t{1} << 24;
  if (channels > most_maps || p->in_channels > most_maps || p->n_classes > most_maps) return MSD_BAD_ARGUMENT;
  constexpr int32_t most_dilation = int32_t{1} << 30;
  for (int64_t q = 0; q < channels; ++q) {
    if (p->dilations[q] < 1 || p->dilations[q] > most_dilation) return MSD_BAD_ARGUMENT;
    if (p->dilations_z && (p->dilations_z[q] < 1 || p->dilations_z[q] > most_dilation)) return MSD_BAD_ARGUMENT;
  }
  return MSD_OK;
}

// A hidden channel's dilation along Z in pixels; 0 in 2-D, where nothing is read along Z.
inline int32_t dilation_along_z(const msd_problem &p, int64_t q) {
  if (p.ndim == 2) return 0;
  return p.dilations_z ? p.dilations_z[q] : p.dilations[q];
}

inline const char *error_text(int32_t error) {
  switch (error) {
    case MSD_OK: return "no error";
    case MSD_BAD_ARGUMENT: return "a size, option or address is outside its range";
    case MSD_UNSUPPORTED: return "this compiled core does not serve such a network";
    case MSD_OUT_OF_MEMORY: return "out of memory";
    case MSD_NO_DEVICE: return "no NVIDIA GPU, or no driver for it, was found";
    case MSD_OLD_DRIVER: return "the GPU's driver is too old";
    case MSD_OLD_DEVICE: return "it has no code for this GPU";
    case MSD_DEVICE_FAILED: return "the GPU reported a failure";
    default: return "internal error";
  }
}

}  // namespace napari_msd
