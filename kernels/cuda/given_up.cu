// Whether a wait inside a cooperative kernel has given up: a number of the device itself, which outlives every workspace.
#include "network.cuh"

namespace napari_msd {
namespace {

__device__ unsigned given_up;

}  // namespace

unsigned *given_up_flag() {
  void *address = nullptr;
  return cudaGetSymbolAddress(&address, given_up) == cudaSuccess ? static_cast<unsigned *>(address) : nullptr;
}

cudaError_t take_given_up(bool &was_given_up, cudaStream_t stream) {
  unsigned value = 0;
  unsigned *flag = given_up_flag();
  cudaError_t result = flag ? cudaMemcpyAsync(&value, flag, sizeof value, cudaMemcpyDeviceToHost, stream) : cudaGetLastError();
  if (result == cudaSuccess) result = cudaStreamSynchronize(stream);
  was_given_up = value != 0;
  if (result == cudaSuccess && was_given_up) result = cudaMemsetAsync(flag, 0, sizeof value, stream);
  return result;
}

}  // namespace napari_msd
