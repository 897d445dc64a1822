// What api.cpp hands its checked arguments to.
#pragma once

#include "napari_msd_trees.h"

namespace napari_msd {

msd_trees_error grow_trees(const msd_growth &growth, const float *features, const int32_t *labels,
                           const int32_t *groups, const double *class_weights, msd_forest &forest);

msd_trees_error predict(const msd_forest &forest, const float *features, int64_t pixels, int64_t row_stride,
                        int threads, float *answers);

}  // namespace napari_msd
