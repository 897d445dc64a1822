#include "plan.h"

#include <algorithm>
#include <cstddef>

namespace napari_msd {
namespace {

// Below this much work per thread, waking it costs more than it brings.
constexpr int64_t least_work = 500'000;
constexpr int most_threads = 1024;

// Rows that a thread takes at a time, and rows whose maps and gradients are worked on together in the second-level
// cache: in pixels, and in numbers per plane of maps.
constexpr int64_t chunk_pixels = 1536;
constexpr int64_t tile_numbers = 51200;

// An image whose maps are so small stays in the caches from layer to layer.
constexpr int64_t cached_image = int64_t{8} << 20;

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Plan::Plan(const msd_problem &p) : problem(p) {
  item = p.dtype == MSD_FLOAT64 ? 8 : 4;
  const int64_t line = cache_line / item;
  rows = p.sizes[0] * p.sizes[1];
  width = p.sizes[2];
  row_stride = round_up(width, line);
  if (row_stride / line % 16 == 0) row_stride += line;
  channels = static_cast<int64_t>(p.depth) * p.width;
  maps = p.in_channels + channels;
  taps = p.ndim == 3 ? 27 : 9;
  row_taps = taps / 3;
  weight_offsets_.push_back(0);
  for (int64_t q = 0; q < channels; ++q) weight_offsets_.push_back(weight_offsets_.back() + taps * maps_before(q));
  weights = weight_offsets_.back();
  parameters = weights + channels + p.n_classes * maps + p.n_classes;
  const double work = static_cast<double>(p.batch * rows * row_stride) * static_cast<double>(parameters);
  threads = std::clamp(static_cast<int>(std::min<double>(p.threads, work / least_work)), 1, most_threads);
  slots = static_cast<int>(std::min<int64_t>(threads, p.batch));
  const int64_t rest = p.batch % threads;
  team = rest > 0 ? static_cast<int>(threads / rest) : 1;
  const int32_t widest = *std::max_element(p.dilations, p.dilations + channels);
  margin = round_up(std::min<int64_t>(widest, width), line) + line;
  chunk_rows = std::clamp<int64_t>(chunk_pixels / row_stride, 1, rows);
  tile_rows = std::clamp<int64_t>(std::clamp<int64_t>(tile_numbers / maps, 512, 2048) / row_stride, 1, chunk_rows);
  // A block saves memory traffic, but costs sums of a channel's products in two parts instead of one (forward), and
  // rings: they must not drive out what is in the cache, and in 3-D they hold whole planes.
  in_cache = image_numbers() <= cached_image / item;
  const int64_t block = p.ndim == 3 || in_cache ? 4 : 8;
  forward = make_blocks(in_cache ? 1 : block);
  backward = make_blocks(block);
}

// How many rows away the farthest row is that a tap reads: folding never moves a position farther from its pixel.
int64_t Plan::reach(int64_t q) const {
  const int64_t s = problem.dilations[q], depth = problem.sizes[0], height = problem.sizes[1];
  return std::min(s, height - 1) + std::min<int64_t>(dilation_along_z(problem, q), depth - 1) * height;
}

Blocks Plan::make_blocks(int64_t most_channels) const {
  const int64_t w = problem.width, layers = std::max<int64_t>(1, most_channels / w);
  Blocks blocks = {{}, std::min(layers * w, channels), 0, 1};
  int64_t most_lag = 0;
  for (int64_t first = 0; first < channels; first += layers * w) {
    Block block = {first, std::min(first + layers * w, channels), maps_before(first), {}, {}, 0, 0};
    for (int64_t q = first; q < block.last; q += w) {
      int64_t most = 0;
      for (int64_t j = 0; j < w; ++j) most = std::max(most, reach(q + j));
      block.layers.push_back(q);
      block.reach.push_back(most);
      block.lag += most;
    }
    block.layers.push_back(block.last);
    block.chunks = (rows + block.lag + chunk_rows - 1) / chunk_rows;
    most_lag = std::max(most_lag, block.lag);
    blocks.all.push_back(std::move(block));
  }
  // A chunk reads rows up to the block's lag and once more a layer's reach behind it, others up to `team` chunks ahead.
  blocks.ring_rows = std::min(rows, team * chunk_rows + 2 * most_lag);
  if (team > 1 && blocks.all.size() > 1) blocks.parities = 2;
  return blocks;
}

int64_t Plan::forward_scratch() const { return product({std::max<int64_t>(taps, class_chunk), padded_stride()}); }

int64_t Plan::backward_scratch() const {
  const int64_t sums = product({tile_rows, backward.channels, taps, row_stride});
  const int64_t packed = round_up(2 * push_weights(), cache_line / item);
  // Pointers to the taps' rows are no larger than two numbers each.
  const int64_t pointers = round_up(product({chunk_rows, backward.channels, taps, 8}) / item, cache_line / item);
  return row_stride + padded_stride() + std::max(sums, class_chunk * tile_rows * row_stride) + packed + pointers;
}

msd_memory Plan::memory() const {
  msd_memory needed;
  const int64_t images = problem.keep_maps ? problem.batch : slots;
  needed.maps = product({images, image_numbers(), item});
  needed.forward_workspace = product({slots, forward_ring(), item}) + product({threads, forward_scratch(), item});
  needed.backward_workspace = product({slots, image_numbers() + backward_ring(), item}) +
                              product({threads, backward_scratch(), item}) + product({threads, sums_stride(), 8});
  return needed;
}

}  // namespace napari_msd
