// Who does what of a pass. The plan cuts it into pieces of work whose order and whose places in memory are fixed; threads
// take the next piece as they come, so a pass needs none of them in particular, and gives the same bits with fewer.
//
// Lanes. A plan for t threads has t lanes. First, lane by lane, whole images: a lane's images one after another, with no
// waiting at all. Each image of the rest of the batch has a team of lanes, a band of rows each (plan.h). A lane may wait
// for its neighbours where it reads beyond its border: at the beginning and at the end of a sweep. Sums of parameter
// gradients are kept per lane, so they do not depend on which thread did what.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <deque>
#include <vector>

#include "plan.h"
#include "progress.h"

namespace napari_msd {

// The lanes that work on one image, and the threads that do their work.
//
// What a lane waits for are earlier chunks of its neighbours, never the same one. So of all lanes that have not come to
// their end the one that is farthest behind waits for nobody: whoever follows the chain of what is waited for finds
// a lane that can go on, or one that some thread is working on.
class Team {
 public:
  Team(const Bands &bands, const LayerBlocks &blocks)
      : bands_(bands), blocks_(blocks), chunks_(blocks.chunks()), lanes_(static_cast<size_t>(bands.count)) {}

  // A lane for one more thread to stay with, `wanted` if nobody has; -1: all have somebody, one more could only wait.
  int join(int wanted) {
    for (int i = 0; i < size(); ++i) {
      const int home = (wanted + i) % size();
      if (!lane(home).joined.exchange(true, std::memory_order_relaxed)) return home;
    }
    return -1;
  }
  int size() const { return bands_.count; }

  // work(block, lane, chunk) for chunks, in each lane one after another, until all are done: of lane `home` as long as
  // it has any, and of others where it waits for them. A lane that waits is no one's, so that nobody depends on a
  // thread that waits.
  template <class Work>
  void run(int home, Work &&work) {
    for (int ended = 0; ended < size();) {
      const int64_t come = lane(home).done.count();
      assert(come <= chunks_);  // no chunk is done twice
      if (come == chunks_) {
        home = (home + 1) % size();
        ++ended;
        continue;
      }
      ended = 0;
      int next = home;
      for (int awaited = home; awaited >= 0;) {
        next = awaited;
        awaited = waits_for(next);
      }
      const int64_t count = lane(next).done.count();
      if (count == chunks_ || waits_for(next) >= 0) continue;  // somebody has done it meanwhile
      if (lane(next).taken.exchange(true, std::memory_order_seq_cst)) {
        lane(next).done.wait(count + 1);
        continue;
      }
      do {
        if (!step(next, work)) break;
      } while (next == home);
      lane(next).taken.store(false, std::memory_order_seq_cst);
    }
  }

 private:
  struct Lane {
    Progress done;  // chunks of the pass
    // On a cache line of its own: neighbours read what stands above.
    alignas(cache_line) std::atomic<bool> taken{false};
    size_t block = 0;  // that the next chunk belongs to
    std::atomic<bool> joined{false};
  };

  Lane &lane(int i) { return lanes_[static_cast<size_t>(i)]; }

  // A neighbour that has not come as far as lane i's next chunk needs; -1: none, or the lane is at its end.
  int waits_for(int i) {
    const int64_t number = lane(i).done.count();
    const LayerBlock *block = &blocks_.all.back();
    if (number == chunks_) return -1;
    if (size() == 1) return -1;
    for (const LayerBlock &one : blocks_.all) {
      if (number < one.start + one.chunks) {
        block = &one;
        break;
      }
    }
    const int64_t chunk = number - block->start;
    // In between, a chunk reads and overwrites nothing beyond the lane's own band.
    if (chunk >= block->head && chunk < bands_.rows / bands_.chunk_rows) return -1;
    const int last = std::min(i + bands_.neighbours, size() - 1);
    for (int other = std::max(0, i - bands_.neighbours); other <= last; ++other) {
      if (lane(other).done.count() < number) return other;
    }
    return -1;
  }

  template <class Work>
  bool step(int i, Work &&work) {
    Lane &its = lane(i);
    const int64_t number = its.done.count();
    if (number == chunks_ || waits_for(i) >= 0) return false;
    while (number >= blocks_.all[its.block].start + blocks_.all[its.block].chunks) ++its.block;
    const LayerBlock &block = blocks_.all[its.block];
    assert(number >= block.start && number < block.start + block.chunks);
    work(block, i, number - block.start);
    assert(its.done.count() == number);  // a lane's chunks are done one after another, by one thread at a time
    its.done.publish(number + 1);
    return true;
  }

  const Bands &bands_;
  const LayerBlocks &blocks_;
  const int64_t chunks_;
  std::deque<Lane> lanes_;
};

// One image of a pass, for one thread.
struct Share {
  int64_t image;
  int slot;
  int lane;    // the first of the image's
  int home;    // of the team's lanes, the one that this thread stays with
  Team *team;  // null: the image is this thread's alone
  const Bands *bands;
  const LayerBlocks *blocks;

  // work(block, lane of the image, chunk) for this thread's part of the image.
  template <class Work>
  void run(Work &&work) const {
    if (team) return team->run(home, work);
    for (const LayerBlock &block : blocks->all) {
      for (int64_t chunk = 0; chunk < block.chunks; ++chunk) work(block, 0, chunk);
    }
  }
};

class Shares {
 public:
  Shares(const Plan &plan, bool backwards);

  // work(share) for images and parts of images, until nothing is left to take. The calling thread is number 0; once it
  // and all others have returned, everything is done.
  template <class Work>
  void run(int thread, Work &&work) {
    const Bands &whole = plan_.whole, &parted = plan_.parted;
    // A thread takes its own lane first: what the pass before left there is in its core's caches.
    for (int k = 0; plan_.rounds > 0 && k < plan_.threads; ++k) {
      const int lane = (thread + k) % plan_.threads;
      if (lanes_taken_[static_cast<size_t>(lane)].exchange(true, std::memory_order_relaxed)) continue;
      for (int64_t i = 0; i < plan_.rounds; ++i) {
        work(Share{i * plan_.threads + lane, lane, lane, 0, nullptr, &whole, &blocks(whole)});
      }
      lanes_done_[static_cast<size_t>(lane)].publish(1);
    }
    for (int i = 0; i < plan_.rest; ++i) {
      const int number = (thread / plan_.team + i) % plan_.rest, first = number * plan_.team;
      Team &team = teams_[static_cast<size_t>(number)];
      const int home = team.join(thread % plan_.team);
      if (home < 0) continue;
      // The lanes' places in memory may still be in use for whole images.
      for (int lane = first; plan_.rounds > 0 && lane < first + plan_.team; ++lane) {
        lanes_done_[static_cast<size_t>(lane)].wait(1);
      }
      work(Share{plan_.rounds * plan_.threads + number, plan_.rounds > 0 ? first : number, first, home, &team, &parted,
                 &blocks(parted)});
    }
  }

 private:
  const LayerBlocks &blocks(const Bands &bands) const { return backwards_ ? bands.backward : bands.forward; }

  const Plan &plan_;
  const bool backwards_;
  std::vector<std::atomic<bool>> lanes_taken_;
  std::deque<Progress> lanes_done_;
  std::deque<Team> teams_;
};

}  // namespace napari_msd
