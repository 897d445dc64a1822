// The weights once more, in the order in which kernels bring them to registers or shared memory, so that those copy 16
// bytes at a time and work out no offset in a loop; see PackedWeights for the orders. What a channel does not see is zero.
//
// One block of threads per 8 channels and map (forward), and per 8 maps and channel (backward).
#include "network.cuh"

namespace napari_msd {
namespace {

template <class S>
__global__ void __launch_bounds__(block_threads)
pack_weights_kernel(Network network, const Compute<S> *weight, PackedWeights<S> packed, int64_t forward_rows) {
  wait_for_earlier_launches();
  using T = Compute<S>;
  const int thread = static_cast<int>(threadIdx.x), taps = network.taps, nz = taps / 9;
  Block block = first_block(network);
  if (blockIdx.x < forward_rows) {
    const int64_t row = blockIdx.x;
    while (row >= forward_end(network, block)) block = next_block(network, block);
    const int64_t run = (row - block.forward_start) / block.packed_maps;  // 8 channels, one plane of the filter
    const int64_t l = row - block.forward_start - run * block.packed_maps;
    const int a = static_cast<int>(run % nz), first_j = static_cast<int>(run / nz) * block_channels;
    for (int e = thread; e < packed_channels; e += static_cast<int>(block_threads)) {
      const int j = e / 12, t = e % 12, q = block.first_channel + first_j + j;
      const bool seen = t < 9 && first_j + j < block.channels && l < network.maps_before(q / network.width);
      const T value = seen ? weight[network.weight_offset(q) + taps * l + 9 * a + t] : T(0);
      packed.forward[packed_channels * row + e] = value;
      if (packed.matrices && t < 9) {
        const int64_t k = l % map_padding;
        store(packed.matrices + packed_matrix * (row - k) + (block_channels * t + j) * map_padding + k, value);
      }
    }
  } else {
    const int64_t row = blockIdx.x - forward_rows;
    int64_t first_map = 0, n = network.in_channels, first_q = 0, start = 0;
    if (row >= block.backward_start) {
      while (row >= backward_end(network, block)) block = next_block(network, block);
      first_map = block.maps_outside, n = block.channels, first_q = block.end_channel(), start = block.backward_start;
    }
    const int64_t group = (row - start) / (network.channels() - first_q);
    const int64_t q = first_q + row - start - group * (network.channels() - first_q);
    for (int e = thread; e < block_channels * taps; e += static_cast<int>(block_threads)) {
      const int t = e / block_channels;
      const int64_t m = group * block_channels + e % block_channels;
      const float value =
          m < n ? static_cast<float>(weight[network.weight_offset(q) + taps * (first_map + m) + t]) : 0.0f;
      packed.backward[block_channels * taps * row + e] = value;
    }
  }
}

}  // namespace

template <class S>
void pack_weights(const Network &network, const Compute<S> *weight, const PackedWeights<S> &packed,
                  cudaStream_t stream) {
  Block last = first_block(network);
  while (last.first_layer + last.layers < network.depth) last = next_block(network, last);
  const int64_t forward_rows = forward_end(network, last);
  const int64_t backward_rows = packed.backward ? backward_end(network, last) : 0;
  launch(pack_weights_kernel<S>, dim3(static_cast<unsigned>(forward_rows + backward_rows)), block_threads, stream,
         network, weight, packed, forward_rows);
}

#define NAPARI_MSD_INSTANTIATE(S) \
  template void pack_weights(const Network &, const Compute<S> *, const PackedWeights<S> &, cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
