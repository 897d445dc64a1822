/* The C ABI of the compiled trees, apart from that of the cores (napari_msd.h).
 *
 * Extremely randomised trees (Geurts, Ernst & Wehenkel, Machine Learning 63, 2006) that classify pixels by their features.
 * src/napari_msd/trees/reference.py does the same in NumPy, bit for bit; growing.py explains the settings.
 *
 * Policy: no call keeps a pointer after it returned, throws or prints. Every call returns an msd_trees_error. Arrays are
 * C-contiguous and naturally aligned.
 */
#ifndef NAPARI_MSD_TREES_H
#define NAPARI_MSD_TREES_H

#include <stdint.h>

#if defined(_WIN32)
#define MSD_TREES_API __declspec(dllexport)
#else
#define MSD_TREES_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a signature, a struct, or the bits of a result change: Python refuses another number. */
#define MSD_TREES_ABI_VERSION 1

#define MSD_TREES_MAX_DEPTH 64       /* steps from a root to a leaf in a grown tree */
#define MSD_TREES_MAX_FEATURES 4096  /* a node's feature takes 12 bits */
#define MSD_TREES_MAX_STEP (1 << 20) /* from a node to its left child: less than this, 20 bits */
#define MSD_TREES_MAX_CLASSES 65536

typedef enum msd_trees_error {
  MSD_TREES_OK = 0,
  MSD_TREES_BAD_ARGUMENT = 1,  /* a size or pointer outside its range, or arrays that are no forest */
  MSD_TREES_OUT_OF_MEMORY = 2, /* bookkeeping could not be allocated */
  MSD_TREES_INTERNAL = 3       /* anything else */
} msd_trees_error;

/* How trees are grown. */
typedef struct msd_growth {
  int64_t samples;    /* 1 .. 2^31 - 1 */
  uint64_t seed;      /* the same seed gives the same forest, whatever the number of threads */
  int32_t features;   /* of a sample, 1 .. MSD_TREES_MAX_FEATURES */
  int32_t classes;    /* 1 .. MSD_TREES_MAX_CLASSES */
  int32_t trees;      /* >= 1 */
  int32_t min_leaf;   /* samples in a leaf at least, >= 1 */
  int32_t candidates; /* features tried per node, 1 .. features */
  int32_t folds;      /* 0: each tree sees all samples; else tree t leaves out those with groups % folds == t % folds */
  int32_t threads;    /* >= 1: most that are used */
} msd_growth;

/* Trees, one after another: their nodes, the root first, children after their parents. */
typedef struct msd_forest {
  int32_t *feature; /* (nodes) which feature a node asks for; -1 in a leaf */
  float *threshold; /* (nodes) left if feature <= threshold, else (NaN, too) right; finite */
  int32_t *child;   /* (nodes) the left child, the right one is the next; in a leaf its row of answers */
  float *answers;   /* (leaves, classes) shares of the classes in each leaf */
  int32_t *roots;   /* (trees) */
  int64_t nodes;
  int64_t leaves;
  int32_t trees;
  int32_t features;
  int32_t classes;
} msd_forest;

MSD_TREES_API int32_t msd_trees_abi_version(void);
/* English for an error code; never NULL. */
MSD_TREES_API const char *msd_trees_error_text(int32_t error);

/* Grows trees from features (samples, features), labels (samples) of 0 .. classes - 1, groups (samples) >= 0 (may be NULL
 * without folds) and class_weights (classes) > 0. The forest's arrays have room for trees * max(1, samples / min_leaf)
 * leaves, and for twice as many nodes less one per tree; nodes and leaves say so, and receive how many there are.
 * trees, features and classes are those of the growth. */
MSD_TREES_API int32_t msd_trees_grow(const msd_growth *growth, const float *features, const int32_t *labels,
                                     const int32_t *groups, const double *class_weights, msd_forest *forest);

/* The mean answer of the trees for each pixel. features: one row of pixels per feature, row_stride >= pixels numbers
 * from one row to the next; answers (classes, pixels). The forest is checked first, whole: whatever its arrays hold,
 * nothing outside them is read. */
MSD_TREES_API int32_t msd_trees_predict(const msd_forest *forest, const float *features, int64_t pixels,
                                        int64_t row_stride, int32_t threads, float *answers);

#ifdef __cplusplus
}
#endif

#endif
