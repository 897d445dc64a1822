// gradient[i] = sum over partial results of partials[r][first + i], always in the order r = 0, 1, ...
#include "network.cuh"

namespace napari_msd {
namespace {

template <class T>
__global__ void __launch_bounds__(block_threads)
reduce_partials_kernel(const double *partials, int32_t n_partials, int64_t stride, int64_t count, T *gradient) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  double sum = 0;
  for (int32_t r = 0; r < n_partials; ++r) sum += partials[r * stride + i];
  gradient[i] = static_cast<T>(sum);
}

}  // namespace

template <class T>
void reduce_partials(const double *partials, int32_t n_partials, int64_t stride, int64_t first, int64_t count,
                     T *gradient, cudaStream_t stream) {
  launch(reduce_partials_kernel<T>, dim3(blocks_for(count)), block_threads, stream, partials + first, n_partials,
         stride, count, gradient);
}

template void reduce_partials(const double *, int32_t, int64_t, int64_t, int64_t, float *, cudaStream_t);
template void reduce_partials(const double *, int32_t, int64_t, int64_t, int64_t, double *, cudaStream_t);

}  // namespace napari_msd
