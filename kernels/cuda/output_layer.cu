// The final 1x1 convolution, Eq. 5: logits[k] = bias[k] + sum over all maps l of weight[k][l] * z[l].
//
// One thread per pixel and 8 classes, so that each map is read once per 8 outputs.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int classes_per_thread = 8, maps_at_once = 8;

template <class S>
__global__ void __launch_bounds__(block_threads)
output_layer_kernel(Network network, const S *maps, const Compute<S> *weight, const Compute<S> *bias,
                    Compute<S> *logits) {
  wait_for_earlier_launches();
  using T = Compute<S>;
  const Geometry &g = network.geometry;
  const Row row = row_of(g, blockIdx.x);
  const int32_t x = columns_of_thread(1).of_thread(0);
  if (x >= g.width) return;
  const int first = static_cast<int>(blockIdx.z) * classes_per_thread;
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

}  // namespace

template <class S>
void output_layer(const Network &network, const S *maps, const Compute<S> *weight, const Compute<S> *bias,
                  Compute<S> *logits, cudaStream_t stream) {
  const RowGrid grid = row_grid(network.geometry, 1, (network.n_classes + classes_per_thread - 1) / classes_per_thread);
  launch(output_layer_kernel<S>, grid.blocks, grid.threads, stream, network, maps, weight, bias, logits);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                             \
  template void output_layer(const Network &, const S *, const Compute<S> *, const Compute<S> *, Compute<S> *, \
                             cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
