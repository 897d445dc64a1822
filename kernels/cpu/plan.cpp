#include "plan.h"

#include <algorithm>
#include <cstddef>

namespace napari_msd {
namespace {

constexpr int64_t tile_bytes = 4096;
// Below this much work per thread, waking it costs more than it brings.
constexpr int64_t least_work = 500'000;

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Plan::Plan(const msd_problem &p) : problem(p) {
  item = p.dtype == MSD_FLOAT64 ? 8 : 4;
  const int64_t line = cache_line / item;
  rows = p.sizes[0] * p.sizes[1];
  width = p.sizes[2];
  row_stride = round_up(width, line);
  const int64_t lines = rows * row_stride / line;
  plane_stride = (lines + 1 - lines % 2) * line;
  tile_rows = std::max<int64_t>(1, tile_bytes / item / row_stride);
  const int64_t tile_lines = tile_rows * row_stride / line;
  tile_stride = (tile_lines + 1 - tile_lines % 2) * line;
  channels = static_cast<int64_t>(p.depth) * p.width;
  maps = p.in_channels + channels;
  taps = p.ndim == 3 ? 27 : 9;
  weights = weight_offset(channels);
  parameters = weights + channels + p.n_classes * maps + p.n_classes;
  const double work = static_cast<double>(p.batch * rows * row_stride) * static_cast<double>(parameters);
  threads = std::max(1, static_cast<int>(std::min<double>(p.threads, work / least_work)));
  slots = static_cast<int>(std::min<int64_t>(threads, p.batch));
  parities = p.batch % threads != 0 ? 2 : 1;
}

int64_t Plan::weight_offset(int64_t q) const {
  const int64_t i = layer(q), w = problem.width;
  const int64_t filters = w * (i * problem.in_channels + w * (i * (i - 1) / 2));
  return taps * (filters + (q - i * w) * maps_before(q));
}

int64_t Plan::forward_scratch() const { return std::max(2 * row_stride, class_chunk * tile_stride); }

int64_t Plan::backward_scratch() const { return std::max<int64_t>(taps, class_chunk) * tile_stride; }

msd_memory Plan::memory() const {
  const int64_t plane = plane_stride * item;
  msd_memory needed;
  needed.maps = (problem.keep_maps ? problem.batch : slots) * maps * plane;
  needed.forward_workspace = slots * product_planes() * plane + threads * forward_scratch() * item;
  needed.backward_workspace = slots * (maps + shifted_planes()) * plane + threads * backward_scratch() * item +
                              round_up(parameters * 8, cache_line) * threads;
  return needed;
}

Shares::Shares(const Plan &plan)
    : plan_(plan),
      rounds_(plan.problem.batch / plan.threads),
      rest_(static_cast<int>(plan.problem.batch % plan.threads)),
      team_size_(rest_ > 0 ? plan.threads / rest_ : 1),
      barriers_(static_cast<size_t>(rest_), Barrier(team_size_)) {}

}  // namespace napari_msd
