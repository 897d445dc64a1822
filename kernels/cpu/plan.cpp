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
constexpr int64_t team_chunk_rows = 4;

// Of so many maps before a block of layers, products are computed layer by layer (LayerBlock::late).
constexpr int64_t late_maps = 32;
// Behind more maps a larger block saves more traffic than its rings cost.
constexpr int64_t deep_block = 12;

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
  rounds = p.batch / threads;
  rest = static_cast<int>(p.batch % threads);
  team = rest > 0 ? threads / rest : 1;
  const int32_t widest = *std::max_element(p.dilations, p.dilations + channels);
  margin = round_up(std::min<int64_t>(widest, width), line) + line;
  in_cache = image_numbers() <= cached_image / item;
  whole = make_bands(1);
  parted = team > 1 ? make_bands(team) : whole;
}

// How many rows away the farthest row is that a tap reads: folding never moves a position farther from its pixel.
int64_t Plan::reach_along_y(int64_t q) const { return std::min<int64_t>(problem.dilations[q], problem.sizes[1] - 1); }
int64_t Plan::reach_along_z(int64_t q) const {
  return std::min<int64_t>(dilation_along_z(problem, q), problem.sizes[0] - 1) * problem.sizes[1];
}

Bands Plan::make_bands(int count) const {
  Bands bands = {count, rows, rows, 0, 0, 0, {}, {}};
  int64_t most_reach = 0;
  for (int64_t q = 0; q < channels; ++q) most_reach = std::max(most_reach, reach_along_y(q) + reach_along_z(q));
  bands.chunk_rows = std::clamp<int64_t>(chunk_pixels / row_stride, 1, rows);
  if (count > 1) {
    // Lags are whole chunks here, so chunks must be short beside what most layers reach.
    bands.chunk_rows = std::min(bands.chunk_rows, std::max(team_chunk_rows, most_reach / 8));
    bands.rows = round_up((rows + count - 1) / count, bands.chunk_rows);
    bands.count = static_cast<int>((rows + bands.rows - 1) / bands.rows);
    if (bands.count == 1) bands.rows = rows;
  }
  bands.neighbours = static_cast<int>(std::min<int64_t>((most_reach + bands.rows - 1) / bands.rows, bands.count - 1));
  bands.tile_rows =
      std::clamp<int64_t>(std::clamp<int64_t>(tile_numbers / maps, 512, 2048) / row_stride, 1, bands.chunk_rows);
  // A block saves memory traffic, but costs sums of a channel's products in two parts instead of one (forward), and
  // rings: they must not drive out what is in the cache, and in 3-D they hold whole planes.
  const int64_t block = problem.ndim == 3 || in_cache ? 4 : 8;
  bands.forward = make_blocks(bands, in_cache ? (count > 1 ? 4 : 1) : block, false);
  bands.backward = make_blocks(bands, block, true);
  return bands;
}

// Room for rows of this age and for those next to the borders, at `place`, which is moved on.
RingPart Plan::ring_part(const Bands &bands, int64_t &place, int64_t age, int64_t reach) const {
  RingPart part = {place, age + reach + bands.chunk_rows, bands.count > 1 ? reach : 0, problem.width};
  const int64_t edges = bands.count > 2 ? 2 : 1;
  if (part.rows + edges * part.edge >= bands.rows) {
    part.rows = bands.rows;
    part.edge = 0;
  }
  place += (part.rows + edges * part.edge) * part.channels;
  return part;
}

LayerBlocks Plan::make_blocks(const Bands &bands, int64_t most_channels, bool backwards) const {
  const int64_t w = problem.width;
  const int64_t unit = bands.count > 1 ? bands.chunk_rows : 1;
  LayerBlocks blocks = {{}, 0, 0, 0};
  for (int64_t first = 0, last = 0; first < channels; first = last) {
    const bool deep = !backwards && problem.ndim == 2 && !in_cache && maps_before(first) > late_maps;
    last = std::min(first + std::max<int64_t>(1, (deep ? deep_block : most_channels) / w) * w, channels);
    blocks.channels = std::max(blocks.channels, last - first);
    LayerBlock block = {first, last, maps_before(first), {}, {}, {}, {}, {}, false, 0, 0, 0};
    std::vector<int64_t> along_y, along_z;
    for (int64_t q = first; q < block.last; q += w) {
      int64_t most_y = 0, most_z = 0;
      for (int64_t j = 0; j < w; ++j) {
        most_y = std::max(most_y, reach_along_y(q + j));
        most_z = std::max(most_z, reach_along_z(q + j));
      }
      block.layers.push_back(q);
      along_y.push_back(most_y);
      along_z.push_back(most_z);
    }
    block.layers.push_back(block.last);
    const size_t n = along_y.size();
    int64_t lag = 0, most_reach = 0;
    for (size_t i = 0; i < n; ++i) {
      const int64_t y = along_y[backwards ? n - 1 - i : i], z = along_z[backwards ? n - 1 - i : i];
      block.lags.push_back(lag);
      block.sum_lags.push_back(lag + round_up(y, unit));
      lag += round_up(y, unit) + round_up(z, unit);
      most_reach = std::max(most_reach, y + z);
    }
    block.lags.push_back(lag);
    block.late = block.maps_outside <= late_maps;
    int64_t place = 0, sum_place = 0;
    for (size_t i = 0; i < n; ++i) {
      // A row is kept from when it is written first, by the layer or already by the sweep, until it is read for the last
      // time for a row as far behind as the taps reach: by the sums along y, by the layer, or by what comes after all layers.
      if (backwards) {
        block.ring.push_back(ring_part(bands, place, lag - block.lags[n - 1 - i], along_y[i] + along_z[i]));
        continue;
      }
      const bool sums = problem.ndim == 3;
      const int64_t written = block.late ? block.lags[i] : 0, read = sums ? block.sum_lags[i] : block.lags[i + 1];
      block.ring.push_back(ring_part(bands, place, read - written, along_y[i]));
      if (sums) block.sums.push_back(ring_part(bands, sum_place, block.lags[i + 1] - read, along_z[i]));
    }
    blocks.ring_rows = std::max(blocks.ring_rows, place);
    blocks.sum_rows = std::max(blocks.sum_rows, sum_place);
    block.chunks = (bands.rows + lag + bands.chunk_rows - 1) / bands.chunk_rows;
    block.head = (lag + most_reach + bands.chunk_rows - 1) / bands.chunk_rows;
    blocks.all.push_back(std::move(block));
  }
  if (backwards) std::reverse(blocks.all.begin(), blocks.all.end());
  int64_t start = 0;
  for (LayerBlock &block : blocks.all) {
    block.start = start;
    start += block.chunks;
  }
  return blocks;
}

Rows Bands::rows_of(int band, int64_t chunk, int64_t lag) const {
  const int64_t first = band * rows, last = std::min(first + rows, image_rows);
  const int64_t near = chunk * chunk_rows - lag, far = near + chunk_rows;  // distances near .. far - 1
  if (upwards(band)) return {std::max(first, first + rows - far), std::min(last, first + rows - near)};
  return {std::max(first, first + near), std::min(last, first + far)};
}

int64_t Plan::forward_scratch() const { return product({std::max<int64_t>(taps, class_chunk), padded_stride()}); }

int64_t Plan::tile_sums() const {
  return std::max(whole.tile_rows, parted.tile_rows) * std::max(whole.backward.channels * taps, int64_t{class_chunk}) *
         row_stride;
}

int64_t Plan::backward_scratch() const {
  const int64_t packed = round_up(2 * push_weights(), cache_line / item);
  // Pointers to the taps' rows are no larger than two numbers each.
  const int64_t per_row = std::max(whole.backward.channels * taps, int64_t{class_chunk});
  const int64_t pointers =
      round_up(product({std::max(whole.tile_rows, parted.tile_rows), per_row, 8}) / item, cache_line / item);
  return row_stride + padded_stride() + tile_sums() + packed + pointers;
}

msd_memory Plan::memory() const {
  msd_memory needed;
  const int64_t images = problem.keep_maps ? problem.batch : slots;
  needed.maps = product({images, image_numbers(), item});
  needed.forward_workspace = product({threads, forward_ring() + forward_sums() + forward_scratch(), item});
  needed.backward_workspace = product({slots, image_numbers(), item}) +
                              product({threads, backward_ring() + backward_scratch(), item}) +
                              product({threads, sums_stride(), 8});
  return needed;
}

}  // namespace napari_msd
