// What the logits and all channels outside a block send to the maps of the block, each delta read once per 8 maps:
//
//   G[l](p) = sum over classes k of output_weight[k][l] * grad_logits[k](p)
//           + sum over channels q >= first_channel and taps t of weight[q][l][t] * Q[q][t](p)
//
// with Q the adjoint of the gather (adjoint_taps), made in registers: 9 loads serve 9 x 8 multiply-adds. A thread
// takes 2 pixels and 8 maps, so that one read of the weights (staged in shared memory, by broadcast) serves both.
//
// Pull, not push: the sums of a block are written once, instead of adding to the gradients of all earlier maps
// after every block. The matrix units would not win here: with 8 maps at a time they save multiply-adds, but
// the gathered taps would first have to go through shared memory, which then is the bound (kernels/README.md).
//
// Writes G as float32 (image, n_maps, pixel): the workspace of backward_layer.cu, or the input's gradient itself.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int maps_together = 8, pixels_per_thread = 2, channels_per_chunk = 8;

struct alignas(16) Weights {
  float of[channels_per_chunk][27][maps_together];
};

template <class S>
__global__ void __launch_bounds__(block_threads, 3)
backward_sweep_kernel(Network network, int64_t first_map, int32_t n_maps, int64_t first_channel,
                      const float *grad_logits, const float *output_weight, const float *weight, const Step *steps,
                      const S *deltas, float *gradients) {
  __shared__ Weights chunk;
  const Geometry &g = network.geometry;
  const int taps = network.taps, thread = static_cast<int>(threadIdx.x);
  const int64_t channels = network.channels(), all_maps = network.maps();
  const int first_m = static_cast<int>(blockIdx.y) * maps_together;
  const int n = n_maps - first_m < maps_together ? n_maps - first_m : maps_together;
  const int64_t l = first_map + first_m;
  Place places[pixels_per_thread];
  float sums[pixels_per_thread][maps_together];
#pragma unroll
  for (int i = 0; i < pixels_per_thread; ++i) {
    places[i] = place_in_batch(g, (static_cast<int64_t>(blockIdx.x) * pixels_per_thread + i) * block_threads + thread);
#pragma unroll
    for (int m = 0; m < maps_together; ++m) sums[i][m] = 0;
    const float *gradient = grad_logits + places[i].image * network.n_classes * g.plane + places[i].pixel;
    for (int k = 0; k < network.n_classes; ++k) {
      const float value = gradient[k * g.plane];
#pragma unroll
      for (int m = 0; m < maps_together; ++m) {
        if (m < n) sums[i][m] += output_weight[k * all_maps + l + m] * value;
      }
    }
  }
  for (int64_t first = first_channel; first < channels; first += channels_per_chunk) {
    const int n_channels = static_cast<int>(channels - first < channels_per_chunk ? channels - first : channels_per_chunk);
    __syncthreads();
    for (int e = thread; e < n_channels * maps_together * taps; e += static_cast<int>(block_threads)) {
      const int q = e / (maps_together * taps), m = e / taps % maps_together, t = e % taps;
      chunk.of[q][t][m] = m < n ? weight[network.weight_offset(first + q) + taps * (l + m) + t] : 0.0f;
    }
    __syncthreads();
    for (int q = 0; q < n_channels; ++q) {
      const Step step = steps[first + q];
      for (int a = 0; a < taps / 9; ++a) {
        float sent[pixels_per_thread][9];
#pragma unroll
        for (int i = 0; i < pixels_per_thread; ++i) {
          const S *delta = deltas + (places[i].image * channels + first + q) * g.plane;
          adjoint_taps(g, step, taps == 9 ? 0 : a - 1, places[i], delta, sent[i]);
        }
#pragma unroll
        for (int t = 0; t < 9; ++t) {
          const float4 *w = reinterpret_cast<const float4 *>(chunk.of[q][9 * a + t]);
          const float4 low = w[0], high = w[1];
#pragma unroll
          for (int i = 0; i < pixels_per_thread; ++i) {
            sums[i][0] += low.x * sent[i][t];
            sums[i][1] += low.y * sent[i][t];
            sums[i][2] += low.z * sent[i][t];
            sums[i][3] += low.w * sent[i][t];
            sums[i][4] += high.x * sent[i][t];
            sums[i][5] += high.y * sent[i][t];
            sums[i][6] += high.z * sent[i][t];
            sums[i][7] += high.w * sent[i][t];
          }
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < pixels_per_thread; ++i) {
    if (!places[i].inside) continue;
    float *out = gradients + (places[i].image * n_maps + first_m) * g.plane + places[i].pixel;
#pragma unroll
    for (int m = 0; m < maps_together; ++m) {
      if (m < n) out[m * g.plane] = sums[i][m];
    }
  }
}

}  // namespace

template <class S>
void backward_sweep(const Network &network, int64_t first_map, int32_t n_maps, int64_t first_channel,
                    const float *grad_logits, const float *output_weight, const float *weight, const Step *steps,
                    const S *deltas, float *gradients, cudaStream_t stream) {
  const int64_t pixels = network.geometry.batch * network.geometry.plane;
  const dim3 grid(blocks_for((pixels + pixels_per_thread - 1) / pixels_per_thread),
                  static_cast<unsigned>((n_maps + maps_together - 1) / maps_together));
  launch(backward_sweep_kernel<S>, grid, block_threads, stream, network, first_map, n_maps, first_channel,
         grad_logits, output_weight, weight, steps, deltas, gradients);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                  \
  template void backward_sweep(const Network &, int64_t, int32_t, int64_t, const float *, const float *,           \
                               const float *, const Step *, const S *, float *, cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
