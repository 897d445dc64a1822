// Just enough of CUDA to run kernels/cuda/*.cu on the CPU, so that every index, fold and reduction is checked
// against the reference without a GPU. Tests only: never installed, never fast, not a model of GPU timing or
// of memory races between threads.
//
// A block's threads are fibers (ucontext) on one thread: each runs until __syncthreads or its end, then the
// next; blocks run one after another, so `__shared__` can be static memory. NAPARI_MSD_SHIM_ORDER changes the order of
// both. A barrier that some threads of a block wait at when the others have ended aborts: all kernels here
// reach each barrier with the whole block.
//
// In a launch of blocks that run together (launch_together) all blocks are alive, a block runs until all its threads wait
// (in shuffled orders one barrier at a time), and their memory is block_memory(), not `__shared__`. When nobody can go on the
// tests end with a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __shared__ static
#define __launch_bounds__(...)

using cudaStream_t = void *;
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInsufficientDriver = 35,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorLaunchOutOfResources = 701
};
#define CUDART_VERSION 13000
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrCooperativeLaunch = 95
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaMemcpyKind { cudaMemcpyDeviceToHost = 2 };

struct dim3 {
  unsigned x, y, z;
  explicit dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

extern dim3 blockIdx, blockDim, gridDim, threadIdx;

void __syncthreads();

// What machine the shim plays: as this variable of the environment says, else one with one GPU that all is well with.
inline bool machine_is(const char *name) {
  const char *wanted = std::getenv("NAPARI_MSD_SHIM_MACHINE");
  return wanted && std::strcmp(wanted, name) == 0;
}
inline cudaError_t cudaGetLastError() { return machine_is("refusing") ? cudaErrorLaunchOutOfResources : cudaSuccess; }
inline const char *cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorLaunchOutOfResources ? "cudaErrorLaunchOutOfResources" : "cudaErrorUnknown";
}
inline cudaError_t cudaDriverGetVersion(int *version) {
  *version = machine_is("no driver") ? 0 : machine_is("old driver") ? 12080 : 13000;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int *count) {
  *count = machine_is("no GPU") ? 0 : machine_is("old second GPU") ? 2 : 1;
  return machine_is("old driver") ? cudaErrorInsufficientDriver : *count ? cudaSuccess : cudaErrorNoDevice;
}
extern int current_device;
inline cudaError_t cudaGetDevice(int *device) {
  *device = current_device;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  current_device = device;
  return cudaSuccess;
}
struct cudaFuncAttributes {};
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *, void (*)()) {
  const bool old = machine_is("old GPU") || (machine_is("old second GPU") && current_device == 1);
  return old ? cudaErrorNoKernelImageForDevice : cudaSuccess;
}
// 3 multiprocessors, or as NAPARI_MSD_SHIM_MULTIPROCESSORS says; each holds one block of a cooperative launch.
inline cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
  const char *wanted = std::getenv("NAPARI_MSD_SHIM_MULTIPROCESSORS");
  *value = attribute == cudaDevAttrMultiProcessorCount ? (wanted ? std::atoi(wanted) : 3)
           : attribute == cudaDevAttrCooperativeLaunch ? !machine_is("one block at a time")
                                                       : 8;
  return cudaSuccess;
}
inline cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute, int) { return cudaSuccess; }
inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int, size_t) {
  *blocks = 1;
  return cudaSuccess;
}
template <class T>
cudaError_t cudaGetSymbolAddress(void **address, T &symbol) {
  *address = &symbol;
  return machine_is("no flag") ? cudaErrorLaunchOutOfResources : cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

inline int32_t min(int32_t a, int32_t b) { return a < b ? a : b; }
inline int32_t max(int32_t a, int32_t b) { return a > b ? a : b; }
inline uint32_t __umulhi(uint32_t a, uint32_t b) { return static_cast<uint32_t>(uint64_t{a} * b >> 32); }

struct alignas(16) float4 {
  float x, y, z, w;
};

// 16-bit numbers, rounded to nearest even as the GPU does.
struct __nv_bfloat16 {
  uint16_t bits;
};
struct __half {
  uint16_t bits;
};
float __bfloat162float(__nv_bfloat16 value);
float __half2float(__half value);
__nv_bfloat16 __float2bfloat16(float value);
__half __float2half(float value);

namespace napari_msd {

inline unsigned forgotten(unsigned value) { return value; }
template <class S>
const S *forgotten(const S *address) {
  return address;
}

inline bool launches_overlap = false;
// A thread that ends without having called this ends the tests.
void wait_for_earlier_launches();

// Copies are made as late as the GPU may make them; until then their destination holds NaN.
void copy_later(void *shared, const void *global, size_t bytes);
inline void copy_16_bytes(void *shared, const void *global) { copy_later(shared, global, 16); }
inline void copy_4_bytes(void *shared, const void *global) { copy_later(shared, global, 4); }
alignas(16) inline constexpr char zero_bytes[16] = {};
inline void copy_16_bytes_or_zeros(void *shared, const void *global, bool wanted) {
  copy_later(shared, wanted ? global : zero_bytes, 16);
}
inline void copy_4_bytes_or_zeros(void *shared, const void *global, bool wanted) {
  copy_later(shared, wanted ? global : zero_bytes, 4);
}
void wait_for_copies();

// What a block of a cooperative launch has in place of `__shared__`.
char *block_memory();
// Whether the flag has come so far; a thread that asks in vain calls pause(), which lets others run.
bool has_reached(const unsigned *flag, unsigned epoch);
inline bool seems_reached(const unsigned *flag, unsigned epoch) { return has_reached(flag, epoch); }
void set_reached(unsigned *flag, unsigned epoch);
void pause();
// Goes on only on the machine "stalled", once nobody can go on; there, as on "deadlocked", the first block sets no flags.
int64_t ticks();
constexpr unsigned least_polls = 256;

// Runs body(context) once per thread of the grid; all blocks at a time where `memory_bytes`, what each has, is not 0.
void run_grid(dim3 grid, unsigned block, void (*body)(void *), void *context, size_t memory_bytes = 0);

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, unsigned block, cudaStream_t, Arguments... arguments) {
  auto call = [&] { kernel(arguments...); };
  run_grid(grid, block, [](void *context) { (*static_cast<decltype(call) *>(context))(); }, &call);
}

template <class... Parameters, class... Arguments>
void launch_together(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, size_t memory_bytes,
                     cudaStream_t, Arguments... arguments) {
  auto call = [&] { kernel(arguments...); };
  run_grid(
      dim3(blocks), threads, [](void *context) { (*static_cast<decltype(call) *>(context))(); }, &call, memory_bytes);
}

}  // namespace napari_msd
