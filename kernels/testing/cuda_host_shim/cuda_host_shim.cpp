#include "cuda_host_shim.h"

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

dim3 blockIdx, blockDim, gridDim, threadIdx;
int current_device = 0;

namespace shim {

constexpr size_t stack_bytes = 64 * 1024, alignment = 256;

struct Copy {
  void *to;
  const void *from;
  size_t bytes;
};

enum class State { ready, at_barrier, pausing, done };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  std::vector<Copy> copies;
  State state;
  bool waited;  // for earlier launches
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<char> memory;
  dim3 index;
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
  bool shuffled() const { return shuffled_; }

 private:
  bool reversed_, shuffled_;
  std::mt19937 random_;
};

std::vector<Block> blocks;
std::vector<uint32_t> threads_in_order, blocks_in_order;
ucontext_t scheduler;
Block *current_block;
Fiber *current;
void (*thread_body)(void *);
void *thread_context;
bool someone_went_on;
int64_t current_ticks;

void fiber_main() {
  thread_body(thread_context);
  if (!current->waited) {
    std::fprintf(stderr, "a kernel did not call wait_for_earlier_launches\n");
    std::abort();
  }
  current->state = State::done;
}

void leave(State state) {
  current->state = state;
  swapcontext(&current->context, &scheduler);
}

void start(Block &block, unsigned threads, size_t memory_bytes) {
  block.fibers.resize(threads);
  block.memory.assign(memory_bytes + alignment, static_cast<char>(0xff));
  for (Fiber &fiber : block.fibers) {
    if (!fiber.stack) fiber.stack.reset(new char[stack_bytes]);
    fiber.state = State::ready;
    fiber.waited = false;
    fiber.copies.clear();
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = stack_bytes;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, fiber_main, 0);
  }
}

// Runs each thread of a block until it waits or ends; whether any of them went on.
bool run_threads(Block &block, Order &order) {
  someone_went_on = false;
  current_block = &block;
  blockIdx = block.index;
  order.arrange(threads_in_order, block.fibers.size());
  for (const uint32_t thread : threads_in_order) {
    current = &block.fibers[thread];
    if (current->state == State::done || current->state == State::at_barrier) continue;
    threadIdx = dim3(thread);
    swapcontext(&scheduler, &current->context);
    if (current->state != State::pausing) someone_went_on = true;
  }
  const auto count = [&](State state) {
    return std::count_if(block.fibers.begin(), block.fibers.end(),
                         [=](const Fiber &fiber) { return fiber.state == state; });
  };
  const auto all = static_cast<std::ptrdiff_t>(block.fibers.size());
  const auto waiting = count(State::at_barrier), done = count(State::done);
  if (waiting > 0 && waiting + done == all) {
    if (done > 0) {
      std::fprintf(stderr, "%td of %td threads wait at a barrier that the others never reach\n", waiting, all);
      std::abort();
    }
    for (Fiber &fiber : block.fibers) fiber.state = State::ready;
  }
  return someone_went_on;
}

bool is_done(const Block &block) {
  return std::all_of(block.fibers.begin(), block.fibers.end(),
                     [](const Fiber &fiber) { return fiber.state == State::done; });
}

// One round after another, each through all blocks, until all have ended.
void run_blocks(std::vector<Block> &alive, Order &order) {
  for (bool all_done = false; !all_done;) {
    bool progress = false;
    order.arrange(blocks_in_order, alive.size());
    for (const uint32_t number : blocks_in_order) {
      Block &block = alive[number];
      while (!is_done(block) && run_threads(block, order)) {
        progress = true;
        if (order.shuffled()) break;
      }
    }
    all_done = std::all_of(alive.begin(), alive.end(), is_done);
    if (progress || all_done) continue;
    if (!machine_is("stalled")) {
      std::fprintf(stderr, "all blocks wait for flags that none of them sets\n");
      std::abort();
    }
    current_ticks += int64_t{1} << 40;
  }
}

}  // namespace shim

void __syncthreads() { shim::leave(shim::State::at_barrier); }

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
  float size = exponent == 31  ? (fraction ? NAN : INFINITY)
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
  std::frexp(size, &exponent);         // size = m 2^exponent with m in [1/2, 1)
  if (exponent < -13) exponent = -13;  // subnormal
  // In units of the last place; a fraction that rounds up to 2048 carries into the exponent by itself.
  const int fraction = static_cast<int>(std::nearbyint(std::ldexp(size, 11 - exponent)));
  return {static_cast<uint16_t>(sign | (size == 0 ? 0 : (exponent + 13) * 1024 + fraction))};
}

void napari_msd::wait_for_earlier_launches() { shim::current->waited = true; }

char *napari_msd::block_memory() {
  const auto address = reinterpret_cast<uintptr_t>(shim::current_block->memory.data());
  return reinterpret_cast<char *>((address + shim::alignment - 1) / shim::alignment * shim::alignment);
}

bool napari_msd::has_reached(const unsigned *flag, unsigned epoch) {
  const bool reached = static_cast<int32_t>(*flag - epoch) >= 0;
  if (reached) shim::someone_went_on = true;
  return reached;
}

void napari_msd::set_reached(unsigned *flag, unsigned epoch) {
  const bool heard = shim::current_block->index.x != 0 || !(machine_is("stalled") || machine_is("deadlocked"));
  if (heard) *flag = epoch;
}

void napari_msd::pause() { shim::leave(shim::State::pausing); }

int64_t napari_msd::ticks() { return shim::current_ticks; }

void napari_msd::copy_later(void *shared, const void *global, size_t bytes) {
  std::memset(shared, 0xff, bytes);
  shim::current->copies.push_back({shared, global, bytes});
}

void napari_msd::wait_for_copies() {
  for (const shim::Copy &copy : shim::current->copies) std::memcpy(copy.to, copy.from, copy.bytes);
  shim::current->copies.clear();
}

void napari_msd::run_grid(dim3 grid, unsigned block, void (*body)(void *), void *context, size_t memory_bytes) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  using namespace shim;
  thread_body = body;
  thread_context = context;
  gridDim = grid;
  blockDim = dim3(block);
  Order order;
  const size_t count = size_t{grid.x} * grid.y * grid.z;
  const auto index = [&](size_t number) {
    const auto n = static_cast<unsigned>(number);
    return dim3(n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y);
  };
  if (memory_bytes > 0) {
    shim::blocks.resize(count);
    for (size_t i = 0; i < count; ++i) {
      start(shim::blocks[i], block, memory_bytes);
      blocks[i].index = index(i);
    }
    run_blocks(blocks, order);
    return;
  }
  blocks.resize(1);
  std::vector<uint32_t> numbers;
  order.arrange(numbers, count);
  for (const uint32_t number : numbers) {
    start(blocks[0], block, 0);
    blocks[0].index = index(number);
    run_blocks(blocks, order);
  }
}
