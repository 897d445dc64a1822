// Copy a small host table to device memory through kernel arguments, and clear the flags of a pass.
//
// A cudaMemcpyAsync from pageable host memory would tie the copy to the caller's buffer (and, in a captured
// graph, to its address); arguments are copied at launch.
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int steps_per_launch = 300;  // 3.6 kB of the 4 kB that every GPU accepts as arguments

struct Chunk {
  Step steps[steps_per_launch];
};

__global__ void upload_kernel(Chunk chunk, int count, Step *device, unsigned *flags, int n_flags) {
  wait_for_earlier_launches();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    device[i] = chunk.steps[i];
  }
  for (int i = static_cast<int>(threadIdx.x); i < n_flags; i += static_cast<int>(blockDim.x))
    flags[flag_stride * i] = 0;
}

}  // namespace

void upload_steps(const Step *host, int64_t count, Step *device, unsigned *flags, int32_t n_flags,
                  cudaStream_t stream) {
  for (int64_t first = 0; first < count; first += steps_per_launch) {
    const int n = static_cast<int>(count - first < steps_per_launch ? count - first : steps_per_launch);
    Chunk chunk = {};
    for (int i = 0; i < n; ++i) chunk.steps[i] = host[first + i];
    launch(upload_kernel, dim3(1), block_threads, stream, chunk, n, device + first, flags, first == 0 ? n_flags : 0);
  }
}

}  // namespace napari_msd
