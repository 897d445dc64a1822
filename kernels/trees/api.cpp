// The C ABI of the trees: checks, then hands over; no exception gets out.
#include <cmath>
#include <limits>
#include <new>

#include "flush_subnormals.h"
#include "trees.h"

namespace {

using namespace napari_msd;

template <class Call>
int32_t guarded(Call &&call) {
  const KeepSubnormals keeping;  // whatever the caller's thread does with them
  try {
    return call();
  } catch (const std::bad_alloc &) {
    return MSD_TREES_OUT_OF_MEMORY;
  } catch (...) {
    return MSD_TREES_INTERNAL;
  }
}

bool has_arrays(const msd_forest &forest) {
  return forest.feature && forest.threshold && forest.child && forest.answers && forest.roots;
}

bool within(int64_t value, int64_t least, int64_t most) { return least <= value && value <= most; }

bool can_grow(const msd_growth &growth, const int32_t *labels, const int32_t *groups, const double *class_weights) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (!within(growth.samples, 1, most) || !within(growth.features, 1, MSD_TREES_MAX_FEATURES)) return false;
  if (!within(growth.classes, 1, MSD_TREES_MAX_CLASSES) || growth.trees < 1 || growth.min_leaf < 1) return false;
  if (!within(growth.candidates, 1, growth.features) || growth.threads < 1) return false;
  if (growth.folds < 0 || growth.folds == 1 || (growth.folds > 0 && !groups)) return false;
  bool two_folds = growth.folds == 0;
  for (int64_t i = 0; i < growth.samples; ++i) {
    if (!within(labels[i], 0, growth.classes - 1)) return false;
    if (growth.folds == 0) continue;
    if (groups[i] < 0) return false;
    two_folds = two_folds || groups[i] % growth.folds != groups[0] % growth.folds;
  }
  for (int32_t c = 0; c < growth.classes; ++c) {
    if (!(class_weights[c] > 0) || !std::isfinite(class_weights[c])) return false;
  }
  return two_folds;
}

bool has_room(const msd_growth &growth, const msd_forest &forest) {
  const int64_t per_tree = growth.samples / growth.min_leaf > 1 ? growth.samples / growth.min_leaf : 1;
  if (per_tree > MSD_TREES_MAX_STEP / 2) return false;
  const int64_t leaves = growth.trees * per_tree, nodes = 2 * leaves - growth.trees;
  return nodes <= std::numeric_limits<int32_t>::max() && forest.leaves >= leaves && forest.nodes >= nodes &&
         forest.trees == growth.trees && forest.features == growth.features && forest.classes == growth.classes;
}

}  // namespace

extern "C" {

int32_t msd_trees_abi_version(void) { return MSD_TREES_ABI_VERSION; }

const char *msd_trees_error_text(int32_t error) {
  switch (error) {
    case MSD_TREES_OK: return "no error";
    case MSD_TREES_BAD_ARGUMENT: return "an argument is outside its range, or the arrays are not a forest";
    case MSD_TREES_OUT_OF_MEMORY: return "out of memory";
    default: return "an internal error";
  }
}

int32_t msd_trees_grow(const msd_growth *growth, const float *features, const int32_t *labels, const int32_t *groups,
                       const double *class_weights, msd_forest *forest) {
  return guarded([&]() -> int32_t {
    if (!growth || !features || !labels || !class_weights || !forest || !has_arrays(*forest)) {
      return MSD_TREES_BAD_ARGUMENT;
    }
    if (!can_grow(*growth, labels, groups, class_weights) || !has_room(*growth, *forest)) return MSD_TREES_BAD_ARGUMENT;
    return grow_trees(*growth, features, labels, groups, class_weights, *forest);
  });
}

int32_t msd_trees_predict(const msd_forest *forest, const float *features, int64_t pixels, int64_t row_stride,
                          int32_t threads, float *answers) {
  return guarded([&]() -> int32_t {
    if (!forest || !has_arrays(*forest) || pixels < 0 || row_stride < pixels || threads < 1)
      return MSD_TREES_BAD_ARGUMENT;
    if (!within(forest->classes, 1, MSD_TREES_MAX_CLASSES) || !within(forest->features, 1, MSD_TREES_MAX_FEATURES)) {
      return MSD_TREES_BAD_ARGUMENT;
    }
    if (forest->trees < 1 || forest->leaves < 1 || forest->nodes < 1) return MSD_TREES_BAD_ARGUMENT;
    if (pixels == 0) return MSD_TREES_OK;
    if (!features || !answers) return MSD_TREES_BAD_ARGUMENT;
    return predict(*forest, features, pixels, row_stride, threads, answers);
  });
}

}  // extern "C"
