// maps[image][l](p) = input[image][l](p) for the input's channels, rounded to the maps' type.
#include "network.cuh"

namespace napari_msd {
namespace {

template <class S>
__global__ void __launch_bounds__(block_threads)
copy_input_kernel(Network network, const Compute<S> *input, S *maps) {
  wait_for_earlier_launches();
  const int64_t image_numbers = network.in_channels * network.geometry.plane;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= network.geometry.batch * image_numbers) return;
  const int64_t image = i / image_numbers;
  store(maps + image * (network.maps() * network.geometry.plane - image_numbers) + i, input[i]);
}

}  // namespace

template <class S>
void copy_input(const Network &network, const Compute<S> *input, S *maps, cudaStream_t stream) {
  const dim3 grid(blocks_for(network.geometry.batch * network.in_channels * network.geometry.plane));
  launch(copy_input_kernel<S>, grid, block_threads, stream, network, input, maps);
}

#define NAPARI_MSD_INSTANTIATE(S) template void copy_input(const Network &, const Compute<S> *, S *, cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
