// Gradients of the final 1x1 convolution:
//
//   grad_output_weight[k][l] = sum over images and pixels p of grad_logits[k](p) * z[l](p)
//   grad_output_bias[k]      = sum of grad_logits[k]
//
// A block takes one map, up to 4 classes and every `partials`-th run of pixels. Its threads' sums meet in shared memory and
// are added in a fixed order, in double.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int classes_together = 4, values = 2 * classes_together;
// 128 sums are added as 8 sums of 16.
constexpr int runs = 8, in_a_run = static_cast<int>(block_threads) / runs;

template <class S>
__global__ void __launch_bounds__(block_threads)
backward_output_weights_kernel(Network network, SumPlan plan, const S *maps, const Compute<S> *grad_logits,
                               double *partials, int64_t stride) {
  wait_for_earlier_launches();
  using T = Compute<S>;
  __shared__ T shared[values][block_threads + 1];
  __shared__ double of_runs[values][runs];
  const Geometry &g = network.geometry;
  const int64_t l = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x), first_k = static_cast<int>(blockIdx.z) * classes_together;
  const int left = network.n_classes - first_k, n = left < classes_together ? left : classes_together;
  T sums[values];
#pragma unroll
  for (int v = 0; v < values; ++v) sums[v] = T(0);
  for (int64_t u = blockIdx.y; u < plan.units; u += plan.partials) {
    const Unit unit = unit_of(g, plan, u);
    const T *gradient = grad_logits + (unit.image * network.n_classes + first_k) * g.plane;
    const S *map = maps + (unit.image * network.maps() + l) * g.plane;
#pragma unroll 4
    for (int32_t p = unit.first + thread; p < unit.end; p += static_cast<int32_t>(block_threads)) {
      const T value = load(map + p);
#pragma unroll
      for (int k = 0; k < classes_together; ++k) {
        if (k >= n) break;
        const T sent = gradient[k * g.plane + p];
        sums[2 * k] += sent * value;
        sums[2 * k + 1] += sent;
      }
    }
  }
#pragma unroll
  for (int v = 0; v < values; ++v) shared[v][thread] = sums[v];
  __syncthreads();
  if (thread < values * runs) {
    double sum = 0;
    for (int i = 0; i < in_a_run; ++i) sum += static_cast<double>(shared[thread / runs][thread % runs * in_a_run + i]);
    of_runs[thread / runs][thread % runs] = sum;
  }
  __syncthreads();
  const int k = thread / 2;
  if (k >= n) return;
  double sum = 0;
  for (int i = 0; i < runs; ++i) sum += of_runs[thread][i];
  double *output = partials + blockIdx.y * stride + network.weights() + network.channels();
  if (thread % 2 == 0) output[(first_k + k) * network.maps() + l] = sum;
  if (thread % 2 == 1 && l == 0) output[network.n_classes * network.maps() + first_k + k] = sum;
}

}  // namespace

template <class S>
void backward_output_weights(const Network &network, const SumPlan &sums, const S *maps, const Compute<S> *grad_logits,
                             double *partials, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(network.maps()), static_cast<unsigned>(sums.partials),
                  static_cast<unsigned>((network.n_classes + classes_together - 1) / classes_together));
  launch(backward_output_weights_kernel<S>, grid, block_threads, stream, network, sums, maps, grad_logits, partials,
         network.parameters());
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                  \
  template void backward_output_weights(const Network &, const SumPlan &, const S *, const Compute<S> *, double *, \
                                        cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
