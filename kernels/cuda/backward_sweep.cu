// One launch per block of layers: see backward_sweep.cuh.
#include "backward_sweep.cuh"

namespace napari_msd {
namespace {

template <class S, int nz, int sweep_pixels>
__global__ void __launch_bounds__(block_threads, nz == 1 ? 4 : 3)
backward_sweep_kernel(Network network, int64_t first_map, int32_t n_maps, int64_t first_channel,
                      const float *grad_logits, const float *output_weight, const float *weights, const Step *steps,
                      const S *deltas, float *gradients) {
  __shared__ BackwardMemory<nz> memory;
  pull_maps<S, nz, sweep_pixels>(network, first_map, n_maps, first_channel, blockIdx.z, grad_logits, output_weight,
                                 weights, steps, deltas, gradients, n_maps, memory,
                                 row_of(network.geometry, blockIdx.x), columns_of_thread(sweep_pixels),
                                 [] { wait_for_earlier_launches(); });
}

}  // namespace

template <class S>
void backward_sweep(const Network &network, int64_t first_map, int32_t n_maps, int64_t first_channel,
                    const float *grad_logits, const float *output_weight, const float *weights, const Step *steps,
                    const S *deltas, float *gradients, cudaStream_t stream) {
  const bool short_rows = network.geometry.width <= 2 * warp_pixels, flat = network.taps == 9;
  const RowGrid grid = row_grid(network.geometry, short_rows ? 2 : 4, eights(n_maps));
  const auto kernel = flat ? (short_rows ? backward_sweep_kernel<S, 1, 2> : backward_sweep_kernel<S, 1, 4>)
                           : (short_rows ? backward_sweep_kernel<S, 3, 2> : backward_sweep_kernel<S, 3, 4>);
  launch(kernel, grid.blocks, grid.threads, stream, network, first_map, n_maps, first_channel, grad_logits,
         output_weight, weights, steps, deltas, gradients);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                        \
  template void backward_sweep(const Network &, int64_t, int32_t, int64_t, const float *, const float *, \
                               const float *, const Step *, const S *, float *, cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
