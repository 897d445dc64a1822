// Where a tap reads, and who read a pixel: the boundary rule as small tables.
//
// An image is `rows` rows (Z*Y of them in 3-D) of `width` pixels. A dilation has 3 taps along x and 3 (2-D) or
// 9 (3-D) "row taps" across rows, so the kernels know neither the number of axes, nor the rule, nor that the
// dilation along z may be another one. Any dilation is allowed: positions are folded as often as needed when the tables are made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "napari_msd.h"

namespace napari_msd {

struct TapTable {
  int32_t boundary;  // msd_boundary
  int32_t dilation;  // along x and y
  int32_t rows;
  int32_t width;
  int32_t n_row_taps;
  const int32_t *y_source;      // [3][rows]: the row that a tap along y reads at row y, -1: none
  const int32_t *z_source;      // [3][rows]: the same along z; only in 3-D
  const int32_t *target_start;  // [n_row_taps][rows + 1]: the rows that read row y are
  const int32_t *targets;       //   targets[t][target_start[t][y]] up to target_start[t][y + 1]
  const int32_t *left_source;   // [width]: fold(x - dilation), -1: none
  const int32_t *right_source;  // [width]: fold(x + dilation), -1: none
};

// The pixel of a row of `size` that stands at `position`, inside or outside it; -1 for none.
int32_t source_index(int64_t position, int64_t size, int32_t boundary);

// One table per distinct pair of dilations (along z, and along y and x) of a problem.
class TapTables {
 public:
  explicit TapTables(const msd_problem &problem);
  const TapTable &of_channel(int64_t q) const { return tables_[table_of_channel_[q]]; }

 private:
  std::vector<std::vector<int32_t>> storage_;
  std::vector<TapTable> tables_;
  std::vector<int32_t> table_of_channel_;
};

}  // namespace napari_msd
