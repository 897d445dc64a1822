// Gradients of the maps of one layer, in gather form: every thread sums what all later channels send to its
// pixel, so nothing is added to memory twice and no order is left to chance.
//
//   G[l](p) = sum over classes k of output_weight[k][l] * grad_logits[k](p)
//           + sum over channels q of later layers, taps (b, c) (3-D: with z), and positions P that fold to p of
//             weight[q][l][b][c] * delta[q](P - (b, c) d_q)        (where that is inside the image)
//   delta[l] = G[l] where z[l] > 0, else 0.
//
// The positions P (unfold) are the pixel itself and, near a border, its mirror images: this is the exact
// adjoint of reading through fold. Inside the image there is one P and the loops over them cost nothing.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int weights_per_chunk = 288;

template <class T, int nz>
__global__ void __launch_bounds__(block_threads)
backward_data_kernel(Network network, int32_t layer, const T *grad_logits, const T *output_weight,
                     const T *weight, const Step *steps, const T *maps, T *deltas, T *grad_input) {
  constexpr int taps = taps_of<nz>, channels_per_chunk = weights_per_chunk / taps;
  __shared__ T chunk[channels_per_chunk * taps];
  const Geometry &g = network.geometry;
  const int64_t channels = network.channels(), n_maps = network.maps();
  const int64_t l = (layer < 0 ? 0 : network.maps_before(layer)) + blockIdx.y;
  const Place place = place_of_thread(g);
  int32_t at_z[3] = {0}, at_y[3], at_x[3];
  const int n_z = nz == 1 ? 1 : unfold(place.z, g.depth, g.reach_z, g.boundary, at_z);
  const int n_y = unfold(place.y, g.height, g.reach_y, g.boundary, at_y);
  const int n_x = unfold(place.x, g.width, g.reach_x, g.boundary, at_x);

  T sum = T(0);
  if (place.inside) {
    const T *gradient = grad_logits + place.image * network.n_classes * g.plane + place.pixel;
    for (int k = 0; k < network.n_classes; ++k) sum += output_weight[k * n_maps + l] * gradient[k * g.plane];
  }
  const T *image_deltas = deltas + place.image * channels * g.plane;
  for (int64_t first = static_cast<int64_t>(layer + 1) * network.width; first < channels;
       first += channels_per_chunk) {
    const int n = static_cast<int>(channels - first < channels_per_chunk ? channels - first : channels_per_chunk);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < taps * n; i += static_cast<int>(blockDim.x)) {
      chunk[i] = weight[network.weight_offset(first + i / taps) + taps * l + i % taps];
    }
    __syncthreads();
    if (!place.inside) continue;
    for (int i = 0; i < n; ++i) {
      const T *delta = image_deltas + (first + i) * g.plane;
      const Step step = steps[first + i];
      for (int u = 0; u < n_z; ++u) {
        for (int v = 0; v < n_y; ++v) {
          for (int h = 0; h < n_x; ++h) {
#pragma unroll
            for (int a = 0; a < nz; ++a) {
              const int32_t z = nz == 1 ? 0 : at_z[u] - (a - 1) * step.z;
              if (z < 0 || z >= g.depth) continue;
#pragma unroll
              for (int b = 0; b < 3; ++b) {
                const int32_t y = at_y[v] - (b - 1) * step.y;
                if (y < 0 || y >= g.height) continue;
#pragma unroll
                for (int c = 0; c < 3; ++c) {
                  const int32_t x = at_x[h] - (c - 1) * step.x;
                  if (x < 0 || x >= g.width) continue;
                  sum += chunk[taps * i + 9 * a + 3 * b + c] * delta[(z * g.height + y) * g.width + x];
                }
              }
            }
          }
        }
      }
    }
  }
  if (!place.inside) return;
  if (layer < 0) {
    grad_input[(place.image * network.in_channels + l) * g.plane + place.pixel] = sum;
    return;
  }
  const T value = maps[(place.image * n_maps + l) * g.plane + place.pixel];
  deltas[(place.image * channels + l - network.in_channels) * g.plane + place.pixel] = value <= T(0) ? T(0) : sum;
}

}  // namespace

template <class T>
void backward_data(const Network &network, int32_t layer, const T *grad_logits, const T *output_weight,
                   const T *weight, const Step *steps, const T *maps, T *deltas, T *grad_input,
                   cudaStream_t stream) {
  const dim3 grid(blocks_for(network.geometry.batch * network.geometry.plane),
                  static_cast<unsigned>(layer < 0 ? network.in_channels : network.width));
  launch(network.taps == 9 ? backward_data_kernel<T, 1> : backward_data_kernel<T, 3>, grid, block_threads, stream, network, layer, grad_logits, output_weight,
         weight, steps, maps, deltas, grad_input);
}

template void backward_data(const Network &, int32_t, const float *, const float *, const float *, const Step *,
                            const float *, float *, float *, cudaStream_t);
template void backward_data(const Network &, int32_t, const double *, const double *, const double *,
                            const Step *, const double *, double *, double *, cudaStream_t);

}  // namespace napari_msd
