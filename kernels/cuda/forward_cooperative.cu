// A forward pass in one launch: what copy_input, forward_sweep, forward_layer and output_layer do, in the same order and
// with the same bits, on the rows of a band.
//
// Instead of launch after launch, each waiting for all of the last one, a block of threads waits for the bands whose rows its
// next layer reads. Before it writes the sums of a sweep, all bands of its images must have done the layers that read
// the last ones; it has multiplied meanwhile.
#include <cmath>

#include "cooperative.cuh"
#include "forward_layer.cuh"
#include "forward_sweep.cuh"
#include "output_layer.cuh"

namespace napari_msd {
namespace {

template <class S>
struct ForwardMemory {
  SweepMemory<S> sweep;
  Block block;
  Steps steps;  // of 8 channels of the block
  __device__ ForwardMemory() {}
};

template <class S>
struct ForwardArrays {
  const Compute<S> *input, *bias, *output_weight, *output_bias;
  const Step *steps;
  S *maps;
  float *rows;
  Compute<S> *logits;
};

// The sweep of all parts of the band.
template <class S, int nz>
__device__ inline void sweep_band(const Network &network, const Bands &bands, const Tiles &tiles, const Flags &flags,
                                  unsigned epoch, const PackedWeights<S> &weights, const ForwardArrays<S> &arrays,
                                  ForwardMemory<S> &memory) {
  using P = typename ProductsOf<S>::type;
  const Block &block = memory.block;
  const int32_t first_strip = static_cast<int32_t>(blockIdx.x) * bands.strips_per_band;
  const int32_t strips = min(bands.strips_per_band, bands.strips - first_strip);
  for (int32_t group = 0; group < block.groups(); ++group) {
    const int32_t first_j = group * block_channels, n = min(block.channels - first_j, block_channels);
    const bool halves = n > P::channels;
    __syncthreads();
    if (static_cast<int32_t>(threadIdx.x) < n)
      memory.steps.of[threadIdx.x] = arrays.steps[block.first_channel + first_j + static_cast<int32_t>(threadIdx.x)];
    const int32_t parts = strips * tiles.pieces * nz * (halves ? 2 : 1);
    for (int32_t number = 0; number < parts; ++number) {
      const auto part = [&] {
        unsigned rest = forgotten(static_cast<unsigned>(number));
        const unsigned channels = halves ? rest & 1 : 0;
        rest = halves ? rest >> 1 : rest;
        const unsigned first_tile = forgotten(blockIdx.x) * static_cast<unsigned>(bands.strips_per_band * tiles.pieces);
        return SweepPart{first_tile + rest / nz, rest % nz, channels};
      };
      __syncthreads();
      sweep_tile(
          network, block, tiles, weights, memory.steps, group, arrays.maps, arrays.rows, memory.sweep, part, [] {},
          [&] {
            // Where the last block is smaller, its images lie where other images did.
            if (number == 0 && group == 0)
              wait_for_images(bands, flags, epoch, block.layers < layers_per_block(network));
          });
    }
  }
}

template <class S, int nz, int n_pixels>
__global__ void __launch_bounds__(ProductsOf<S>::type::threads, ProductsOf<S>::type::blocks_per_multiprocessor)
forward_cooperative_kernel(const __grid_constant__ Network network, const __grid_constant__ Bands bands,
                           const __grid_constant__ Tiles tiles, const __grid_constant__ Flags flags,
                           const __grid_constant__ PackedWeights<S> weights,
                           const __grid_constant__ ForwardArrays<S> arrays) {
  wait_for_earlier_launches();
  ForwardMemory<S> &memory = *reinterpret_cast<ForwardMemory<S> *>(block_memory());
  const Geometry &g = network.geometry;
  unsigned epoch = flags.first_epoch;

  for_each_pixel(g, bands, [&](const Row &row, int32_t x) {
    const int32_t pixel = row.offset(g) + x;
    for (int32_t l = 0; l < network.in_channels; ++l) {
      store(arrays.maps + (row.image * network.maps() + l) * g.plane + pixel,
            arrays.input[(row.image * network.in_channels + l) * g.plane + pixel]);
    }
  });
  if (threadIdx.x == 0) memory.block = first_block(network);
  publish(flags, epoch);

  for (int32_t layer = 0; layer < network.depth;) {
    const Block &block = memory.block;
    const bool swept = layer > 0 && block.maps_outside >= least_to_sweep;
    if (swept) {
      sweep_band<S, nz>(network, bands, tiles, flags, epoch, weights, arrays, memory);
      publish(flags, epoch);
    }
    const int32_t end = layer + block.layers;
    for (; layer < end; ++layer) {
      const int32_t first_q = layer * network.width;
      wait_for_taps<nz>(g, bands, flags, epoch, arrays.steps, first_q, network.width);
      const Compute<S> *packed = weights.forward + packed_channels * block.forward_start;
      for_each_run(g, bands, warp_pixels * n_pixels, [&](const Row &row, const Columns &columns) {
        for (int32_t q = first_q; q < first_q + network.width; ++q) {
          resolve_pixels<S, nz, n_pixels>(network, block, layer, q, arrays.steps[q], packed, arrays.bias,
                                          swept ? arrays.rows : nullptr, arrays.maps, row, columns, [] {});
        }
      });
      publish(flags, epoch);
    }
    // publish is a barrier: all have done with the block.
    if (threadIdx.x == 0) memory.block = next_block(network, block);
    __syncthreads();
  }

  const bool right = waited_well(flags);
  for_each_pixel(g, bands, [&](const Row &row, int32_t x) {
    for (int first = 0; first < network.n_classes; first += classes_per_thread) {
      output_pixel(network, row, x, first, arrays.maps, arrays.output_weight, arrays.output_bias, arrays.logits);
    }
    if (right) return;
    for (int k = 0; k < network.n_classes; ++k) {
      arrays.logits[(row.image * network.n_classes + k) * g.plane + row.offset(g) + x] = static_cast<Compute<S>>(NAN);
    }
  });
}

// For images of a size: the kernel, and how many pixels of a layer a thread takes at a time.
template <class S>
struct Chosen {
  void (*kernel)(Network, Bands, Tiles, Flags, PackedWeights<S>, ForwardArrays<S>);
  int n_pixels;
};

template <class S>
Chosen<S> choose(const Network &network) {
  if (network.taps != 9) return {forward_cooperative_kernel<S, 3, 1>, 1};
  if (network.geometry.width <= 2 * warp_pixels) return {forward_cooperative_kernel<S, 1, 2>, 2};
  return {forward_cooperative_kernel<S, 1, 4>, 4};
}

}  // namespace

template <class S>
int32_t most_forward_bands(const Network &network, int32_t reach_x) {
  Tiles tiles;
  if (!plan_tiles(network.geometry, reach_x, tiles)) return 0;
  return most_together(reinterpret_cast<const void *>(choose<S>(network).kernel), ProductsOf<S>::type::threads,
                       sizeof(ForwardMemory<S>));
}

template <class S>
void forward_cooperative(const Network &network, int32_t reach_x, int32_t most_bands, const PackedWeights<S> &weights,
                         const Flags &flags, const Step *steps, const Compute<S> *input, const Compute<S> *bias,
                         const Compute<S> *output_weight, const Compute<S> *output_bias, S *maps, float *rows,
                         Compute<S> *logits, cudaStream_t stream) {
  Tiles tiles;
  if (!plan_tiles(network.geometry, reach_x, tiles)) return;  // most_forward_bands has said so
  const Chosen<S> chosen = choose<S>(network);
  const Bands bands = plan_bands(network.geometry, tiles.rows, warp_pixels * chosen.n_pixels, most_bands);
  const ForwardArrays<S> arrays = {input, bias, output_weight, output_bias, steps, maps, rows, logits};
  launch_together(chosen.kernel, static_cast<unsigned>(bands.count),
                  static_cast<unsigned>(ProductsOf<S>::type::threads), sizeof(ForwardMemory<S>), stream, network, bands,
                  tiles, flags, weights, arrays);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                               \
  template int32_t most_forward_bands<S>(const Network &, int32_t);                                             \
  template void forward_cooperative(const Network &, int32_t, int32_t, const PackedWeights<S> &, const Flags &, \
                                    const Step *, const Compute<S> *, const Compute<S> *, const Compute<S> *,   \
                                    const Compute<S> *, S *, float *, Compute<S> *, cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
