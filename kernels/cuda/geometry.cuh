// The boundary rule on the GPU: which pixel a tap reads, and which taps read a pixel.
//
// No halo is stored. A dilation d only matters modulo the period T of the mirrored row (T = 2 (size - 1) for
// reflect, 2 size for symmetric), because fold(y +- d) = fold(y +- d') for d' = d mod T. Taken with its sign,
// |d'| <= T / 2, so a position y + b d' leaves the image by at most one mirror image on either side. `zeros`
// needs no more than d' = min(d, size).
#pragma once

#include <cstdint>

#include "launch.cuh"
#include "napari_msd.h"
#include "storage.cuh"

namespace napari_msd {

struct Geometry {
  int32_t depth, height, width;  // depth 1 in 2-D
  int32_t boundary;
  int32_t reach_z, reach_y, reach_x;  // the largest |d'| of any channel
  int64_t plane;                      // depth * height * width
  int64_t batch;
};

// A channel's dilation along z, y and x, reduced as above (signed); z is 0 in 2-D.
struct Step {
  int32_t z, y, x;
};

inline int32_t reduced_dilation(int32_t dilation, int32_t size, int32_t boundary) {
  if (boundary == MSD_ZEROS) return dilation < size ? dilation : size;
  const int32_t period = boundary == MSD_SYMMETRIC ? 2 * size : 2 * (size - 1);
  if (period == 0) return 0;
  const int32_t rest = dilation % period;
  return rest > period / 2 ? rest - period : rest;
}

// The pixel that stands at `position`, at most one mirror image outside the row; -1 for none.
__device__ inline int32_t fold(int32_t position, int32_t size, int32_t boundary) {
  if (position >= 0 && position < size) return position;
  if (boundary == MSD_ZEROS) return -1;
  const int32_t edge = boundary == MSD_SYMMETRIC ? 1 : 0;
  return position < 0 ? -position - edge : 2 * size - 2 + edge - position;
}

// How many positions within `reach` of the row fold to `pixel`: itself and up to two mirror images.
__device__ inline int count_positions(int32_t pixel, int32_t size, int32_t reach, int32_t boundary) {
  if (boundary == MSD_ZEROS) return 1;
  const int32_t edge = boundary == MSD_SYMMETRIC ? 1 : 0;
  const int32_t before = -pixel - edge, after = 2 * size - 2 + edge - pixel;
  return 1 + (before < 0 && before >= -reach) + (after >= size && after < size + reach);
}

// Position number `i` of these: the pixel itself, then the image before the row, then that after it.
__device__ inline int32_t position(int i, int32_t pixel, int32_t size, int32_t reach, int32_t boundary) {
  if (i == 0) return pixel;
  const int32_t edge = boundary == MSD_SYMMETRIC ? 1 : 0;
  const int32_t before = -pixel - edge, after = 2 * size - 2 + edge - pixel;
  return i == 1 && before < 0 && before >= -reach ? before : after;
}

// Taps along z: 1 in 2-D, 3 in 3-D; kernels are compiled for both.
template <int nz>
constexpr int taps_of = 9 * nz;

// Offsets within an image of the pixels that a channel's taps read at (z, y, x); -1: zero.
template <int nz>
__device__ inline void tap_offsets(const Geometry &g, Step step, int32_t z, int32_t y, int32_t x, int32_t *offsets) {
#pragma unroll
  for (int a = 0; a < nz; ++a) {
    const int32_t from_z = nz == 1 ? 0 : fold(z + (a - 1) * step.z, g.depth, g.boundary);
#pragma unroll
    for (int b = 0; b < 3; ++b) {
      const int32_t from_y = fold(y + (b - 1) * step.y, g.height, g.boundary);
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        const int32_t from_x = fold(x + (c - 1) * step.x, g.width, g.boundary);
        const bool inside = from_z >= 0 && from_y >= 0 && from_x >= 0;
        offsets[9 * a + 3 * b + c] = inside ? (from_z * g.height + from_y) * g.width + from_x : -1;
      }
    }
  }
}

// The thread's pixel, counted through the whole batch.
struct Place {
  bool inside;
  int64_t image;
  int32_t pixel, z, y, x;
};

__device__ inline Place place_of(const Geometry &g, int64_t image, int32_t pixel, bool inside) {
  Place place;
  place.inside = inside;
  place.image = image;
  place.pixel = pixel;
  const int32_t row = pixel / g.width;
  place.x = pixel - row * g.width;
  place.z = row / g.height;
  place.y = row - place.z * g.height;
  return place;
}

// Number i of the whole batch; the first pixel of all, but not inside, beyond it.
__device__ inline Place place_in_batch(const Geometry &g, int64_t i) {
  const bool inside = i < g.batch * g.plane;
  const int64_t image = inside ? i / g.plane : 0;
  return place_of(g, image, inside ? static_cast<int32_t>(i - image * g.plane) : 0, inside);
}

__device__ inline Place place_of_thread(const Geometry &g) {
  return place_in_batch(g, static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x);
}

// Whether a step along a row neither leaves it from here nor brings a mirror image of this pixel into it.
__device__ inline bool far_from_edges(int32_t pixel, int32_t size, int32_t step) {
  const int32_t margin = (step < 0 ? -step : step) + 1;
  return pixel >= margin && pixel < size - margin;
}

// What the adjoint of a channel's gather sends to a pixel through its 9 taps in plane a of the filter:
//   q[3 b + c] = sum of delta(P - (a, b, c) step) over all positions P that fold to the pixel
// where that is inside the image. Far from the edges there is one P and nothing to test.
template <class S>
__device__ inline void adjoint_taps(const Geometry &g, Step step, int32_t a, const Place &place, const S *delta,
                                    Compute<S> (&q)[9]) {
  if (far_from_edges(place.y, g.height, step.y) && far_from_edges(place.x, g.width, step.x) &&
      (g.depth == 1 || far_from_edges(place.z, g.depth, step.z))) {
    const S *centre = delta + place.pixel - a * step.z * g.height * g.width;
#pragma unroll
    for (int b = 0; b < 3; ++b) {
#pragma unroll
      for (int c = 0; c < 3; ++c) q[3 * b + c] = load(centre - (b - 1) * step.y * g.width - (c - 1) * step.x);
    }
    return;
  }
#pragma unroll
  for (int t = 0; t < 9; ++t) q[t] = 0;
  const int n_z = count_positions(place.z, g.depth, g.reach_z, g.boundary);
  const int n_y = count_positions(place.y, g.height, g.reach_y, g.boundary);
  const int n_x = count_positions(place.x, g.width, g.reach_x, g.boundary);
#pragma unroll 1
  for (int i = 0; i < n_z * n_y * n_x; ++i) {
    const int32_t z = position(i / (n_y * n_x), place.z, g.depth, g.reach_z, g.boundary) - a * step.z;
    const int32_t at_y = position(i / n_x % n_y, place.y, g.height, g.reach_y, g.boundary);
    const int32_t at_x = position(i % n_x, place.x, g.width, g.reach_x, g.boundary);
    if (z < 0 || z >= g.depth) continue;
#pragma unroll
    for (int b = 0; b < 3; ++b) {
      const int32_t y = at_y - (b - 1) * step.y;
      const S *row = delta + (z * g.height + y) * g.width;
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        const int32_t x = at_x - (c - 1) * step.x;
        if (y >= 0 && y < g.height && x >= 0 && x < g.width) q[3 * b + c] += load(row + x);
      }
    }
  }
}

}  // namespace napari_msd
