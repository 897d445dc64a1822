// One launch per layer: see forward_layer.cuh.
#include "forward_layer.cuh"

namespace napari_msd {
namespace {

template <class S, int nz, int n_pixels>
__global__ void __launch_bounds__(block_threads, sizeof(S) == 8          ? 2
                                                        : nz == 3       ? 3
                                                        : n_pixels == 4 ? 4
                                                                        : 7)
forward_layer_kernel(Network network, Block block, int32_t layer, int32_t first_q, const __grid_constant__ Steps steps,
                     const Compute<S> *weights, const Compute<S> *bias, const float *rows, S *maps) {
  const Row row = row_of(network.geometry, blockIdx.x);
  const int32_t q = first_q + static_cast<int32_t>(blockIdx.z);
  resolve_pixels<S, nz, n_pixels>(network, block, layer, q, steps.of[blockIdx.z], weights, bias, rows, maps, row,
                                  columns_of_thread(n_pixels), [] { wait_for_earlier_launches(); });
}

}  // namespace

template <class S>
void forward_layer(const Network &network, const Block &block, int32_t layer, const PackedWeights<S> &weights,
                   const Compute<S> *bias, const Step *steps, const float *rows, S *maps, cudaStream_t stream) {
  const Compute<S> *packed = weights.forward + packed_channels * block.forward_start;
  for (int32_t j = 0; j < network.width; j += block_channels) {
    const int32_t n = network.width - j < block_channels ? network.width - j : block_channels;
    const int32_t q = layer * network.width + j;
    const bool short_rows = network.geometry.width <= 2 * warp_pixels, flat = network.taps == 9;
    const RowGrid grid = row_grid(network.geometry, flat ? (short_rows ? 2 : 4) : 1, n);
    const auto kernel = flat ? (short_rows ? forward_layer_kernel<S, 1, 2> : forward_layer_kernel<S, 1, 4>)
                             : forward_layer_kernel<S, 3, 1>;
    launch(kernel, grid.blocks, grid.threads, stream, network, block, layer, q, steps_of(steps + q, n), packed, bias,
           rows, maps);
  }
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                    \
  template void forward_layer(const Network &, const Block &, int32_t, const PackedWeights<S> &, const Compute<S> *, \
                              const Step *, const float *, S *, cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
