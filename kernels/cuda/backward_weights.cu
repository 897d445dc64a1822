// Gradients of all parameters:
//
//   grad_weight[q][l][t] = sum over images and pixels p of delta[q](p) * z[l]( read position of tap t at p )
//   grad_bias[q]         = sum of delta[q];   the 1x1 convolution's likewise, with one tap.
//
// A block takes one channel q, four maps l and every `partials`-th row chunk of the batch; its threads' sums
// meet in shared memory and are added in a fixed order, in double, into one partial result per block;
// reduce_partials adds those up. No atomics: the same input gives the same bits.
#include "network.cuh"

namespace napari_msd {
namespace {

// Sums of so many maps stay in registers: 36 with 9 taps, 27 with 27.
template <int nz>
constexpr int maps_per_block = nz == 1 ? 4 : 1;

// Thread v adds up the block's values number v, in the threads' order.
template <class T, int count>
__device__ double block_sum(const T *values, T *shared) {
  const int thread = static_cast<int>(threadIdx.x), stride = static_cast<int>(block_threads) + 1;
  for (int v = 0; v < count; ++v) shared[v * stride + thread] = values[v];
  __syncthreads();
  double sum = 0;
  if (thread < count) {
    for (int i = 0; i < static_cast<int>(block_threads); ++i) sum += static_cast<double>(shared[thread * stride + i]);
  }
  return sum;
}

template <class T, int nz>
__global__ void __launch_bounds__(block_threads)
backward_weights_kernel(Network network, SumPlan plan, const T *maps, const T *deltas, const Step *steps,
                        double *partials, int64_t stride) {
  constexpr int taps = taps_of<nz>, n_maps = maps_per_block<nz>, values = n_maps * taps + 1;
  __shared__ T shared[values * (block_threads + 1)];
  const Geometry &g = network.geometry;
  const int64_t q = blockIdx.x, first_map = static_cast<int64_t>(blockIdx.z) * n_maps;
  const int64_t left = network.maps_before(q / network.width) - first_map;
  if (left <= 0) return;  // the whole block
  const int n = static_cast<int>(left < n_maps ? left : n_maps);
  const Step step = steps[q];
  T sums[values];
#pragma unroll
  for (int v = 0; v < values; ++v) sums[v] = T(0);

  for (int64_t unit = blockIdx.y; unit < plan.units; unit += plan.partials) {
    const int64_t image = unit / plan.units_per_image;
    const int32_t first_row = static_cast<int32_t>(unit - image * plan.units_per_image) * plan.rows_per_unit;
    const int32_t last_row = first_row + plan.rows_per_unit < g.depth * g.height ? first_row + plan.rows_per_unit : g.depth * g.height;
    const T *delta = deltas + (image * network.channels() + q) * g.plane;
    const T *map = maps + (image * network.maps() + first_map) * g.plane;
    for (int32_t p = first_row * g.width + static_cast<int32_t>(threadIdx.x); p < last_row * g.width;
         p += static_cast<int32_t>(blockDim.x)) {
      int32_t offsets[taps];
      const int32_t row = p / g.width, z = nz == 1 ? 0 : row / g.height;
      tap_offsets<nz>(g, step, z, row - z * g.height, p - row * g.width, offsets);
      const T value = delta[p];
      sums[values - 1] += value;
#pragma unroll
      for (int l = 0; l < n_maps; ++l) {
        if (l >= n) break;
        const T *plane = map + l * g.plane;
#pragma unroll
        for (int t = 0; t < taps; ++t) {
          if (offsets[t] >= 0) sums[taps * l + t] += value * plane[offsets[t]];
        }
      }
    }
  }
  const double sum = block_sum<T, values>(sums, shared);
  const int thread = static_cast<int>(threadIdx.x);
  double *partial = partials + blockIdx.y * stride;
  if (thread < taps * n) partial[network.weight_offset(q) + taps * first_map + thread] = sum;
  if (thread == values - 1 && first_map == 0) partial[network.weight_offset(network.channels()) + q] = sum;
}

template <class T>
__global__ void __launch_bounds__(block_threads)
backward_output_weights_kernel(Network network, SumPlan plan, const T *maps, const T *grad_logits,
                               double *partials, int64_t stride) {
  __shared__ T shared[2 * (block_threads + 1)];
  const Geometry &g = network.geometry;
  const int64_t l = blockIdx.x, k = blockIdx.z;
  T sums[2] = {T(0), T(0)};
  for (int64_t unit = blockIdx.y; unit < plan.units; unit += plan.partials) {
    const int64_t image = unit / plan.units_per_image;
    const int32_t first_row = static_cast<int32_t>(unit - image * plan.units_per_image) * plan.rows_per_unit;
    const int32_t last_row = first_row + plan.rows_per_unit < g.depth * g.height ? first_row + plan.rows_per_unit : g.depth * g.height;
    const T *gradient = grad_logits + (image * network.n_classes + k) * g.plane;
    const T *map = maps + (image * network.maps() + l) * g.plane;
    for (int32_t p = first_row * g.width + static_cast<int32_t>(threadIdx.x); p < last_row * g.width;
         p += static_cast<int32_t>(blockDim.x)) {
      sums[0] += gradient[p] * map[p];
      sums[1] += gradient[p];
    }
  }
  const double sum = block_sum<T, 2>(sums, shared);
  double *output = partials + blockIdx.y * stride + network.weight_offset(network.channels()) + network.channels();
  if (threadIdx.x == 0) output[k * network.maps() + l] = sum;
  if (threadIdx.x == 1 && l == 0) output[network.n_classes * network.maps() + k] = sum;
}

}  // namespace

SumPlan plan_sums(const Geometry &geometry) {
  constexpr int64_t pixels_per_unit = 4096;
  SumPlan plan;
  const int64_t rows = (pixels_per_unit + geometry.width - 1) / geometry.width;
  const int32_t all_rows = geometry.depth * geometry.height;
  plan.rows_per_unit = static_cast<int32_t>(rows < all_rows ? rows : all_rows);
  plan.units_per_image = (all_rows + plan.rows_per_unit - 1) / plan.rows_per_unit;
  plan.units = geometry.batch * plan.units_per_image;
  plan.partials = static_cast<int32_t>(plan.units < max_partials ? plan.units : max_partials);
  return plan;
}

template <class T>
void backward_weights(const Network &network, const SumPlan &sums, const T *maps, const T *deltas,
                      const Step *steps, double *partials, cudaStream_t stream) {
  const int64_t most_maps = network.maps_before(network.depth - 1);
  const int64_t together = network.taps == 9 ? maps_per_block<1> : maps_per_block<3>;
  const dim3 grid(static_cast<unsigned>(network.channels()), static_cast<unsigned>(sums.partials),
                  static_cast<unsigned>((most_maps + together - 1) / together));
  launch(network.taps == 9 ? backward_weights_kernel<T, 1> : backward_weights_kernel<T, 3>, grid, block_threads,
         stream, network, sums, maps, deltas, steps, partials, network.parameters());
}

template <class T>
void backward_output_weights(const Network &network, const SumPlan &sums, const T *maps, const T *grad_logits,
                             double *partials, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(network.maps()), static_cast<unsigned>(sums.partials),
                  static_cast<unsigned>(network.n_classes));
  launch(backward_output_weights_kernel<T>, grid, block_threads, stream, network, sums, maps, grad_logits,
         partials, network.parameters());
}

template void backward_weights(const Network &, const SumPlan &, const float *, const float *, const Step *,
                               double *, cudaStream_t);
template void backward_weights(const Network &, const SumPlan &, const double *, const double *, const Step *,
                               double *, cudaStream_t);
template void backward_output_weights(const Network &, const SumPlan &, const float *, const float *, double *,
                                      cudaStream_t);
template void backward_output_weights(const Network &, const SumPlan &, const double *, const double *, double *,
                                      cudaStream_t);

}  // namespace napari_msd
