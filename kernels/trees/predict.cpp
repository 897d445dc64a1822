// Walking pixels through trees.
//
// A step down a tree waits for two loads, one after the other; so several pixels walk through a tree together, without
// branches, and their waits overlap. A pixel in a leaf stays there. After some steps those that have not arrived yet are
// moved together: some leaves are twice as deep as most. A tree stays in the cache for a whole block of pixels.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "in_turn.h"
#include "trees.h"

namespace napari_msd {
namespace {

constexpr int lanes = 16;       // pixels that walk together
constexpr int block = 256;      // pixels that go through all trees before the next ones do; a multiple of `lanes`
constexpr int first_steps = 8;  // before the first look which pixels have arrived: hardly any
constexpr int later_steps = 4;  // between later looks
constexpr uint32_t step_mask = MSD_TREES_MAX_STEP - 1;
constexpr float infinity = std::numeric_limits<float>::infinity();

// A leaf asks for feature 0, has an infinite threshold and step 0: whoever is in it stays.
struct Node {
  float threshold;
  uint32_t feature_and_step;  // 12 bits, 20 bits: the left child is so many nodes further
};

// A forest that was found to be one.
struct Packed {
  std::vector<Node> nodes;
  std::vector<float> answers;  // (leaves, row) with zeros after the classes
  int64_t row;                 // a multiple of 4, so that vectors are added up
  const msd_forest &forest;
};

bool pack(Packed &packed) {
  const msd_forest &forest = packed.forest;
  packed.nodes.resize(static_cast<size_t>(forest.nodes));
  for (int64_t i = 0; i < forest.nodes; ++i) {
    const int64_t child = forest.child[i], step = child - i;
    const int32_t feature = forest.feature[i];
    Node &node = packed.nodes[static_cast<size_t>(i)];
    if (feature == -1) {
      if (child < 0 || child >= forest.leaves) return false;
      node = Node{infinity, 0};
      continue;
    }
    if (feature < 0 || feature >= forest.features || !std::isfinite(forest.threshold[i])) return false;
    if (step < 1 || step >= MSD_TREES_MAX_STEP || child + 1 >= forest.nodes) return false;
    node = Node{forest.threshold[i], static_cast<uint32_t>(feature) << 20 | static_cast<uint32_t>(step)};
  }
  for (int32_t t = 0; t < forest.trees; ++t) {
    if (forest.roots[t] < 0 || forest.roots[t] >= forest.nodes) return false;
  }
  packed.row = (int64_t{forest.classes} + 3) / 4 * 4;
  packed.answers.assign(static_cast<size_t>(forest.leaves * packed.row), 0.0f);
  for (int64_t leaf = 0; leaf < forest.leaves; ++leaf) {
    std::copy_n(forest.answers + leaf * forest.classes, forest.classes, packed.answers.data() + leaf * packed.row);
  }
  return true;
}

// Pixels of a block that have not arrived at a leaf, and where they are.
struct Walking {
  uint32_t at[block];
  uint32_t pixel[block];
};

// Lets the first `count` pixels take `steps` steps, tells `leaves` where each is then, and moves those together that are
// not in a leaf; returns how many. The last group is filled up with whatever lies behind: pixels and nodes of this tree
// or an earlier one, whose steps are not told.
template <int steps>
int walk(const Node *nodes, const float *values, Walking &walking, int count, uint32_t *leaves) {
  int kept = 0;
  for (int first = 0; first < count; first += lanes) {
    uint32_t at[lanes], pixel[lanes];
    for (int l = 0; l < lanes; ++l) {
      at[l] = walking.at[first + l];
      pixel[l] = walking.pixel[first + l];
    }
    for (int step = 0; step < steps; ++step) {
      for (int l = 0; l < lanes; ++l) {
        const Node node = nodes[at[l]];
        const float x = values[(node.feature_and_step >> 20) * size_t{block} + pixel[l]];
        at[l] += (node.feature_and_step & step_mask) + !(x <= node.threshold);
      }
    }
    const int last = count - first < lanes ? count - first : lanes;
    for (int l = 0; l < last; ++l) {
      leaves[pixel[l]] = at[l];
      walking.at[kept] = at[l];
      walking.pixel[kept] = pixel[l];
      kept += nodes[at[l]].feature_and_step != 0;
    }
  }
  return kept;
}

class Walker {
 public:
  Walker(const Packed &packed, const float *features, int64_t pixels, int64_t row_stride, float *answers)
      : packed_(packed), features_(features), pixels_(pixels), row_stride_(row_stride), answers_(answers),
        values_(static_cast<size_t>(packed.forest.features) * block), sums_(static_cast<size_t>(packed.row) * block) {}

  void operator()(int64_t number) {
    const int64_t first = number * block;
    const int count = static_cast<int>(std::min<int64_t>(block, pixels_ - first));
    const int filled = (count + lanes - 1) / lanes * lanes;
    read(first, count, filled);
    std::fill(sums_.begin(), sums_.end(), 0.0f);
    const msd_forest &forest = packed_.forest;
    const Node *nodes = packed_.nodes.data();
    for (int32_t t = 0; t < forest.trees; ++t) {
      for (uint32_t i = 0; i < block; ++i) {
        walking_.at[i] = static_cast<uint32_t>(forest.roots[t]);
        walking_.pixel[i] = i;
      }
      int walking = walk<first_steps>(nodes, values_.data(), walking_, filled, leaves_);
      while (walking > 0) walking = walk<later_steps>(nodes, values_.data(), walking_, walking, leaves_);
      packed_.row == 4 ? add<4>(count, 4) : add<0>(count, packed_.row);
    }
    const float trees = static_cast<float>(forest.trees);
    for (int32_t c = 0; c < forest.classes; ++c) {
      for (int i = 0; i < count; ++i)
        answers_[c * pixels_ + first + i] = sums_[static_cast<size_t>(i * packed_.row + c)] / trees;
    }
  }

 private:
  // Infinity stands for NaN: it goes right as well, but stays in a leaf.
  void read(int64_t first, int count, int filled) {
    for (int32_t f = 0; f < packed_.forest.features; ++f) {
      const float *from = features_ + f * row_stride_ + first;
      float *to = values_.data() + f * static_cast<int64_t>(block);
      for (int i = 0; i < count; ++i) to[i] = from[i] == from[i] ? from[i] : infinity;
      std::fill(to + count, to + filled, 0.0f);
    }
  }

  template <int known_row>
  void add(int count, int64_t any_row) {
    const int64_t row = known_row > 0 ? known_row : any_row;
    for (int i = 0; i < count; ++i) {
      const float *answer = packed_.answers.data() + packed_.forest.child[leaves_[i]] * row;
      float *sum = sums_.data() + i * row;
      for (int64_t c = 0; c < row; c += 4) {
        float four[4];  // a copy, so that the compiler may load, add and store them at once
        for (int j = 0; j < 4; ++j) four[j] = sum[c + j] + answer[c + j];
        for (int j = 0; j < 4; ++j) sum[c + j] = four[j];
      }
    }
  }

  const Packed &packed_;
  const float *features_;
  const int64_t pixels_, row_stride_;
  float *answers_;
  std::vector<float> values_;  // (features, block)
  std::vector<float> sums_;    // (block, row)
  Walking walking_;
  uint32_t leaves_[block];
};

}  // namespace

msd_trees_error predict(const msd_forest &forest, const float *features, int64_t pixels, int64_t row_stride,
                        int threads, float *answers) {
  Packed packed{{}, {}, 0, forest};
  if (!pack(packed)) return MSD_TREES_BAD_ARGUMENT;
  return in_turn(threads, (pixels + block - 1) / block,
                 [&] { return Walker(packed, features, pixels, row_stride, answers); });
}

}  // namespace napari_msd
