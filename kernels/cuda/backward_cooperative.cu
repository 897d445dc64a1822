// The gradients of all maps in one launch: what backward_sweep and backward_layer do, in the same order and with the same
// bits, on the rows of a band, from the last layer to the first; gradients of parameters are launches of their own.
//
// A block of threads waits for the bands whose rows send to its own through the taps of the layer before. All that lies
// farther behind it has waited for already. Gradients of a block's maps are read by who wrote them; only deltas go from band
// to band, and each is written once.
#include <cmath>

#include "backward_layer.cuh"
#include "backward_sweep.cuh"
#include "cooperative.cuh"

namespace napari_msd {
namespace {

template <int nz>
struct PullMemory {
  BackwardMemory<nz> sweep;
  Block block;
  Steps steps;  // of the block's channels
};

template <class S>
struct BackwardArrays {
  const float *grad_logits, *output_weight;
  const Step *steps;
  const S *maps;
  float *gradients;             // of the maps of a block
  int64_t gradients_per_image;  // maps
  S *deltas;
  float *grad_input;  // or null
};

template <class S, int nz, int n_pixels>
__global__ void __launch_bounds__(block_threads, nz == 1 ? 4 : 3)
backward_cooperative_kernel(const __grid_constant__ Network network, const __grid_constant__ Bands bands,
                            const __grid_constant__ Block last_block, const __grid_constant__ Flags flags,
                            const __grid_constant__ PackedWeights<S> weights,
                            const __grid_constant__ BackwardArrays<S> arrays) {
  wait_for_earlier_launches();
  PullMemory<nz> &memory = *reinterpret_cast<PullMemory<nz> *>(block_memory());
  const Geometry &g = network.geometry;
  unsigned epoch = flags.first_epoch;
  const auto wait_for_layer = [&](int32_t layer) {
    wait_for_senders<nz>(g, bands, flags, epoch, arrays.steps, layer * network.width, network.width);
  };
  const auto sweep = [&](int64_t first_map, int32_t n_maps, int64_t first_channel, int64_t start, float *into,
                         int64_t per_image) {
    const float *packed = weights.backward + start * network.taps * block_channels;
    for (int32_t group = 0; group < eights(n_maps); ++group) {
      for_each_row(g, bands, warp_pixels * n_pixels, [&](const Row &row, const Columns &columns) {
        __syncthreads();  // the last pixels are done with the weights
        pull_maps<S, nz, n_pixels>(network, first_map, n_maps, first_channel, static_cast<unsigned>(group),
                                   arrays.grad_logits, arrays.output_weight, packed, arrays.steps, arrays.deltas, into,
                                   per_image, memory.sweep, row, columns, [] {});
      });
    }
  };

  if (threadIdx.x == 0) memory.block = last_block;
  __syncthreads();
  for (int32_t layer = network.depth - 1; layer >= 0;) {
    const Block &block = memory.block;
    if (static_cast<int32_t>(threadIdx.x) < min(block.channels, block_channels)) {
      memory.steps.of[threadIdx.x] = arrays.steps[block.first_channel + static_cast<int32_t>(threadIdx.x)];
    }
    if (layer + 1 < network.depth) wait_for_layer(layer + 1);
    sweep(block.maps_outside, block.channels, block.end_channel(), block.backward_start, arrays.gradients,
          arrays.gradients_per_image);
    __syncthreads();
    const int32_t first_layer = block.first_layer, last_layer = first_layer + block.layers - 1;
    for (; layer >= first_layer; --layer) {
      if (layer < last_layer) wait_for_layer(layer + 1);
      for_each_row(g, bands, warp_pixels * n_pixels, [&](const Row &row, const Columns &columns) {
        for (int64_t l = network.maps_before(layer); l < network.maps_before(layer) + network.width; ++l) {
          pull_layer<S, nz, n_pixels, false>(network, block.end_channel(), block, layer, l, nullptr, nullptr,
                                             weights.forward, memory.steps, arrays.steps, arrays.maps, arrays.gradients,
                                             arrays.gradients_per_image, arrays.deltas, nullptr, row, columns, [] {});
        }
      });
      publish(flags, epoch);
    }
    // publish is a barrier: all have done with the block.
    if (threadIdx.x == 0 && layer >= 0) memory.block = previous_block(network, block);
    __syncthreads();
  }
  if (arrays.grad_input) {
    wait_for_layer(0);
    sweep(0, network.in_channels, 0, 0, arrays.grad_input, network.in_channels);
    __syncthreads();
  }
  Row row;
  if (waited_well(flags) || !row_of_band(g, bands, static_cast<int32_t>(blockIdx.x), 0, row)) return;
  // One pixel of each channel: all gradients of parameters are sums over pixels.
  const int64_t channels = network.channels();
  for (int64_t q = threadIdx.x; q < channels; q += blockDim.x) {
    store(arrays.deltas + (row.image * channels + q) * g.plane + row.offset(g), NAN);
  }
  for (int32_t l = static_cast<int32_t>(threadIdx.x); arrays.grad_input && l < network.in_channels;
       l += static_cast<int32_t>(blockDim.x)) {
    arrays.grad_input[(row.image * network.in_channels + l) * g.plane + row.offset(g)] = NAN;
  }
}

// For images of a size: the kernel, and how many pixels a thread takes at a time.
template <class S>
struct ChosenBackward {
  void (*kernel)(Network, Bands, Block, Flags, PackedWeights<S>, BackwardArrays<S>);
  int n_pixels;
  size_t memory_bytes;

  // As many warps as a row has runs of pixels for, up to 4: the narrower images are, the more blocks fit on a multiprocessor.
  unsigned threads(const Network &network) const { return row_grid(network.geometry, n_pixels, 1).threads; }
};

template <class S>
ChosenBackward<S> choose_backward(const Network &network) {
  const bool short_rows = network.geometry.width <= 2 * warp_pixels;
  if (network.taps != 9) {
    if (short_rows) return {backward_cooperative_kernel<S, 3, 2>, 2, sizeof(PullMemory<3>)};
    return {backward_cooperative_kernel<S, 3, 4>, 4, sizeof(PullMemory<3>)};
  }
  if (short_rows) return {backward_cooperative_kernel<S, 1, 2>, 2, sizeof(PullMemory<1>)};
  return {backward_cooperative_kernel<S, 1, 4>, 4, sizeof(PullMemory<1>)};
}

}  // namespace

template <class S>
int32_t most_backward_bands(const Network &network) {
  const ChosenBackward<S> chosen = choose_backward<S>(network);
  return most_together(reinterpret_cast<const void *>(chosen.kernel), static_cast<int>(chosen.threads(network)),
                       chosen.memory_bytes);
}

template <class S>
void backward_cooperative(const Network &network, const Block &last_block, int32_t most_bands,
                          const PackedWeights<S> &weights, const Flags &flags, const Step *steps,
                          const float *grad_logits, const float *output_weight, const S *maps, float *gradients,
                          int64_t gradients_per_image, S *deltas, float *grad_input, cudaStream_t stream) {
  const ChosenBackward<S> chosen = choose_backward<S>(network);
  const Bands bands = plan_bands(network.geometry, 1, warp_pixels * chosen.n_pixels, most_bands);
  const BackwardArrays<S> arrays = {grad_logits, output_weight,       steps,  maps,
                                    gradients,   gradients_per_image, deltas, grad_input};
  launch_together(chosen.kernel, static_cast<unsigned>(bands.count), chosen.threads(network), chosen.memory_bytes,
                  stream, network, bands, last_block, flags, weights, arrays);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                      \
  template int32_t most_backward_bands<S>(const Network &);                                                            \
  template void backward_cooperative(const Network &, const Block &, int32_t, const PackedWeights<S> &, const Flags &, \
                                     const Step *, const float *, const float *, const S *, float *, int64_t, S *,     \
                                     float *, cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
