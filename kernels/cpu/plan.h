// How one pass is cut up: memory layout, blocks of layers, chunks of rows, and which thread does what.
//
// Layout. An image is `rows` rows (Z*Y in 3-D). Memory holds row after row, and of one row all maps one after
// another: (rows, maps, row_stride). A row of all maps is what every inner loop works on, so it streams from
// memory as one piece, whatever the number of maps. `row_stride` is the width rounded up to 64 bytes (plus 64
// where maps would otherwise share cache sets), zeros in the padding, so that every inner loop works on whole
// aligned vectors. There is no halo: memory does not depend on dilations.
//
// Blocks. The layers of a block are done in one sweep over the rows, so that earlier maps come from memory once
// per block and not once per layer. In the sweep every layer runs as many rows behind the one it reads as its
// taps reach (`lag`): all its rows that others still need are rows of the recent past, kept in a ring.
//
// Chunks. The sweep goes chunk by chunk of `chunk_rows` rows. A team's threads take chunks in turn; a chunk
// waits, step by step, for the one before it (Progress), never for the whole image. So the last chunks of one
// block and the first of the next overlap, and who does what does not depend on timing.
//
// Threads. As many images as there are threads go one to a thread, with no waiting at all; the rest of the
// batch is shared out to equal teams.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_table.h"
#include "napari_msd.h"
#include "thread_pool.h"

namespace napari_msd {

constexpr int64_t cache_line = 64;
constexpr int class_chunk = 8;

// Some whole layers, done in one sweep.
struct Block {
  int64_t first, last;          // hidden channels first .. last - 1
  int64_t maps_outside;         // maps before the block
  std::vector<int64_t> layers;  // first channel of each layer, and `last`
  std::vector<int64_t> reach;   // rows that each layer's taps reach
  int64_t lag;                  // sum of reach
  int64_t chunks;               // of rows, until the last layer has seen the last row

  int n_layers() const { return static_cast<int>(reach.size()); }
};

// How one of the passes goes through the layers.
struct Blocks {
  std::vector<Block> all;  // in the order of the layers
  int64_t channels;        // of the largest block
  int64_t ring_rows;
  int64_t parities;  // 2 where a team's fast threads may run a block ahead of its slow ones

  // Where row y stands in the ring. (32-bit: a division that takes a tenth of the time.)
  int64_t place(int64_t y) const { return static_cast<uint32_t>(y) % static_cast<uint32_t>(ring_rows); }
};

struct Plan {
  explicit Plan(const msd_problem &problem);

  const msd_problem &problem;
  int64_t item;  // bytes of one number
  int64_t rows, width, row_stride, margin;
  int64_t channels, maps, taps, row_taps;
  int64_t weights;     // entries of the packed weights
  int64_t parameters;  // ... of all parameters
  int threads;         // really used: a tiny problem is not worth waking others
  int slots;           // images in flight at once
  int team;            // most threads that work on one image
  int64_t chunk_rows, tile_rows;
  bool in_cache;  // an image's maps stay in the caches from layer to layer
  Blocks forward, backward;

  int64_t layer(int64_t q) const { return q / problem.width; }
  // Maps that hidden channel q sees; also the number of its layer's first map.
  int64_t maps_before(int64_t q) const { return problem.in_channels + layer(q) * problem.width; }
  int64_t weight_offset(int64_t q) const { return weight_offsets_[static_cast<size_t>(q)]; }

  int64_t image_numbers() const { return rows * maps * row_stride; }
  // Per row and channel, the ring holds a row per row tap (forward), three shifted rows (backward).
  int64_t ring_numbers(const Blocks &blocks, int64_t per_channel) const {
    return blocks.parities * blocks.ring_rows * blocks.channels * per_channel * row_stride;
  }
  int64_t forward_ring() const { return ring_numbers(forward, row_taps); }
  int64_t backward_ring() const { return ring_numbers(backward, 3); }
  int64_t padded_stride() const { return row_stride + 2 * margin; }
  int64_t forward_scratch() const;   // numbers per thread
  int64_t backward_scratch() const;  // numbers per thread
  int64_t push_weights() const { return (maps + push_group) * backward.channels * taps; }
  msd_memory memory() const;

 private:
  std::vector<int64_t> weight_offsets_;  // per channel, and the number of weights

  int64_t reach(int64_t q) const;
  Blocks make_blocks(int64_t most_channels) const;
};

// How far each thread of a team has come, counted in steps of chunks; a thread's count only grows.
class Progress {
 public:
  explicit Progress(int size) : size_(size), steps_(new Count[static_cast<size_t>(size)]) {}
  int size() const { return size_; }
  void publish(int rank, int64_t steps) {
    if (size_ > 1) steps_[rank].value.store(steps, std::memory_order_release);
  }
  void wait(int rank, int64_t steps) const;

 private:
  struct alignas(cache_line) Count {
    std::atomic<int64_t> value{0};
  };
  int size_;
  std::unique_ptr<Count[]> steps_;
};

// One thread's part of one image.
struct Share {
  int64_t image;
  int slot, rank;
  Progress *progress;
};

// The images that a thread works on, in order.
class Shares {
 public:
  explicit Shares(const Plan &plan);
  template <class Work>
  void run(int thread, Work &&work) {
    for (int64_t i = 0; i < rounds_; ++i) work(Share{i * plan_.threads + thread, thread, 0, &alone_});
    const int number = rest_ > 0 ? thread / team_size_ : 0;
    if (number >= rest_) return;
    // The team's slot may still be in use by one of its threads.
    barriers_[static_cast<size_t>(number)].wait();
    work(Share{rounds_ * plan_.threads + number, rounds_ > 0 ? number * team_size_ : number, thread % team_size_,
               &progress_[static_cast<size_t>(number)]});
  }

 private:
  const Plan &plan_;
  int64_t rounds_;
  int rest_, team_size_;
  Progress alone_{1};
  std::vector<Barrier> barriers_;
  std::vector<Progress> progress_;
};

// The chunks of a sweep over all blocks, as one thread of a team meets them: every size()-th one.
//
// Work on a chunk says done() after each of its steps: from then on it may use what that step of all earlier chunks
// gave. after_previous() waits for a step without having done it.
class Sweep {
 public:
  Sweep(const Plan &plan, const Blocks &blocks, const Share &share, bool backwards)
      : plan_(plan), blocks_(blocks), share_(share), backwards_(backwards) {
    for (const Block &block : blocks.all) most_steps_ = std::max<int64_t>(most_steps_, block.n_layers() + 2);
  }

  // work(block, chunk, parity, first) for all chunks; `first`: of those that this thread does of the block.
  template <class Work>
  void run(Work &&work) {
    const int64_t n = static_cast<int64_t>(blocks_.all.size());
    const int size = share_.progress->size();
    int64_t start = 0;
    for (int64_t i = 0; i < n; ++i) {
      const Block &block = blocks_.all[static_cast<size_t>(backwards_ ? n - 1 - i : i)];
      bool first = true;
      for (int64_t chunk = (share_.rank - start % size + size) % size; chunk < block.chunks; chunk += size) {
        number_ = start + chunk;
        if (i > 0) {
          // What the block before gives to these rows; and all threads are done with the one before that.
          const int64_t behind = (lag_before_ + plan_.chunk_rows - 1) / plan_.chunk_rows;
          const int64_t last = std::min(chunk + std::max<int64_t>(behind, size), chunks_before_ - 1);
          wait_for(start - chunks_before_ + last, most_steps_);
        }
        work(block, chunk, static_cast<int>(i % blocks_.parities), first);
        first = false;
        done(most_steps_ - 1);
      }
      start += block.chunks;
      lag_before_ = block.lag;
      chunks_before_ = block.chunks;
    }
  }

  // Wait until the chunk before this one has done its step number `step`.
  void after_previous(int64_t step) const {
    if (number_ > 0) wait_for(number_ - 1, step + 1);
  }
  // This chunk has done its step; said only once all chunks before it have.
  void done(int64_t step) const {
    after_previous(step);
    share_.progress->publish(share_.rank, number_ * most_steps_ + step + 1);
  }

 private:
  void wait_for(int64_t number, int64_t steps) const {
    const int size = share_.progress->size();
    if (size > 1) share_.progress->wait(static_cast<int>(number % size), number * most_steps_ + steps);
  }

  const Plan &plan_;
  const Blocks &blocks_;
  const Share share_;
  const bool backwards_;
  int64_t most_steps_ = 0, number_ = 0, lag_before_ = 0, chunks_before_ = 0;
};

// Rows first .. last - 1.
struct Rows {
  int64_t first, last;
};

// A chunk's rows, `lag` rows earlier, as far as they are rows of the image.
inline Rows rows_of(const Plan &plan, int64_t chunk, int64_t lag) {
  const int64_t first = chunk * plan.chunk_rows - lag, last = first + plan.chunk_rows;
  return {first < 0 ? 0 : first, last < plan.rows ? last : plan.rows};
}

}  // namespace napari_msd
