// Who does what of a pass. The plan cuts it into pieces of work whose order and whose places in memory are fixed; threads
// take the next piece as they come, so a pass needs none of them in particular, and gives the same bits with fewer.
//
// Lanes. A plan for t threads has t lanes. First, lane by lane, whole images: a lane's images one after another, with no
// waiting at all. Each image of the rest of the batch has a team of lanes: its chunks of rows (plan.h) belong to the
// team's lanes in turn, and a chunk waits, step by step, for the one before it, never for the whole image. Sums of
// parameter gradients are kept per lane, so they do not depend on which thread did what.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>

#include "plan.h"
#include "progress.h"

namespace napari_msd {

// The lanes that work on one image, and the threads that do their work.
class Team {
 public:
  explicit Team(int size) : lanes_(static_cast<size_t>(size)) {}
  int size() const { return static_cast<int>(lanes_.size()); }
  Progress &lane(int64_t chunk) { return lanes_[static_cast<size_t>(chunk % size())]; }
  int64_t take_chunk() { return next_.fetch_add(1, std::memory_order_relaxed); }

  // Whether there is room for one more thread: more than lanes could only wait for each other.
  bool join() { return members_.fetch_add(1, std::memory_order_relaxed) < size(); }

 private:
  std::deque<Progress> lanes_;
  // On a cache line of its own: each write takes the line from all others, who read what stands above all the time.
  alignas(cache_line) std::atomic<int64_t> next_{0};
  std::atomic<int> members_{0};
};

// One image of a pass, for one thread.
struct Share {
  int64_t image;
  int slot;
  int lane;    // the first of the team's
  Team *team;  // null: the image is this thread's alone
};

class Shares {
 public:
  explicit Shares(const Plan &plan);

  // work(share) for images and parts of images, until nothing is left to take. The calling thread is number 0; once it
  // and all others have returned, everything is done.
  template <class Work>
  void run(int thread, Work &&work) {
    for (int lane = next_lane_++; rounds_ > 0 && lane < plan_.threads; lane = next_lane_++) {
      for (int64_t i = 0; i < rounds_; ++i) work(Share{i * plan_.threads + lane, lane, lane, nullptr});
      lanes_done_[static_cast<size_t>(lane)].publish(1);
    }
    for (int i = 0; i < rest_; ++i) {
      const int number = (thread / team_size_ + i) % rest_, first = number * team_size_;
      Team &team = teams_[static_cast<size_t>(number)];
      if (!team.join()) continue;
      // The lanes' places in memory may still be in use for whole images.
      for (int lane = first; rounds_ > 0 && lane < first + team_size_; ++lane) {
        lanes_done_[static_cast<size_t>(lane)].wait(1);
      }
      work(Share{rounds_ * plan_.threads + number, rounds_ > 0 ? first : number, first, &team});
    }
  }

 private:
  const Plan &plan_;
  int64_t rounds_;
  int rest_, team_size_;
  std::atomic<int> next_lane_{0};
  std::deque<Progress> lanes_done_;
  std::deque<Team> teams_;
};

// The chunks of a sweep over all blocks, as far as this thread takes them.
//
// Work on a chunk says done() after each of its steps: from then on it may use what that step of all earlier chunks
// gave. after_previous() waits for a step without having done it.
class Sweep {
 public:
  Sweep(const Plan &plan, const Blocks &blocks, const Share &share, bool backwards)
      : plan_(plan), blocks_(blocks), team_(share.team), lane_(share.lane), backwards_(backwards) {
    for (const Block &block : blocks.all) most_steps_ = std::max<int64_t>(most_steps_, block.n_layers() + 2);
  }

  // work(block, chunk, parity, first) for chunks; `first`: of those that this thread does of the block.
  template <class Work>
  void run(Work &&work) {
    const int64_t n = static_cast<int64_t>(blocks_.all.size());
    int64_t start = 0, i = 0, last = -1;
    for (;;) {
      number_ = team_ ? team_->take_chunk() : number_ + 1;
      while (i < n && number_ - start >= block(i).chunks) start += block(i++).chunks;
      if (i == n) return;
      const int64_t chunk = number_ - start;
      if (team_) {
        // The lane's chunk before this one: then all others under way are less than a team behind each other, and for
        // so many there is room in the ring.
        wait_for(number_ - team_->size(), most_steps_);
        if (i > 0) {
          // What the block before gives to these rows.
          const int64_t behind = (block(i - 1).lag + plan_.chunk_rows - 1) / plan_.chunk_rows;
          const int64_t before = block(i - 1).chunks;
          wait_for(start - before + std::min(chunk + std::max<int64_t>(behind, team_->size()), before - 1), most_steps_);
        }
      }
      work(block(i), chunk, static_cast<int>(i % blocks_.parities), i != last);
      last = i;
      done(most_steps_ - 1);
    }
  }

  int lane() const { return lane_ + (team_ ? static_cast<int>(number_ % team_->size()) : 0); }

  // Wait until the chunk before this one has done its step number `step`.
  void after_previous(int64_t step) const { wait_for(number_ - 1, step + 1); }
  // This chunk has done its step; said only once all chunks before it have.
  void done(int64_t step) const {
    if (!team_ || team_->size() == 1) return;
    after_previous(step);
    team_->lane(number_).publish(number_ * most_steps_ + step + 1);
  }

 private:
  const Block &block(int64_t i) const {
    const int64_t n = static_cast<int64_t>(blocks_.all.size());
    return blocks_.all[static_cast<size_t>(backwards_ ? n - 1 - i : i)];
  }
  void wait_for(int64_t number, int64_t steps) const {
    if (!team_ || team_->size() == 1 || number < 0) return;
    team_->lane(number).wait(number * most_steps_ + steps);
  }

  const Plan &plan_;
  const Blocks &blocks_;
  Team *const team_;
  const int lane_;
  const bool backwards_;
  int64_t most_steps_ = 0, number_ = -1;
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
