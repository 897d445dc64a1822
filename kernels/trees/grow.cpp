// Growing trees, one per thread at a time, each level after level, so that children are numbered as NumPy numbers them.
//
// What decides a split are counts of samples and the extremes of features, both without rounding, and then a few
// products in double in a fixed order: the same samples in any order give the same bits.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "chance.h"
#include "in_turn.h"
#include "trees.h"

#if defined(_MSC_VER) && !defined(__clang__)
#pragma fp_contract(off)  // a multiply-add with one rounding would not be what NumPy computes
#endif

namespace napari_msd {
namespace {

constexpr float largest = std::numeric_limits<float>::max();
constexpr float infinity = std::numeric_limits<float>::infinity();

// What all trees are grown from.
struct Samples {
  const msd_growth &growth;
  const int32_t *labels;
  const int32_t *groups;
  const double *class_weights;
  std::vector<float> columns;  // (features, samples): infinite features as the largest finite ones, -0 as 0

  const float *column(int32_t feature) const { return columns.data() + feature * growth.samples; }
};

std::vector<float> clean_columns(const msd_growth &growth, const float *features) {
  const int64_t n = growth.samples, count = growth.features;
  std::vector<float> columns(static_cast<size_t>(n * count));
  constexpr int64_t tile = 16;  // what is read and what is written both stay in the cache
  for (int64_t first = 0; first < n; first += tile) {
    const int64_t end = std::min(n, first + tile);
    for (int64_t f = 0; f < count; ++f) {
      float *column = columns.data() + f * n;
      for (int64_t i = first; i < end; ++i) {
        float x = features[i * count + f];
        x = x > largest ? largest : x;
        x = x < -largest ? -largest : x;
        column[i] = x + 0.0f;
      }
    }
  }
  return columns;
}

struct Node {
  int32_t begin, end;  // its samples, in Tree::rows_
  int32_t depth;
};

struct Split {
  int32_t feature = -1;
  float threshold = 0;
  double score = -1;
};

// Grows one tree after another into its place in the forest.
class Grower {
 public:
  Grower(const Samples &samples, msd_forest &forest, int64_t leaves_per_tree)
      : samples_(samples), growth_(samples.growth), forest_(forest), leaves_per_tree_(leaves_per_tree) {
    const size_t n = static_cast<size_t>(growth_.samples), k = static_cast<size_t>(growth_.classes);
    rows_.resize(n);
    right_.resize(n);
    values_.resize(n);
    units_.resize(n);
    counts_.resize(k);
    left_.resize(k);
    order_.resize(static_cast<size_t>(growth_.features));
    for (int32_t f = 0; f < growth_.features; ++f) order_[static_cast<size_t>(f)] = f;
    places_.resize(order_.size());
    // All classes' counts in one number, where each has enough bits.
    bits_ = growth_.classes <= 32 ? 64 / growth_.classes : 0;
    if (bits_ > 32) bits_ = 32;
    packed_below_ = bits_ > 0 ? int64_t{1} << bits_ : 0;
  }

  // How many nodes and leaves the tree has.
  void grow(int64_t tree, int32_t &nodes, int32_t &leaves) {
    const int64_t first = tree * (2 * leaves_per_tree_ - 1);
    feature_ = forest_.feature + first;
    threshold_ = forest_.threshold + first;
    child_ = forest_.child + first;
    answers_ = forest_.answers + tree * leaves_per_tree_ * growth_.classes;
    const uint64_t key = drawn(growth_.seed, static_cast<uint64_t>(tree));
    pending_.assign(1, Node{0, choose_samples(tree), 0});
    leaves = 0;
    for (size_t number = 0; number < pending_.size(); ++number) {
      const Node node = pending_[number];  // a copy: the list grows
      const bool pure = count_classes(node);
      Split split;
      if (!pure && node.end - node.begin >= 2 * int64_t{growth_.min_leaf} && node.depth < MSD_TREES_MAX_DEPTH) {
        split = best_split(node, drawn(key, static_cast<uint64_t>(number)));
      }
      feature_[number] = split.feature;
      threshold_[number] = split.threshold;
      if (split.feature < 0) {
        child_[number] = leaves;
        answer(leaves++);
        continue;
      }
      child_[number] = static_cast<int32_t>(pending_.size());
      const int32_t middle = partition(node, split);
      pending_.push_back(Node{node.begin, middle, node.depth + 1});
      pending_.push_back(Node{middle, node.end, node.depth + 1});
    }
    nodes = static_cast<int32_t>(pending_.size());
  }

 private:
  int32_t choose_samples(int64_t tree) {
    const int32_t n = static_cast<int32_t>(growth_.samples), folds = growth_.folds;
    const int32_t fold = folds > 0 ? static_cast<int32_t>(tree % folds) : 0;
    int32_t count = 0;
    for (int32_t i = 0; i < n; ++i) {
      rows_[static_cast<size_t>(count)] = i;
      count += folds == 0 || samples_.groups[i] % folds != fold;
    }
    return count;
  }

  bool packed(const Node &node) const { return node.end - node.begin < packed_below_; }

  // Fills counts_; says whether all samples are of one class.
  bool count_classes(const Node &node) {
    std::fill(counts_.begin(), counts_.end(), 0);
    const bool pack = packed(node);
    for (int32_t i = node.begin; i < node.end; ++i) {
      const int32_t label = samples_.labels[rows_[static_cast<size_t>(i)]];
      ++counts_[static_cast<size_t>(label)];
      units_[static_cast<size_t>(i - node.begin)] =
          pack ? uint64_t{1} << (bits_ * label) : static_cast<uint64_t>(label);
    }
    return *std::max_element(counts_.begin(), counts_.end()) == node.end - node.begin;
  }

  Split best_split(const Node &node, uint64_t key) {
    Split best;
    int32_t found = 0, visit = 0;
    for (; visit < growth_.features && found < growth_.candidates; ++visit) {
      // The next feature of a random order (Fisher & Yates): each is visited once at most.
      const int32_t place = visit + whole(drawn(key, 2 * static_cast<uint64_t>(visit)), growth_.features - visit);
      std::swap(order_[static_cast<size_t>(visit)], order_[static_cast<size_t>(place)]);
      places_[static_cast<size_t>(visit)] = place;
      const int32_t feature = order_[static_cast<size_t>(visit)];
      float low, high;
      read_feature(node, feature, low, high);
      if (!(low < high)) continue;
      ++found;
      const double share = uniform(drawn(key, 2 * static_cast<uint64_t>(visit) + 1));
      float threshold = static_cast<float>(double{low} + share * (double{high} - double{low}));
      if (!(threshold < high)) threshold = low;
      count_left(node, threshold);
      const double score = purity();
      if (score > best.score) best = Split{feature, threshold, score};
    }
    while (visit-- > 0) {  // back in order, for the next node
      std::swap(order_[static_cast<size_t>(visit)], order_[static_cast<size_t>(places_[static_cast<size_t>(visit)])]);
    }
    return best;
  }

  // Fills values_ with a node's feature; its extremes, NaN left out.
  void read_feature(const Node &node, int32_t feature, float &low, float &high) {
    constexpr int32_t lanes = 8;
    const float *column = samples_.column(feature);
    const int32_t *rows = rows_.data() + node.begin;
    const int32_t n = node.end - node.begin;
    float *values = values_.data();
    float lows[lanes], highs[lanes];
    std::fill_n(lows, lanes, infinity);
    std::fill_n(highs, lanes, -infinity);
    int32_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      for (int32_t l = 0; l < lanes; ++l) values[i + l] = column[rows[i + l]];
      for (int32_t l = 0; l < lanes; ++l) {
        lows[l] = values[i + l] < lows[l] ? values[i + l] : lows[l];
        highs[l] = values[i + l] > highs[l] ? values[i + l] : highs[l];
      }
    }
    for (; i < n; ++i) {
      values[i] = column[rows[i]];
      lows[0] = values[i] < lows[0] ? values[i] : lows[0];
      highs[0] = values[i] > highs[0] ? values[i] : highs[0];
    }
    low = *std::min_element(lows, lows + lanes);
    high = *std::max_element(highs, highs + lanes);
  }

  // Fills left_ with how many samples of each class have values_ <= threshold.
  void count_left(const Node &node, float threshold) {
    const int32_t n = node.end - node.begin;
    const float *values = values_.data();
    const uint64_t *units = units_.data();
    if (packed(node)) {
      uint64_t sum = 0;
      // A mask, not a condition: no processor foresees on which side of a random threshold a sample lies.
      for (int32_t i = 0; i < n; ++i) sum += units[i] & (uint64_t{0} - static_cast<uint64_t>(values[i] <= threshold));
      const uint64_t mask = static_cast<uint64_t>(packed_below_ - 1);
      for (size_t c = 0; c < left_.size(); ++c)
        left_[c] = static_cast<int32_t>((sum >> (bits_ * static_cast<int>(c))) & mask);
      return;
    }
    std::fill(left_.begin(), left_.end(), 0);
    for (int32_t i = 0; i < n; ++i) left_[static_cast<size_t>(units[i])] += values[i] <= threshold;
  }

  // The larger, the lower the weighted Gini impurity of both sides; -2 if one is too small. With the weights w of the
  // classes on a side and their sum W, its impurity is 1 - sum(w^2) / W^2, weighted by W.
  double purity() const {
    int64_t n_left = 0, n_right = 0;
    double left = 0, right = 0, left_squares = 0, right_squares = 0;
    for (size_t c = 0; c < left_.size(); ++c) {
      const int32_t on_right = counts_[c] - left_[c];
      n_left += left_[c];
      n_right += on_right;
      const double a = left_[c] * samples_.class_weights[c], b = on_right * samples_.class_weights[c];
      left += a;
      right += b;
      left_squares += a * a;
      right_squares += b * b;
    }
    if (n_left < growth_.min_leaf || n_right < growth_.min_leaf) return -2;
    return left_squares / left + right_squares / right;
  }

  // Samples that go left before those that go right; both keep their order, so that memory is read forwards.
  int32_t partition(const Node &node, const Split &split) {
    const float *column = samples_.column(split.feature);
    int32_t *rows = rows_.data();
    int32_t left = node.begin, right = 0;
    for (int32_t i = node.begin; i < node.end; ++i) {
      const int32_t row = rows[i];
      const bool goes_left = column[row] <= split.threshold;
      rows[left] = row;
      right_[static_cast<size_t>(right)] = row;
      left += goes_left;
      right += !goes_left;
    }
    std::copy_n(right_.begin(), right, rows_.begin() + left);
    return left;
  }

  void answer(int32_t leaf) {
    double total = 0;
    for (size_t c = 0; c < counts_.size(); ++c) total += counts_[c] * samples_.class_weights[c];
    float *shares = answers_ + int64_t{leaf} * growth_.classes;
    for (size_t c = 0; c < counts_.size(); ++c) {
      shares[c] = static_cast<float>(counts_[c] * samples_.class_weights[c] / total);
    }
  }

  const Samples &samples_;
  const msd_growth &growth_;
  msd_forest &forest_;
  const int64_t leaves_per_tree_;
  int32_t *feature_ = nullptr;
  float *threshold_ = nullptr;
  int32_t *child_ = nullptr;
  float *answers_ = nullptr;
  std::vector<Node> pending_;    // all nodes of the tree, in the order of their numbers
  std::vector<int32_t> rows_;    // samples, node after node
  std::vector<int32_t> right_;   // scratch of partition()
  std::vector<float> values_;    // of a node's samples, the feature that is looked at
  std::vector<uint64_t> units_;  // of a node's samples, what counts 1 for its class; or the class
  std::vector<int32_t> counts_, left_;
  std::vector<int32_t> order_, places_;
  int bits_;
  int64_t packed_below_;
};

// Trees lie where there is room for the largest ones; moves them together, and counts from the forest's first node on.
void close_gaps(msd_forest &forest, int64_t leaves_per_tree, const std::vector<int32_t> &nodes,
                const std::vector<int32_t> &leaves) {
  int64_t node = 0, leaf = 0;
  for (int64_t tree = 0; tree < forest.trees; ++tree) {
    const int64_t from = tree * (2 * leaves_per_tree - 1), count = nodes[static_cast<size_t>(tree)];
    const int64_t numbers = leaves[static_cast<size_t>(tree)] * int64_t{forest.classes};
    for (int64_t i = 0; i < count; ++i) {
      const int32_t feature = forest.feature[from + i];
      forest.child[node + i] = forest.child[from + i] + static_cast<int32_t>(feature < 0 ? leaf : node);
      forest.feature[node + i] = feature;
      forest.threshold[node + i] = forest.threshold[from + i];
    }
    std::memmove(forest.answers + leaf * forest.classes, forest.answers + tree * leaves_per_tree * forest.classes,
                 static_cast<size_t>(numbers) * sizeof(float));
    forest.roots[tree] = static_cast<int32_t>(node);
    node += count;
    leaf += leaves[static_cast<size_t>(tree)];
  }
  forest.nodes = node;
  forest.leaves = leaf;
}

}  // namespace

msd_trees_error grow_trees(const msd_growth &growth, const float *features, const int32_t *labels,
                           const int32_t *groups, const double *class_weights, msd_forest &forest) {
  const Samples samples{growth, labels, groups, class_weights, clean_columns(growth, features)};
  const int64_t leaves_per_tree = std::max<int64_t>(1, growth.samples / growth.min_leaf);
  std::vector<int32_t> nodes(static_cast<size_t>(growth.trees)), leaves(nodes.size());
  const auto start = [&] {
    return [&, grower = Grower(samples, forest, leaves_per_tree)](int64_t tree) mutable {
      grower.grow(tree, nodes[static_cast<size_t>(tree)], leaves[static_cast<size_t>(tree)]);
    };
  };
  const msd_trees_error error = in_turn(growth.threads, growth.trees, start);
  if (error == MSD_TREES_OK) close_gaps(forest, leaves_per_tree, nodes, leaves);
  return error;
}

}  // namespace napari_msd
