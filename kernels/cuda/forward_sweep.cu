// One launch per block of layers: see forward_sweep.cuh.
#include "forward_sweep.cuh"

namespace napari_msd {
namespace {

template <class S>
__global__ void __launch_bounds__(ProductsOf<S>::type::threads, ProductsOf<S>::type::blocks_per_multiprocessor)
forward_sweep_kernel(Network network, Block block, Tiles tiles, PackedWeights<S> weights,
                     const __grid_constant__ Steps steps, int32_t first_group, const S *maps, float *rows) {
  __shared__ SweepMemory<S> shared;
  const auto part = [] { return SweepPart{forgotten(blockIdx.x), forgotten(blockIdx.y), forgotten(blockIdx.z)}; };
  sweep_tile(
      network, block, tiles, weights, steps, first_group, maps, rows, shared, part, [] { wait_for_earlier_launches(); },
      [] {});
}

}  // namespace

template <class S>
bool forward_sweep(const Network &network, const Block &block, int32_t reach_x, const PackedWeights<S> &weights,
                   const Step *steps, const S *maps, float *rows, cudaStream_t stream) {
  using P = typename ProductsOf<S>::type;
  Tiles tiles;
  if (!plan_tiles(network.geometry, reach_x, tiles)) return false;
  for (int32_t group = 0; group < block.groups(); ++group) {
    const int32_t first_j = group * block_channels;
    const int32_t n = block.channels - first_j < block_channels ? block.channels - first_j : block_channels;
    const dim3 grid(static_cast<unsigned>(network.geometry.batch * tiles.per_image),
                    static_cast<unsigned>(network.taps / 9),
                    static_cast<unsigned>((n + P::channels - 1) / P::channels));
    launch(forward_sweep_kernel<S>, grid, static_cast<unsigned>(P::threads), stream, network, block, tiles, weights,
           steps_of(steps + block.first_channel + first_j, n), group, maps, rows);
  }
  return true;
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                              \
  template bool forward_sweep(const Network &, const Block &, int32_t, const PackedWeights<S> &, const Step *, \
                              const S *, float *, cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
