// Gradients of the filters and biases, the direct form, for float64:
//
//   grad_weight[q][l][t] = sum over images and pixels p of delta[q](p) * z[l]( read position of tap t at p )
//   grad_bias[q]         = sum of delta[q]
//
// A block takes one channel q, a few maps l and every `partials`-th run of pixels of the batch; its threads' sums
// meet in shared memory and are added in a fixed order into one partial result per block; reduce_partials adds
// those up. No atomics: the same input gives the same bits.
#include "block_sum.cuh"

namespace napari_msd {
namespace {

// Sums of so many maps stay in registers: 36 with 9 taps, 27 with 27.
template <int nz>
constexpr int maps_per_block = nz == 1 ? 4 : 1;

template <int nz>
__global__ void __launch_bounds__(block_threads)
backward_weights_direct_kernel(Network network, SumPlan plan, const double *maps, const double *deltas,
                               const Step *steps, double *partials, int64_t stride) {
  wait_for_earlier_launches();
  constexpr int taps = taps_of<nz>, n_maps = maps_per_block<nz>, values = n_maps * taps + 1;
  __shared__ double shared[values * (block_threads + 1)];
  const Geometry &g = network.geometry;
  const int64_t q = blockIdx.x, first_map = static_cast<int64_t>(blockIdx.z) * n_maps;
  const int64_t left = network.maps_before(q / network.width) - first_map;
  if (left <= 0) return;  // the whole block
  const int n = static_cast<int>(left < n_maps ? left : n_maps);
  const Step step = steps[q];
  double sums[values];
#pragma unroll
  for (int v = 0; v < values; ++v) sums[v] = 0;

  for (int64_t u = blockIdx.y; u < plan.units; u += plan.partials) {
    const Unit unit = unit_of(g, plan, u);
    const double *delta = deltas + (unit.image * network.channels() + q) * g.plane;
    const double *map = maps + (unit.image * network.maps() + first_map) * g.plane;
    for (int32_t p = unit.first + static_cast<int32_t>(threadIdx.x); p < unit.end;
         p += static_cast<int32_t>(blockDim.x)) {
      int32_t offsets[taps];
      const Place place = place_of(g, p);
      tap_offsets<nz>(g, step, place.z, place.y, place.x, offsets);
      const double value = delta[p];
      sums[values - 1] += value;
#pragma unroll
      for (int l = 0; l < n_maps; ++l) {
        if (l >= n) break;
        const double *plane = map + l * g.plane;
#pragma unroll
        for (int t = 0; t < taps; ++t) {
          if (offsets[t] >= 0) sums[taps * l + t] += value * plane[offsets[t]];
        }
      }
    }
  }
  const double sum = block_sum<double, values>(sums, shared);
  const int thread = static_cast<int>(threadIdx.x);
  double *partial = partials + blockIdx.y * stride;
  if (thread < taps * n) partial[network.weight_offset(q) + taps * first_map + thread] = sum;
  if (thread == values - 1 && first_map == 0) partial[network.weights() + q] = sum;
}

}  // namespace

template <>
void backward_weights(const Network &network, const SumPlan &sums, const double *maps, const double *deltas,
                      const Step *steps, double *partials, cudaStream_t stream) {
  const int64_t most_maps = network.maps_before(network.depth - 1);
  const int64_t together = network.taps == 9 ? maps_per_block<1> : maps_per_block<3>;
  const dim3 grid(static_cast<unsigned>(network.channels()), static_cast<unsigned>(sums.partials),
                  static_cast<unsigned>((most_maps + together - 1) / together));
  launch(network.taps == 9 ? backward_weights_direct_kernel<1> : backward_weights_direct_kernel<3>, grid, block_threads,
         stream, network, sums, maps, deltas, steps, partials, network.parameters());
}

}  // namespace napari_msd
