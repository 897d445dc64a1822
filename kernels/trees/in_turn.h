// Pieces of work that threads take in turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include "flush_subnormals.h"
#include "napari_msd_trees.h"
#include "thread_pool.h"

namespace napari_msd {

// Calls work(first), work(later), ... for all pieces 0 .. pieces - 1, each once. `start()` is called once per thread and
// returns its `work`, which owns what that thread needs. What is thrown becomes an error; the other pieces may be left out.
template <class Start>
msd_trees_error in_turn(int threads, int64_t pieces, const Start &start) {
  struct Job {
    const Start &start;
    const int64_t pieces;
    std::atomic<int64_t> next{0};
    std::atomic<msd_trees_error> error{MSD_TREES_OK};
  } job{start, pieces};
  const auto task = [](void *context, int) {
    Job &all = *static_cast<Job *>(context);
    const KeepSubnormals keeping;  // the pool treats them as zero, NumPy does not
    try {
      int64_t mine = all.next++;
      if (mine >= all.pieces) return;
      auto work = all.start();
      for (; mine < all.pieces && all.error == MSD_TREES_OK; mine = all.next++) work(mine);
    } catch (const std::bad_alloc &) {
      all.error = MSD_TREES_OUT_OF_MEMORY;
    } catch (...) {
      all.error = MSD_TREES_INTERNAL;
    }
  };
  run_in_parallel(threads, task, &job);
  return job.error;
}

}  // namespace napari_msd
