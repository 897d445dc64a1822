#include "boundary.h"

#include <cstddef>
#include <map>
#include <utility>

#include "check_problem.h"

namespace napari_msd {

int32_t source_index(int64_t position, int64_t size, int32_t boundary) {
  if (position >= 0 && position < size) return static_cast<int32_t>(position);
  if (boundary == MSD_ZEROS) return -1;
  const bool symmetric = boundary == MSD_SYMMETRIC;
  const int64_t period = symmetric ? 2 * size : 2 * (size - 1);
  if (period == 0) return 0;
  int64_t folded = position % period;
  if (folded < 0) folded += period;
  const int64_t mirrored = (symmetric ? period - 1 : period) - folded;
  return static_cast<int32_t>(folded < mirrored ? folded : mirrored);
}

namespace {

TapTable make_table(const msd_problem &problem, int32_t dilation, int32_t dilation_z, std::vector<int32_t> &storage) {
  const int64_t depth = problem.sizes[0], height = problem.sizes[1], width = problem.sizes[2];
  const int64_t rows = depth * height;
  const int n_row_taps = problem.ndim == 3 ? 9 : 3;
  storage.assign(static_cast<size_t>(6 * rows + n_row_taps * (2 * rows + 1) + 2 * width), 0);
  int32_t *y_source = storage.data();
  int32_t *z_source = y_source + 3 * rows;
  int32_t *target_start = z_source + 3 * rows;
  int32_t *targets = target_start + n_row_taps * (rows + 1);
  int32_t *left_source = targets + n_row_taps * rows;
  int32_t *right_source = left_source + width;

  std::vector<int32_t> source(static_cast<size_t>(rows));
  for (int t = 0; t < n_row_taps; ++t) {
    const int64_t step_z = problem.ndim == 3 ? (t / 3 - 1) * static_cast<int64_t>(dilation_z) : 0;
    const int64_t step_y = (t % 3 - 1) * static_cast<int64_t>(dilation);
    int32_t *start = target_start + t * (rows + 1);
    int32_t *target = targets + t * rows;
    for (int64_t z = 0; z < depth; ++z) {
      const int64_t from_z = source_index(z + step_z, depth, problem.boundary);
      for (int64_t y = 0; y < height; ++y) {
        const int64_t from_y = source_index(y + step_y, height, problem.boundary);
        const int64_t from = from_z < 0 || from_y < 0 ? -1 : from_z * height + from_y;
        source[static_cast<size_t>(z * height + y)] = static_cast<int32_t>(from);
        if (t < 3) y_source[t * rows + z * height + y] = static_cast<int32_t>(from_y < 0 ? -1 : z * height + from_y);
        if (t % 3 == 0)
          z_source[t / 3 * rows + z * height + y] = static_cast<int32_t>(from_z < 0 ? -1 : from_z * height + y);
        if (from >= 0) ++start[from + 1];
      }
    }
    // A counting sort inverts the map, readers in ascending order: the order of sums is fixed.
    for (int64_t y = 0; y < rows; ++y) start[y + 1] += start[y];
    std::vector<int32_t> next(start, start + rows);
    for (int64_t y = 0; y < rows; ++y) {
      const int32_t from = source[static_cast<size_t>(y)];
      if (from >= 0) target[next[static_cast<size_t>(from)]++] = static_cast<int32_t>(y);
    }
  }
  for (int64_t x = 0; x < width; ++x) {
    left_source[x] = source_index(x - dilation, width, problem.boundary);
    right_source[x] = source_index(x + dilation, width, problem.boundary);
  }
  return {problem.boundary,
          dilation,
          static_cast<int32_t>(rows),
          static_cast<int32_t>(width),
          n_row_taps,
          y_source,
          z_source,
          target_start,
          targets,
          left_source,
          right_source};
}

}  // namespace

TapTables::TapTables(const msd_problem &problem) {
  std::map<std::pair<int32_t, int32_t>, int32_t> table_of_dilations;
  const int64_t channels = static_cast<int64_t>(problem.depth) * problem.width;
  table_of_channel_.reserve(static_cast<size_t>(channels));
  for (int64_t q = 0; q < channels; ++q) {
    const int32_t dilation = problem.dilations[q], dilation_z = dilation_along_z(problem, q);
    const auto [entry, is_new] =
        table_of_dilations.try_emplace({dilation, dilation_z}, static_cast<int32_t>(tables_.size()));
    if (is_new) {
      storage_.emplace_back();
      tables_.push_back(make_table(problem, dilation, dilation_z, storage_.back()));
    }
    table_of_channel_.push_back(entry->second);
  }
}

}  // namespace napari_msd
