// One layer of Eqs. 3 and 4, resolved:
//
//   z[q](p) = ReLU( bias[q] + sum over tap rows (a, b) of rows[q][a][b]( fold_zy(p + (a, b) d) )
//                           + sum over maps l of the block before this layer and taps t of
//                             weight[q][l][t] * z[l]( fold(p + t d) ) )
//
// rows hold what all maps outside the block give (forward_sweep.cu). Without them (null) all earlier maps are
// summed here: the direct form, for float64, for blocks that see few maps or reach too far.
//
// One thread per pixel of the whole batch; the read positions are the same for all maps and stay in registers; a
// chunk of weights is staged in shared memory, read by broadcast. Reads each map once per tap (neighbouring
// threads share them in L1), each row plane once per tap row, writes the new map once.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int staged_weights = 576;

template <class S, int nz>
__global__ void __launch_bounds__(block_threads)
forward_layer_kernel(Network network, Block block, int32_t layer, const Compute<S> *weight, const Compute<S> *bias,
                     const Step *steps, const float *rows, S *maps) {
  using T = Compute<S>;
  constexpr int taps = taps_of<nz>, maps_per_chunk = staged_weights / taps;
  __shared__ T chunk[maps_per_chunk * taps];
  const Geometry &g = network.geometry;
  const int64_t q = static_cast<int64_t>(layer) * network.width + blockIdx.y;
  const int64_t maps_before = network.maps_before(layer);
  const T *channel_weight = weight + network.weight_offset(q);
  const Place place = place_of_thread(g);
  const Step step = steps[q];
  int32_t offsets[taps];
  tap_offsets<nz>(g, step, place.z, place.y, place.x, offsets);
  S *image = maps + place.image * network.maps() * g.plane;

  T sum = bias[q];
  if (rows && place.inside) {
    const float *plane = rows + (place.image * 3 * nz * block.channels + (q - block.first_channel)) * g.plane + place.x;
#pragma unroll
    for (int a = 0; a < nz; ++a) {
      const int32_t z = nz == 1 ? 0 : fold(place.z + (a - 1) * step.z, g.depth, g.boundary);
#pragma unroll
      for (int b = 0; b < 3; ++b) {
        const int32_t y = fold(place.y + (b - 1) * step.y, g.height, g.boundary);
        if (z >= 0 && y >= 0) {
          sum += static_cast<T>(plane[(3 * a + b) * block.channels * g.plane + (z * g.height + y) * g.width]);
        }
      }
    }
  }
  for (int64_t first = rows ? network.maps_before(block.first_layer) : 0; first < maps_before; first += maps_per_chunk) {
    const int n = static_cast<int>(maps_before - first < maps_per_chunk ? maps_before - first : maps_per_chunk);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < taps * n; i += static_cast<int>(blockDim.x)) {
      chunk[i] = channel_weight[taps * first + i];
    }
    __syncthreads();
    if (!place.inside) continue;
    for (int l = 0; l < n; ++l) {
      const S *map = image + (first + l) * g.plane;
#pragma unroll
      for (int t = 0; t < taps; ++t) sum += chunk[taps * l + t] * (offsets[t] >= 0 ? load(map + offsets[t]) : T(0));
    }
  }
  // Written so that NaN stays NaN.
  if (place.inside) store(image + (network.in_channels + q) * g.plane + place.pixel, sum < T(0) ? T(0) : sum);
}

}  // namespace

template <class S>
void forward_layer(const Network &network, const Block &block, int32_t layer, const Compute<S> *weight,
                   const Compute<S> *bias, const Step *steps, const float *rows, S *maps, cudaStream_t stream) {
  const dim3 grid(blocks_for(network.geometry.batch * network.geometry.plane), static_cast<unsigned>(network.width));
  launch(network.taps == 9 ? forward_layer_kernel<S, 1> : forward_layer_kernel<S, 3>, grid, block_threads, stream,
         network, block, layer, weight, bias, steps, rows, maps);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                  \
  template void forward_layer(const Network &, const Block &, int32_t, const Compute<S> *, const Compute<S> *,     \
                              const Step *, const float *, S *, cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
