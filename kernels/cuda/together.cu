// What cooperative launches need of the device: how many blocks run at the same time, and whether a wait inside one gave up.
//
// What the driver answers is kept: every pass asks, also while a graph is captured.
#include <map>
#include <mutex>
#include <tuple>

#include "network.cuh"

namespace napari_msd {
namespace {

// Of each device; it outlives every workspace.
__device__ unsigned given_up;

std::mutex answers_mutex;
std::map<std::tuple<const void *, int, int>, int>
    blocks_per_multiprocessor;  // of a kernel, a device, a number of threads
std::map<int, unsigned *> given_up_flags;

}  // namespace

int32_t most_together(const void *kernel, int threads, size_t memory_bytes) {
  int device = 0, allowed = 0, multiprocessors = 0;
  cudaError_t result = cudaGetDevice(&device);
  if (result == cudaSuccess) result = cudaDeviceGetAttribute(&allowed, cudaDevAttrCooperativeLaunch, device);
  if (result == cudaSuccess) result = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (result == cudaSuccess && allowed) {
    const std::lock_guard<std::mutex> lock(answers_mutex);
    const auto key = std::make_tuple(kernel, device, threads);
    const auto found = blocks_per_multiprocessor.find(key);
    if (found != blocks_per_multiprocessor.end()) return multiprocessors * found->second;
    int blocks = 0;
    result = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(memory_bytes));
    if (result == cudaSuccess)
      result = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, memory_bytes);
    if (result == cudaSuccess) {
      blocks_per_multiprocessor[key] = blocks;
      return multiprocessors * blocks;
    }
  }
  if (result != cudaSuccess) (void)cudaGetLastError();  // so that no pass takes this failure for its own
  return 0;
}

unsigned *given_up_flag() {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return nullptr;
  const std::lock_guard<std::mutex> lock(answers_mutex);
  const auto found = given_up_flags.find(device);
  if (found != given_up_flags.end()) return found->second;
  void *address = nullptr;
  if (cudaGetSymbolAddress(&address, given_up) != cudaSuccess) return nullptr;
  return given_up_flags[device] = static_cast<unsigned *>(address);
}

cudaError_t take_given_up(bool &was_given_up, cudaStream_t stream) {
  unsigned value = 0;
  unsigned *flag = given_up_flag();
  if (!flag) return cudaErrorInvalidValue;
  cudaError_t result = cudaMemcpyAsync(&value, flag, sizeof value, cudaMemcpyDeviceToHost, stream);
  if (result == cudaSuccess) result = cudaStreamSynchronize(stream);
  was_given_up = value != 0;
  if (result == cudaSuccess && was_given_up) result = cudaMemsetAsync(flag, 0, sizeof value, stream);
  return result;
}

}  // namespace napari_msd
