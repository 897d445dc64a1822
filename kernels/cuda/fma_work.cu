// Nothing but multiply-adds in registers on the whole card: its peak, for benchmarks to compare with.
#include "launch.cuh"
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int fma_sums = 8;
constexpr unsigned fma_blocks = 4096;

template <class T>
__global__ void __launch_bounds__(block_threads) fma_kernel(int64_t rounds, T factor, T *sink) {
  wait_for_earlier_launches();
  T sums[fma_sums];
#pragma unroll
  for (int i = 0; i < fma_sums; ++i) sums[i] = static_cast<T>(threadIdx.x + static_cast<unsigned>(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < fma_sums; ++i) sums[i] = sums[i] * factor + T(1);
  }
  T total = T(0);
#pragma unroll
  for (int i = 0; i < fma_sums; ++i) total += sums[i];
  // Never true, but the compiler cannot know: so it cannot leave the work out.
  if (total < T(-1)) sink[0] = total;
}

}  // namespace

template <class T>
double fma_work(int64_t rounds, T *sink, cudaStream_t stream) {
  launch(fma_kernel<T>, dim3(fma_blocks), block_threads, stream, rounds, T(0.5), sink);
  return 2.0 * fma_sums * static_cast<double>(rounds) * fma_blocks * block_threads;
}

template double fma_work(int64_t, float *, cudaStream_t);
template double fma_work(int64_t, double *, cudaStream_t);

}  // namespace napari_msd
