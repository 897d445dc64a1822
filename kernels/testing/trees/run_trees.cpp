// Grows small forests and walks pixels through them, also through damaged ones, to be compiled with sanitizers
// (tests/trees/test_sanitizers.py). Every array is a heap block of exactly the size that the ABI asks for. Checks that
// the number of threads changes no bit, and that answers are shares; the other tests compare numbers.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "napari_msd_trees.h"
#include "thread_pool.h"

namespace {

uint64_t state = 1;

uint32_t next_bits() {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(state >> 32);
}

int32_t below(int32_t end) { return static_cast<int32_t>(next_bits() % static_cast<uint32_t>(end)); }

// Few different numbers, so that some are equal; holes, infinite and subnormal ones among them.
float next_feature() {
  const int32_t kind = below(20);
  if (kind == 0) return std::numeric_limits<float>::quiet_NaN();
  if (kind == 1) return kind - below(3) > 0 ? std::numeric_limits<float>::infinity() : 1e-42f;
  return static_cast<float>(below(50) - 25) / 8;
}

struct Forest {
  std::vector<int32_t> feature, child, roots;
  std::vector<float> threshold, answers;
  msd_forest view{};

  explicit Forest(const msd_growth &growth) {
    const int64_t per_tree = growth.samples / growth.min_leaf > 1 ? growth.samples / growth.min_leaf : 1;
    const size_t leaves = static_cast<size_t>(growth.trees * per_tree);
    const size_t nodes = 2 * leaves - static_cast<size_t>(growth.trees);
    feature.resize(nodes);
    child.resize(nodes);
    threshold.resize(nodes);
    answers.resize(leaves * static_cast<size_t>(growth.classes));
    roots.resize(static_cast<size_t>(growth.trees));
    view.nodes = static_cast<int64_t>(nodes);
    view.leaves = static_cast<int64_t>(leaves);
    view.trees = growth.trees;
    view.features = growth.features;
    view.classes = growth.classes;
    point();
  }

  void point() {
    view.feature = feature.data();
    view.threshold = threshold.data();
    view.child = child.data();
    view.answers = answers.data();
    view.roots = roots.data();
  }

  // Gives back what was not needed, so that reading behind it is seen.
  void shrink() {
    feature.resize(static_cast<size_t>(view.nodes));
    child.resize(feature.size());
    threshold.resize(feature.size());
    answers.resize(static_cast<size_t>(view.leaves * view.classes));
    for (auto *array : {&feature, &child}) array->shrink_to_fit();
    for (auto *array : {&threshold, &answers}) array->shrink_to_fit();
    point();
  }
};

bool same(const Forest &a, const Forest &b) {
  return a.feature == b.feature && a.child == b.child && a.threshold == b.threshold && a.answers == b.answers &&
         a.roots == b.roots;
}

bool predict(const Forest &forest, int64_t pixels, int threads, std::vector<float> &answers) {
  const int64_t stride = pixels + 3;
  std::vector<float> features(static_cast<size_t>(stride * (forest.view.features - 1) + pixels));
  state = 7;
  for (float &x : features) x = next_feature();
  answers.assign(static_cast<size_t>(pixels * forest.view.classes), -1.0f);
  return msd_trees_predict(&forest.view, features.data(), pixels, stride, threads, answers.data()) == MSD_TREES_OK;
}

// One number for all bits of all forests and answers: the same with every compiler and processor.
uint64_t digest = 14695981039346656037u;

template <class T>
void add_to_digest(const std::vector<T> &numbers) {
  const auto *bytes = reinterpret_cast<const unsigned char *>(numbers.data());
  for (size_t i = 0; i < numbers.size() * sizeof(T); ++i) digest = (digest ^ bytes[i]) * 1099511628211u;
}

bool shares(const std::vector<float> &answers, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i) {
    float sum = 0;
    for (size_t at = static_cast<size_t>(i); at < answers.size(); at += static_cast<size_t>(pixels)) sum += answers[at];
    if (!(std::fabs(sum - 1) < 1e-4f)) return false;
  }
  return true;
}

// Random bits in random places: whatever it says, it must not leave its arrays. Says how often it went on.
int use_damaged(const Forest &good) {
  int used = 0;
  for (int round = 0; round < 200; ++round) {
    Forest forest = good;
    forest.point();
    state = 1000 + static_cast<uint64_t>(round);
    for (int32_t i = below(3); i >= 0; --i) {
      const size_t node = static_cast<size_t>(below(static_cast<int32_t>(forest.view.nodes)));
      const int64_t ends[] = {0, forest.view.nodes, forest.view.leaves, forest.view.features};
      const int32_t near = static_cast<int32_t>(ends[below(4)]) + below(5) - 3;
      const int32_t any = below(4) == 0 ? static_cast<int32_t>(next_bits()) : below(3) == 0 ? below(200) : near;
      switch (below(4)) {
        case 0: forest.feature[node] = any; break;
        case 1: forest.child[node] = any; break;
        case 2: std::memcpy(&forest.threshold[node], &any, sizeof any); break;
        default: forest.roots[node % forest.roots.size()] = any; break;
      }
    }
    std::vector<float> answers;
    used += predict(forest, 40, 1, answers);
  }
  return used;
}

}  // namespace

int main() {
  napari_msd::set_up_pool(nullptr, 64);  // as many threads as asked for, however few cores there are
  int forests = 0, used = 0;
  for (const int64_t samples : {1, 2, 30, 333}) {
    for (const int32_t classes : {1, 3, 6, 40}) {
      for (const int32_t count : {1, 5}) {
        for (const int32_t folds : {0, 2}) {
          if (samples == 1 && folds > 0) continue;
          state = static_cast<uint64_t>(samples);
          const size_t n = static_cast<size_t>(samples);
          std::vector<float> features(n * static_cast<size_t>(count));
          std::vector<int32_t> labels(n), groups(n);
          for (float &x : features) x = next_feature();
          for (int32_t &label : labels) label = below(classes);
          for (size_t i = 0; i < n; ++i) groups[i] = i < 2 ? static_cast<int32_t>(i) : below(9);
          std::vector<double> weights(static_cast<size_t>(classes), 0.7);
          msd_growth growth{samples, 5, count, classes, 6, samples > 100 ? 3 : 1, (count + 1) / 2, folds, 1};
          Forest alone(growth), together(growth);
          bool ok = true;
          for (Forest *forest : {&alone, &together}) {
            ok = ok && msd_trees_grow(&growth, features.data(), labels.data(), groups.data(), weights.data(),
                                      &forest->view) == MSD_TREES_OK;
            forest->shrink();
            growth.threads = 3;
          }
          ok = ok && same(alone, together);
          for (const int64_t pixels : {1, 300, 1025}) {
            std::vector<float> one, three;
            ok = ok && predict(alone, pixels, 1, one) && predict(alone, pixels, 3, three);
            ok = ok && one == three && shares(one, pixels);
            add_to_digest(one);
          }
          for (const auto *array : {&alone.feature, &alone.child, &alone.roots}) add_to_digest(*array);
          for (const auto *array : {&alone.threshold, &alone.answers}) add_to_digest(*array);
          if (!ok) {
            std::printf("failed: %d samples, %d classes, %d features, %d folds\n", static_cast<int>(samples), classes,
                        count, folds);
            return 1;
          }
          used += use_damaged(alone);
          ++forests;
        }
      }
    }
  }
  std::printf("%d forests, %d damaged ones could be used, bits %016llx\n", forests, used,
              static_cast<unsigned long long>(digest));
  return 0;
}
