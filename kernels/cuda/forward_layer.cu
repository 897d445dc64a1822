// One hidden layer, Eqs. 3 and 4 of Pelt & Sethian 2018:
//
//   z[q](y, x) = ReLU( bias[q] + sum over maps l and taps (b, c) of
//                      weight[q][l][b][c] * z[l]( fold(y + b d_q), fold(x + c d_q) ) ),
// in 3-D with taps along z as well.
//
// One thread per pixel of the batch, one grid row per channel of the layer. The 9 (27) read positions are the same
// for all maps and stay in registers; a chunk of weights is staged in shared memory, read by broadcast.
// Reads every earlier map once per tap (neighbouring threads share them in L1), writes the new map once.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int staged_weights = 576;

template <class T, int nz>
__global__ void __launch_bounds__(block_threads)
forward_layer_kernel(Network network, int32_t layer, const T *weight, const T *bias, const Step *steps, T *maps) {
  constexpr int taps = taps_of<nz>, maps_per_chunk = staged_weights / taps;
  __shared__ T chunk[maps_per_chunk * taps];
  const Geometry &g = network.geometry;
  const int64_t q = static_cast<int64_t>(layer) * network.width + blockIdx.y;
  const int64_t maps_before = network.maps_before(layer);
  const T *channel_weight = weight + network.weight_offset(q);
  const Place place = place_of_thread(g);
  int32_t offsets[taps];
  tap_offsets<nz>(g, steps[q], place.z, place.y, place.x, offsets);
  T *image = maps + place.image * network.maps() * g.plane;

  T sum = bias[q];
  for (int64_t first = 0; first < maps_before; first += maps_per_chunk) {
    const int n = static_cast<int>(maps_before - first < maps_per_chunk ? maps_before - first : maps_per_chunk);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < taps * n; i += static_cast<int>(blockDim.x)) {
      chunk[i] = channel_weight[taps * first + i];
    }
    __syncthreads();
    if (!place.inside) continue;
    for (int l = 0; l < n; ++l) {
      const T *map = image + (first + l) * g.plane;
#pragma unroll
      for (int t = 0; t < taps; ++t) sum += chunk[taps * l + t] * (offsets[t] >= 0 ? map[offsets[t]] : T(0));
    }
  }
  // Written so that NaN stays NaN.
  if (place.inside) image[(network.in_channels + q) * g.plane + place.pixel] = sum < T(0) ? T(0) : sum;
}

}  // namespace

template <class T>
void forward_layer(const Network &network, int32_t layer, const T *weight, const T *bias, const Step *steps,
                   T *maps, cudaStream_t stream) {
  const dim3 grid(blocks_for(network.geometry.batch * network.geometry.plane),
                  static_cast<unsigned>(network.width));
  launch(network.taps == 9 ? forward_layer_kernel<T, 1> : forward_layer_kernel<T, 3>, grid, block_threads, stream, network, layer, weight, bias, steps, maps);
}

template void forward_layer(const Network &, int32_t, const float *, const float *, const Step *, float *,
                            cudaStream_t);
template void forward_layer(const Network &, int32_t, const double *, const double *, const Step *, double *,
                            cudaStream_t);

}  // namespace napari_msd
