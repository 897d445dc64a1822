// The final 1x1 convolution, Eq. 5: logits[k] = bias[k] + sum over all maps l of weight[k][l] * z[l].
//
// One thread per pixel and 8 classes, so that each map is read once per 8 outputs.
#pragma once

#include "network.cuh"

namespace napari_msd {

constexpr int classes_per_thread = 8, maps_at_once = 8;

// Classes first .. first + 7 of one pixel.
template <class S>
__device__ inline void output_pixel(const Network &network, const Row &row, int32_t x, int first, const S *maps,
                                    const Compute<S> *weight, const Compute<S> *bias, Compute<S> *logits) {
  using T = Compute<S>;
  const Geometry &g = network.geometry;
  const int left = network.n_classes - first;
  const int n = left < classes_per_thread ? left : classes_per_thread;
  const int64_t n_maps = network.maps();
  const S *map = maps + row.image * n_maps * g.plane + row.offset(g) + x;
  T sums[classes_per_thread];
#pragma unroll
  for (int k = 0; k < classes_per_thread; ++k) sums[k] = k < n ? bias[first + k] : T(0);
  // Several maps are asked for before the first is used.
  for (int64_t first_l = 0; first_l < n_maps; first_l += maps_at_once) {
    T values[maps_at_once];
#pragma unroll
    for (int i = 0; i < maps_at_once; ++i, map += g.plane) values[i] = first_l + i < n_maps ? load(map) : T(0);
#pragma unroll
    for (int k = 0; k < classes_per_thread; ++k) {
      if (k >= n) break;
      const T *w = weight + (first + k) * n_maps + first_l;
#pragma unroll
      for (int i = 0; i < maps_at_once; ++i) {
        if (first_l + i < n_maps) sums[k] += w[i] * values[i];
      }
    }
  }
  T *out = logits + (row.image * network.n_classes + first) * g.plane + row.offset(g) + x;
#pragma unroll
  for (int k = 0; k < classes_per_thread; ++k) {
    if (k < n) out[k * g.plane] = sums[k];
  }
}

}  // namespace napari_msd
