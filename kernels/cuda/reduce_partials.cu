// gradient[i] = sum over partial results of partials[r][i], in a fixed order: of 4 warps each adds up every fourth, then
// their sums are added up.
//
// One launch for all parameters, which lie one after another in partials: weights, biases, output weights and biases.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int lanes = 32, warps = static_cast<int>(block_threads) / lanes;

template <class T>
__global__ void __launch_bounds__(block_threads)
reduce_partials_kernel(const double *partials, int32_t n_partials, int64_t stride, ParameterGradients<T> gradients) {
  wait_for_earlier_launches();
  __shared__ double sums[warps][lanes];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % lanes, warp = thread / lanes;
  int64_t i = static_cast<int64_t>(blockIdx.x) * lanes + lane;
  double sum = 0;
  if (i < stride) {
#pragma unroll 8
    for (int32_t r = warp; r < n_partials; r += warps) sum += partials[r * stride + i];
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || i >= stride) return;
  sum = 0;
  for (int w = 0; w < warps; ++w) sum += sums[w][lane];
  int k = 0;
  for (; i >= gradients.counts[k]; ++k) i -= gradients.counts[k];
  gradients.arrays[k][i] = static_cast<T>(sum);
}

}  // namespace

template <class T>
void reduce_partials(const double *partials, int32_t n_partials, int64_t stride, const ParameterGradients<T> &gradients,
                     cudaStream_t stream) {
  launch(reduce_partials_kernel<T>, dim3(static_cast<unsigned>((stride + lanes - 1) / lanes)), block_threads, stream,
         partials, n_partials, stride, gradients);
}

template void reduce_partials(const double *, int32_t, int64_t, const ParameterGradients<float> &, cudaStream_t);
template void reduce_partials(const double *, int32_t, int64_t, const ParameterGradients<double> &, cudaStream_t);

}  // namespace napari_msd
