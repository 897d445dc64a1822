// Gradients of the final 1x1 convolution:
//
//   grad_output_weight[k][l] = sum over images and pixels p of grad_logits[k](p) * z[l](p)
//   grad_output_bias[k]      = sum of grad_logits[k]
//
// A block takes one class, one map and every `partials`-th run of pixels, as in backward_weights_direct.cu.
#include "block_sum.cuh"

namespace napari_msd {
namespace {

template <class S>
__global__ void __launch_bounds__(block_threads)
backward_output_weights_kernel(Network network, SumPlan plan, const S *maps, const Compute<S> *grad_logits,
                               double *partials, int64_t stride) {
  using T = Compute<S>;
  __shared__ T shared[2 * (block_threads + 1)];
  const Geometry &g = network.geometry;
  const int64_t l = blockIdx.x, k = blockIdx.z;
  T sums[2] = {T(0), T(0)};
  for (int64_t u = blockIdx.y; u < plan.units; u += plan.partials) {
    const Unit unit = unit_of(g, plan, u);
    const T *gradient = grad_logits + (unit.image * network.n_classes + k) * g.plane;
    const S *map = maps + (unit.image * network.maps() + l) * g.plane;
    for (int32_t p = unit.first + static_cast<int32_t>(threadIdx.x); p < unit.end; p += static_cast<int32_t>(blockDim.x)) {
      sums[0] += gradient[p] * load(map + p);
      sums[1] += gradient[p];
    }
  }
  const double sum = block_sum<T, 2>(sums, shared);
  double *output = partials + blockIdx.y * stride + network.weights() + network.channels();
  if (threadIdx.x == 0) output[k * network.maps() + l] = sum;
  if (threadIdx.x == 1 && l == 0) output[network.n_classes * network.maps() + k] = sum;
}

}  // namespace

template <class S>
void backward_output_weights(const Network &network, const SumPlan &sums, const S *maps,
                             const Compute<S> *grad_logits, double *partials, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(network.maps()), static_cast<unsigned>(sums.partials),
                  static_cast<unsigned>(network.n_classes));
  launch(backward_output_weights_kernel<S>, grid, block_threads, stream, network, sums, maps, grad_logits, partials,
         network.parameters());
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                  \
  template void backward_output_weights(const Network &, const SumPlan &, const S *, const Compute<S> *, double *, \
                                        cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
