// Gradients of the maps of one layer, resolved, in gather form: every thread sums what later channels send to its
// pixel, so nothing is added to memory twice and no order is left to chance.
//
//   G[l](p) = gradients[l](p)                                    (backward_sweep.cu: the logits, channels outside)
//           + sum over channels q of the block after this layer and taps t of weight[q][l][t] * Q[q][t](p)
//   delta[l] = G[l] where z[l] > 0, else 0
//
// with Q the adjoint of the gather (adjoint_taps). Without gradients (null) all later channels and the logits are
// summed here: the direct form, and that of the input (layer -1), whose G is written as it is.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int weights_per_chunk = 288;

template <class S>
__global__ void __launch_bounds__(block_threads, 6)
backward_layer_kernel(Network network, int64_t end_channel, Block block, int32_t layer, const Compute<S> *grad_logits,
                      const Compute<S> *output_weight, const Compute<S> *weight, const Step *steps, const S *maps,
                      const float *gradients, S *deltas, Compute<S> *grad_input) {
  using T = Compute<S>;
  __shared__ T chunk[weights_per_chunk];
  const Geometry &g = network.geometry;
  const int taps = network.taps, channels_per_chunk = weights_per_chunk / taps;
  const int64_t channels = network.channels(), n_maps = network.maps();
  const int64_t l = (layer < 0 ? 0 : network.maps_before(layer)) + blockIdx.y;
  const Place place = place_of_thread(g);

  T sum = T(0);
  if (place.inside && gradients) {
    const int64_t j = l - network.in_channels - block.first_channel;
    sum = static_cast<T>(gradients[(place.image * block.channels + j) * g.plane + place.pixel]);
  } else if (place.inside) {
    const T *gradient = grad_logits + place.image * network.n_classes * g.plane + place.pixel;
    for (int k = 0; k < network.n_classes; ++k) sum += output_weight[k * n_maps + l] * gradient[k * g.plane];
  }
  const S *image_deltas = deltas + place.image * channels * g.plane;
  for (int64_t first = static_cast<int64_t>(layer + 1) * network.width; first < end_channel;
       first += channels_per_chunk) {
    const int n = static_cast<int>(end_channel - first < channels_per_chunk ? end_channel - first : channels_per_chunk);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < taps * n; i += static_cast<int>(blockDim.x)) {
      chunk[i] = weight[network.weight_offset(first + i / taps) + taps * l + i % taps];
    }
    __syncthreads();
    if (!place.inside) continue;
    for (int i = 0; i < n; ++i) {
      for (int a = 0; a < taps / 9; ++a) {
        T sent[9];
        adjoint_taps(g, steps[first + i], taps == 9 ? 0 : a - 1, place, image_deltas + (first + i) * g.plane, sent);
#pragma unroll
        for (int t = 0; t < 9; ++t) sum += chunk[taps * i + 9 * a + t] * sent[t];
      }
    }
  }
  if (!place.inside) return;
  if (layer < 0) {
    grad_input[(place.image * network.in_channels + l) * g.plane + place.pixel] = sum;
    return;
  }
  const T value = load(maps + (place.image * n_maps + l) * g.plane + place.pixel);
  store(deltas + (place.image * channels + l - network.in_channels) * g.plane + place.pixel, value <= T(0) ? T(0) : sum);
}

}  // namespace

template <class S>
void backward_layer(const Network &network, const Block &block, int32_t layer, const Compute<S> *grad_logits,
                    const Compute<S> *output_weight, const Compute<S> *weight, const Step *steps, const S *maps,
                    const float *gradients, S *deltas, Compute<S> *grad_input, cudaStream_t stream) {
  const dim3 grid(blocks_for(network.geometry.batch * network.geometry.plane),
                  static_cast<unsigned>(layer < 0 ? network.in_channels : network.width));
  const int64_t end_channel = gradients ? block.end_channel() : network.channels();
  launch(backward_layer_kernel<S>, grid, block_threads, stream, network, end_channel, block, layer, grad_logits,
         output_weight, weight, steps, maps, gradients, deltas, grad_input);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                   \
  template void backward_layer(const Network &, const Block &, int32_t, const Compute<S> *, const Compute<S> *,     \
                               const Compute<S> *, const Step *, const S *, const float *, S *, Compute<S> *,       \
                               cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
