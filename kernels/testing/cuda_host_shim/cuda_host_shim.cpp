#include "cuda_host_shim.h"

#include <ucontext.h>

#include <cstring>
#include <mutex>
#include <vector>

dim3 blockIdx, blockDim, gridDim, threadIdx;

namespace {

constexpr size_t stack_bytes = 64 * 1024;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  bool done;
};

std::vector<Fiber> fibers;
ucontext_t scheduler;
unsigned current;
void (*thread_body)(void *);
void *thread_context;

void fiber_main() {
  thread_body(thread_context);
  fibers[current].done = true;
}

void run_block() {
  for (Fiber &fiber : fibers) {
    fiber.done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, fiber_main, 0);
  }
  for (bool busy = true; busy;) {  // one round per barrier
    busy = false;
    for (current = 0; current < fibers.size(); ++current) {
      if (fibers[current].done) continue;
      threadIdx = dim3(current);
      swapcontext(&scheduler, &fibers[current].context);
      busy = busy || !fibers[current].done;
    }
  }
}

}  // namespace

void __syncthreads() { swapcontext(&fibers[current].context, &scheduler); }

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind, cudaStream_t) {
  for (size_t row = 0; row < height; ++row) {
    std::memcpy(static_cast<char *>(to) + row * to_pitch, static_cast<const char *>(from) + row * from_pitch, width);
  }
  return cudaSuccess;
}

void napari_msd::run_grid(dim3 grid, unsigned block, void (*body)(void *), void *context) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  fibers.resize(block);
  for (Fiber &fiber : fibers) fiber.stack.resize(stack_bytes);
  thread_body = body;
  thread_context = context;
  gridDim = grid;
  blockDim = dim3(block);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        run_block();
      }
    }
  }
}
