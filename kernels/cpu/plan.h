// How one pass is cut up: memory layout, blocks of channels, and which threads do which image's rows.
//
// Layout. A plane (one map of one image) is `rows` rows of `row_stride` numbers: the width rounded up to
// 64 bytes, zeros in the padding, so that every inner loop works on whole aligned vectors. There is no halo:
// the boundary is handled where tap products are gathered. Planes lie an odd number of cache lines apart, or
// the same pixel of 100 maps would fall into one cache set for the usual powers of two.
//
// Blocks. `block_channels` hidden channels are done together: what earlier maps contribute to all of them is
// computed in one sweep, tile by tile, so that a tile of every earlier map comes from memory once per block
// and not once per channel. What they contribute to each other follows channel by channel.
//
// Threads. As many images as there are threads go one to a thread, with no waiting at all; the rest of the
// batch is shared out to equal teams, each thread owning a range of rows, with a barrier per layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "napari_msd.h"
#include "thread_pool.h"

namespace napari_msd {

constexpr int64_t cache_line = 64;
constexpr int block_channels = 4;
constexpr int class_chunk = 8;

struct Plan {
  explicit Plan(const msd_problem &problem);

  const msd_problem &problem;
  int64_t item;  // bytes of one number
  int64_t rows, width, row_stride, plane_stride;
  int64_t tile_rows, tile_stride;
  int64_t channels, maps, taps;
  int64_t weights;     // entries of the packed weights
  int64_t parameters;  // ... of all parameters
  int threads;         // really used: a tiny problem is not worth waking others
  int slots;           // images in flight at once
  int parities;        // 2 where a team's fast threads may run a block ahead of its slow ones

  int64_t layer(int64_t q) const { return q / problem.width; }
  // Maps that hidden channel q sees; also the number of its layer's first map.
  int64_t maps_before(int64_t q) const { return problem.in_channels + layer(q) * problem.width; }
  int64_t weight_offset(int64_t q) const;

  int64_t product_planes() const { return parities * block_channels * taps; }
  int64_t shifted_planes() const { return parities * block_channels * 3; }
  int64_t forward_scratch() const;   // numbers per thread
  int64_t backward_scratch() const;  // numbers per thread
  msd_memory memory() const;
};

// One thread's part of one image.
struct Share {
  int64_t image;
  int slot;
  int64_t first_row, last_row;
  Barrier *barrier;
};

// The images that a thread works on, in order.
class Shares {
 public:
  explicit Shares(const Plan &plan);
  template <class Work>
  void run(int thread, Work &&work) {
    for (int64_t i = 0; i < rounds_; ++i) work(Share{i * plan_.threads + thread, thread, 0, plan_.rows, &alone_});
    const int team = rest_ > 0 ? thread / team_size_ : 0;
    if (team >= rest_) return;
    const int rank = thread % team_size_;
    Barrier *barrier = &barriers_[static_cast<size_t>(team)];
    barrier->wait();  // the team's slot may still be in use by one of its threads
    work(Share{rounds_ * plan_.threads + team, rounds_ > 0 ? team * team_size_ : team,
               plan_.rows * rank / team_size_, plan_.rows * (rank + 1) / team_size_, barrier});
  }

 private:
  const Plan &plan_;
  int64_t rounds_;
  int rest_, team_size_;
  Barrier alone_{1};
  std::vector<Barrier> barriers_;
};

}  // namespace napari_msd
