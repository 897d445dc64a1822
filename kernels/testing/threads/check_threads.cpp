// How threads wait for each other and what happens where they come late or not at all; tests/native/test_sanitizers.py
// compiles this with the core's sources and runs one check per process. No check depends on how fast anything is:
// a deadline only ends what would never end.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "napari_msd.h"
#include "progress.h"
#include "shares.h"
#include "thread_pool.h"

namespace {

using namespace napari_msd;

std::vector<std::function<void()>> held_back;

bool hold_back(std::function<void()> body) {
  held_back.push_back(std::move(body));
  return true;
}

bool refuse(std::function<void()>) { return false; }

// Logits and gradients of a small network, byte by byte; empty if a pass failed.
std::vector<float> step(int threads, int batch) {
  constexpr int depth = 9, classes = 3, height = 64, width = 96, maps = depth + 1, pixels = height * width;
  const std::vector<int32_t> dilations = {1, 5, 2, 1, 5, 2, 1, 5, 2};
  msd_problem problem = {};
  problem.batch = batch;
  problem.sizes[0] = 1;
  problem.sizes[1] = height;
  problem.sizes[2] = width;
  problem.dilations = dilations.data();
  problem.in_channels = problem.width = problem.keep_maps = 1;
  problem.depth = depth;
  problem.n_classes = classes;
  problem.ndim = 2;
  problem.threads = threads;
  uint64_t state = 1;
  const auto numbers = [&](int64_t count) {
    std::vector<float> all(static_cast<size_t>(count));
    for (float &number : all) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      number = static_cast<float>(static_cast<double>(state >> 40) / (1 << 24) - 0.5);
    }
    return all;
  };
  const auto input = numbers(batch * pixels), weight = numbers(9 * depth * maps / 2), bias = numbers(depth);
  const auto output_weight = numbers(classes * maps), output_bias = numbers(classes);
  const auto grad_logits = numbers(batch * classes * pixels);
  msd_memory memory;
  if (msd_memory_needed(&problem, &memory) != MSD_OK) return {};
  std::vector<double> kept(static_cast<size_t>(memory.maps) / 8 + 1),
      scratch(static_cast<size_t>(memory.forward_workspace) / 8 + 1);
  std::vector<double> more(static_cast<size_t>(memory.backward_workspace) / 8 + 1);
  std::vector<float> logits(grad_logits.size()), grad_input(input.size()), grad_weight(weight.size()), grad_bias(depth);
  std::vector<float> grad_output_weight(output_weight.size()), grad_output_bias(classes);
  if (msd_forward(&problem, input.data(), weight.data(), bias.data(), output_weight.data(), output_bias.data(),
                  kept.data(), logits.data(), scratch.data(), nullptr) != MSD_OK) {
    return {};
  }
  if (msd_backward(&problem, grad_logits.data(), kept.data(), weight.data(), output_weight.data(), grad_input.data(),
                   grad_weight.data(), grad_bias.data(), grad_output_weight.data(), grad_output_bias.data(),
                   more.data(), nullptr) != MSD_OK) {
    return {};
  }
  std::vector<float> all;
  for (const auto *part : {&logits, &grad_input, &grad_weight, &grad_bias, &grad_output_weight, &grad_output_bias}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

bool same(const std::vector<float> &a, const std::vector<float> &b) {
  return !a.empty() && a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A thread whose teammate does not come on falls asleep, so that its core is free; and wakes up.
bool a_long_wait_sleeps() {
  Progress progress;
  std::thread waiting([&] { progress.wait(2); });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!progress.awaited() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  const bool asleep = progress.awaited();
  progress.publish(1);
  const bool still = progress.awaited();  // 1 is not what it waits for, so it was not woken
  progress.publish(2);
  waiting.join();
  return asleep && still;
}

// Every wait a sleep, some thousand times to and fro and with several that wait for one: none stays asleep.
bool no_wake_up_is_lost() {
  constexpr int64_t rounds = 3000;
  constexpr std::chrono::microseconds at_once{0};
  Progress there, back;
  std::vector<std::thread> others;
  others.emplace_back([&] {
    for (int64_t i = 1; i <= rounds; ++i) {
      there.wait(i, at_once);
      back.publish(i);
    }
  });
  for (int64_t every : {2, 3, 7}) {
    others.emplace_back([&, every] {
      for (int64_t i = every; i <= rounds; i += every) there.wait(i, at_once);
    });
  }
  for (int64_t i = 1; i <= rounds; ++i) {
    there.publish(i);
    back.wait(i, at_once);
  }
  for (std::thread &thread : others) thread.join();
  return true;
}

// The same bits with all threads, with some, and with the calling thread alone.
bool threads_that_cannot_be_started() {
  const int batches[] = {1, 3, 5};
  std::vector<std::vector<float>> alone, with_one, with_all;
  const auto run = [&](StartThread start, int first, std::vector<std::vector<float>> &results) {
    set_up_pool(start, 64);
    if (first > 0) step(first, 1);
    set_up_pool(start ? start : refuse, 64);
    for (const int batch : batches) results.push_back(step(4, batch));
  };
  run(refuse, 0, alone);
  run(nullptr, 2, with_one);
  run(nullptr, 4, with_all);
  bool ok = true;
  for (size_t i = 0; i < 3; ++i) ok = ok && same(alone[i], with_one[i]) && same(alone[i], with_all[i]);
  return ok;
}

// Threads that exist but get no core are not waited for; later they take part.
bool threads_that_come_late() {
  set_up_pool(hold_back, 64);
  std::vector<std::vector<float>> alone;
  for (const int batch : {1, 3, 5}) alone.push_back(step(4, batch));
  if (held_back.size() != 3) return false;
  for (auto &body : held_back) std::thread(std::move(body)).detach();
  bool ok = true;
  for (int i = 0; i < 20; ++i) {
    for (const int batch : {1, 3, 5}) ok = ok && same(alone[static_cast<size_t>(batch / 2)], step(4, batch));
  }
  return ok;
}

// More threads than cores: none is started for nothing.
bool no_more_threads_than_cores() {
  set_up_pool(hold_back, 2);
  return !step(7, 1).empty() && held_back.size() == 1;
}

// Passes of teams whose threads come in any order, more of them than lanes or fewer: every chunk is done once, in each lane one
// after another, and where it may read beyond the lane's border its neighbours have done all before it.
bool every_chunk_once() {
  const std::vector<int32_t> dilations = {1, 5, 2, 30, 1, 5, 2, 8, 1, 3, 1};
  for (const int lanes : {2, 3, 5, 8}) {
    msd_problem problem = {};
    problem.batch = problem.in_channels = problem.width = problem.n_classes = 1;
    problem.sizes[0] = 1;
    problem.sizes[1] = 150;
    problem.sizes[2] = 700;
    problem.depth = static_cast<int32_t>(dilations.size());
    problem.dilations = dilations.data();
    problem.ndim = 2;
    problem.threads = lanes;
    const Plan plan(problem);
    const Bands &bands = plan.parted;
    for (const int members : {1, 2, lanes, 2 * lanes}) {
      for (const bool backwards : {false, true}) {
        const LayerBlocks &blocks = backwards ? bands.backward : bands.forward;
        Team team(bands, blocks);
        std::vector<std::atomic<int64_t>> done(static_cast<size_t>(team.size()));
        std::atomic<int> wrong{team.size() == lanes ? 0 : 1};
        std::vector<std::thread> threads;
        for (int i = 0; i < members; ++i) {
          threads.emplace_back([&, i] {
            const int home = team.join(i / 2 * 3 % lanes);  // some want the same
            if (home < 0) return;
            team.run(home, [&](const LayerBlock &block, int lane, int64_t chunk) {
              const int64_t number = block.start + chunk;
              if (done[static_cast<size_t>(lane)] != number) ++wrong;
              for (int other = 0; other < team.size(); ++other) {
                const bool reads = chunk < block.head || chunk >= bands.rows / bands.chunk_rows;
                if (!reads || std::abs(other - lane) > bands.neighbours) continue;
                if (done[static_cast<size_t>(other)] < number) ++wrong;
              }
              ++done[static_cast<size_t>(lane)];
            });
          });
        }
        for (std::thread &thread : threads) thread.join();
        for (const auto &count : done) {
          if (count != blocks.chunks()) return false;
        }
        if (wrong) return false;
      }
    }
  }
  return true;
}

// Rows of a ring that are written between chunks `begun` and `ready` at their own lag, and read for rows as far away as `reach`.
struct RingUse {
  const RingPart *part;
  int64_t begun, ready;          // lags
  std::vector<int64_t> readers;  // lags
  int64_t reach;
};

// Of all pairs of rows that are read: the row was written by an earlier chunk (or an earlier step of the same one, in the same
// band), stands alone in its place until it is read for the last time, and across a border the reading chunk is one that waits.
bool ring_holds(const RingUse &use, const Bands &bands, const LayerBlock &block, int64_t rows, int64_t ring_rows) {
  const auto chunk_of = [&](int64_t y, int64_t lag) { return (bands.distance(y) + lag) / bands.chunk_rows; };
  struct Stay {
    int64_t place, from, until;
  };
  std::vector<std::vector<Stay>> stays(static_cast<size_t>(bands.count));
  for (int64_t y = 0; y < rows; ++y) {
    const int64_t ready = chunk_of(y, use.ready);
    Stay stay = {bands.place(*use.part, bands.distance(y)), chunk_of(y, use.begun), ready};
    for (int64_t reader = std::max<int64_t>(0, y - use.reach); reader <= std::min(rows - 1, y + use.reach); ++reader) {
      for (const int64_t lag : use.readers) {
        const int64_t when = chunk_of(reader, lag);
        if (bands.band(reader) == bands.band(y)) {
          if (when < ready) return false;
          stay.until = std::max(stay.until, when);
        } else {
          if (when <= ready) return false;
          if (when >= block.head && when < bands.rows / bands.chunk_rows) return false;
          if (std::abs(bands.band(reader) - bands.band(y)) > bands.neighbours) return false;
          stay.until = block.chunks;  // a neighbour may be behind: until all wait for each other again
        }
      }
    }
    if (stay.place < 0 || use.part->start + (stay.place + 1) * use.part->channels > ring_rows) return false;
    std::vector<Stay> &others = stays[static_cast<size_t>(bands.band(y))];
    for (const Stay &other : others) {
      if (other.place == stay.place && other.from <= stay.until && stay.from <= other.until) return false;
    }
    others.push_back(stay);
  }
  return true;
}

bool rings_hold(const Bands &bands, bool backwards, const std::vector<int64_t> &along_y,
                const std::vector<int64_t> &along_z) {
  const LayerBlocks &blocks = backwards ? bands.backward : bands.forward;
  for (const LayerBlock &block : blocks.all) {
    const size_t n = block.ring.size();
    for (size_t i = 0; i < n; ++i) {
      const int64_t y = along_y[static_cast<size_t>(block.first) + i],
                    z = along_z[static_cast<size_t>(block.first) + i];
      RingUse use = {&block.ring[i], block.late ? block.lags[i] : 0, block.lags[i], {}, y};
      if (backwards) {
        use.begun = use.ready = block.lags[n - 1 - i];
        for (size_t k = n - i; k <= n; ++k) use.readers.push_back(block.lags[k]);
        use.reach = y + z;
      } else {
        use.readers = {block.sums.empty() ? block.lags[i + 1] : block.sum_lags[i]};
      }
      if (!ring_holds(use, bands, block, bands.image_rows, blocks.ring_rows)) return false;
      if (block.sums.empty()) continue;
      const RingUse sums = {&block.sums[i], block.sum_lags[i], block.sum_lags[i], {block.lags[i + 1]}, z};
      if (!ring_holds(sums, bands, block, bands.image_rows, blocks.sum_rows)) return false;
    }
  }
  return true;
}

bool what_is_read_is_there() {
  const std::vector<int32_t> dilations = {1, 5, 2, 30, 1, 5, 2, 8, 1, 3, 1};
  struct Shape {
    int64_t depth, height, width;
    int32_t channels;
  };
  for (const int lanes : {1, 2, 3, 4, 7, 12}) {
    // The last three are too large for a cache, and behind more than 32 maps: what these give is in the ring long before a layer is.
    for (const Shape &shape : {Shape{1, 1, 90000, 1},
                               {1, 9, 10000, 1},
                               {1, 64, 700, 1},
                               {1, 97, 700, 1},
                               {1, 150, 700, 1},
                               {5, 20, 600, 1},
                               {40, 4, 700, 1},
                               {1, 64, 700, 40},
                               {1, 300, 170, 40},
                               {40, 7, 170, 40}}) {
      msd_problem problem = {};
      problem.batch = problem.width = problem.n_classes = 1;
      problem.in_channels = shape.channels;
      problem.sizes[0] = shape.depth;
      problem.sizes[1] = shape.height;
      problem.sizes[2] = shape.width;
      problem.depth = static_cast<int32_t>(dilations.size());
      problem.dilations = dilations.data();
      problem.ndim = shape.depth > 1 ? 3 : 2;
      problem.threads = lanes;
      const Plan plan(problem);
      const bool late = plan.whole.forward.all.front().late;
      if (late != (shape.channels == 1) || (!late && plan.in_cache)) return false;  // not the ways to be checked
      std::vector<int64_t> along_y, along_z;
      for (const int32_t dilation : dilations) {
        along_y.push_back(std::min<int64_t>(dilation, shape.height - 1));
        along_z.push_back(std::min<int64_t>(dilation, shape.depth - 1) * shape.height);
      }
      for (const bool backwards : {false, true}) {
        if (!rings_hold(plan.whole, backwards, along_y, along_z)) return false;
        if (!rings_hold(plan.parted, backwards, along_y, along_z)) return false;
      }
    }
  }
  return true;
}

}  // namespace

int main(int, char **arguments) {
  struct Check {
    const char *name;
    bool (*run)();
  };
  const Check checks[] = {{"a long wait sleeps", a_long_wait_sleeps},
                          {"no wake-up is lost", no_wake_up_is_lost},
                          {"threads cannot be started", threads_that_cannot_be_started},
                          {"threads come late", threads_that_come_late},
                          {"no more threads than cores", no_more_threads_than_cores},
                          {"every chunk once", every_chunk_once},
                          {"what is read is there", what_is_read_is_there}};
  for (const Check &check : checks) {
    if (std::strcmp(arguments[1], check.name) == 0) {
      const bool passed = check.run();
      std::printf("%s: %s\n", check.name, passed ? "passed" : "failed");
      return passed ? 0 : 1;
    }
  }
  std::printf("no check \"%s\"\n", arguments[1]);
  return 2;
}
