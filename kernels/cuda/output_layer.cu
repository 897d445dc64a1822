// One launch: see output_layer.cuh.
#include "output_layer.cuh"

namespace napari_msd {
namespace {

template <class S>
__global__ void __launch_bounds__(block_threads)
output_layer_kernel(Network network, const S *maps, const Compute<S> *weight, const Compute<S> *bias,
                    Compute<S> *logits) {
  wait_for_earlier_launches();
  const Row row = row_of(network.geometry, blockIdx.x);
  const int32_t x = columns_of_thread(1).of_thread(0);
  if (x < network.geometry.width)
    output_pixel(network, row, x, static_cast<int>(blockIdx.z) * classes_per_thread, maps, weight, bias, logits);
}

}  // namespace

template <class S>
void output_layer(const Network &network, const S *maps, const Compute<S> *weight, const Compute<S> *bias,
                  Compute<S> *logits, cudaStream_t stream) {
  const RowGrid grid = row_grid(network.geometry, 1, (network.n_classes + classes_per_thread - 1) / classes_per_thread);
  launch(output_layer_kernel<S>, grid.blocks, grid.threads, stream, network, maps, weight, bias, logits);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                              \
  template void output_layer(const Network &, const S *, const Compute<S> *, const Compute<S> *, Compute<S> *, \
                             cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
