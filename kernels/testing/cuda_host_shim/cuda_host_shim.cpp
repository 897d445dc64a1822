#include "cuda_host_shim.h"

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

dim3 blockIdx, blockDim, gridDim, threadIdx;
int current_device = 0;

namespace {

constexpr size_t stack_bytes = 64 * 1024;

struct Copy {
  void *to;
  const void *from;
  size_t bytes;
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  std::vector<Copy> copies;
  bool done, waited;
};

// In which order threads run between two barriers, and blocks one after another: as numbered, or, as
// NAPARI_MSD_SHIM_ORDER says, "reverse" or "shuffle:<seed>", anew for each barrier. Results must not depend on it.
class Order {
 public:
  Order() {
    const char *wanted = std::getenv("NAPARI_MSD_SHIM_ORDER");
    reversed_ = wanted && std::strcmp(wanted, "reverse") == 0;
    shuffled_ = wanted && std::strncmp(wanted, "shuffle:", 8) == 0;
    if (shuffled_) random_.seed(static_cast<uint32_t>(std::strtoul(wanted + 8, nullptr, 10)));
  }

  void arrange(std::vector<uint32_t> &numbers, size_t count) {
    numbers.resize(count);
    std::iota(numbers.begin(), numbers.end(), 0u);
    if (reversed_) std::reverse(numbers.begin(), numbers.end());
    if (shuffled_) std::shuffle(numbers.begin(), numbers.end(), random_);
  }

 private:
  bool reversed_, shuffled_;
  std::mt19937 random_;
};

std::vector<Fiber> fibers;
std::vector<uint32_t> threads_in_order, blocks_in_order;
ucontext_t scheduler;
unsigned current;
void (*thread_body)(void *);
void *thread_context;

void fiber_main() {
  thread_body(thread_context);
  if (!fibers[current].waited) {
    std::fprintf(stderr, "a kernel did not call wait_for_earlier_launches\n");
    std::abort();
  }
  fibers[current].done = true;
}

void run_block(Order &order) {
  for (Fiber &fiber : fibers) {
    fiber.done = fiber.waited = false;
    fiber.copies.clear();
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, fiber_main, 0);
  }
  for (size_t waiting = fibers.size(); waiting > 0;) {  // one round per barrier
    waiting = 0;
    order.arrange(threads_in_order, fibers.size());
    for (const uint32_t thread : threads_in_order) {
      current = thread;
      threadIdx = dim3(current);
      swapcontext(&scheduler, &fibers[current].context);
      if (!fibers[current].done) ++waiting;
    }
    if (waiting > 0 && waiting < fibers.size()) {
      std::fprintf(stderr, "%zu of %zu threads wait at a barrier that the others never reach\n", waiting, fibers.size());
      std::abort();
    }
  }
}

}  // namespace

void __syncthreads() { swapcontext(&fibers[current].context, &scheduler); }

float __bfloat162float(__nv_bfloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

__nv_bfloat16 __float2bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

float __half2float(__half value) {
  const int exponent = value.bits >> 10 & 31, fraction = value.bits & 1023;
  float size = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                               : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return value.bits >> 15 ? -size : size;
}

__half __float2half(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return {0x7fff};
  const float size = std::fabs(value);
  if (size >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00)};
  int exponent = 0;
  std::frexp(size, &exponent);  // size = m 2^exponent with m in [1/2, 1)
  if (exponent < -13) exponent = -13;  // subnormal
  // In units of the last place; a fraction that rounds up to 2048 carries into the exponent by itself.
  const int fraction = static_cast<int>(std::nearbyint(std::ldexp(size, 11 - exponent)));
  return {static_cast<uint16_t>(sign | (size == 0 ? 0 : (exponent + 13) * 1024 + fraction))};
}

void napari_msd::wait_for_earlier_launches() { fibers[current].waited = true; }

void napari_msd::copy_later(void *shared, const void *global, size_t bytes) {
  std::memset(shared, 0xff, bytes);
  fibers[current].copies.push_back({shared, global, bytes});
}

void napari_msd::wait_for_copies() {
  for (const Copy &copy : fibers[current].copies) std::memcpy(copy.to, copy.from, copy.bytes);
  fibers[current].copies.clear();
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
  Order order;
  order.arrange(blocks_in_order, size_t{grid.x} * grid.y * grid.z);
  for (const uint32_t number : blocks_in_order) {
    blockIdx = dim3(number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y);
    run_block(order);
  }
}
