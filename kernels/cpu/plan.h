// How one pass is cut up: memory layout, blocks of layers, bands and chunks of rows. (Who does what: shares.h.)
//
// Layout. An image is `rows` rows (Z*Y in 3-D). Memory holds row after row, and of one row all maps one after
// another: (rows, maps, row_stride). A row of all maps is what every inner loop works on, so it streams from
// memory as one piece, whatever the number of maps. `row_stride` is the width rounded up to 64 bytes (plus 64
// where maps would otherwise share cache sets), zeros in the padding, so that every inner loop works on whole
// aligned vectors. There is no halo: memory does not depend on dilations.
//
// Blocks. The layers of a block are done in one sweep over the rows, so that earlier maps come from memory once
// per block and not once per layer. In the sweep every layer runs as many rows behind the one it reads as its
// taps reach (its lag): all its rows that others still need are rows of the recent past, kept in a ring.
//
// Bands. Where a team of lanes works on one image, each has a band of neighbouring rows, so that what it reads lies in its
// own core's caches. Neighbours sweep in opposite directions: two bands begin at the border between them, and end at the
// border to the next one. The distance of a row is counted from where its band's sweep begins. From one row of the image
// to the next it changes by one at most, so that what a lane reads beyond a border is always as old as if it were
// its own. Only rows of the ring are read there: those within a layer's reach of a border have places of their own.
//
// Chunks. A sweep goes chunk by chunk of `chunk_rows` rows.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "check_problem.h"
#include "kernel_table.h"
#include "napari_msd.h"

namespace napari_msd {

constexpr int64_t cache_line = 64;
constexpr int class_chunk = 8;

// Where the rows of one layer stand in a lane's ring.
struct RingPart {
  int64_t start;     // row of the lane's ring where the part begins
  int64_t rows;      // of the recent past
  int64_t edge;      // rows next to each border, behind the others
  int64_t channels;  // one row each
};

// Some whole layers, done in one sweep.
struct LayerBlock {
  int64_t first, last;          // hidden channels first .. last - 1
  int64_t maps_outside;         // maps before the block
  std::vector<int64_t> layers;  // first channel of each layer, and `last`
  std::vector<RingPart> ring;   // of each layer
  // 3-D, forward: the sums along y, which alone are kept for as long as a layer reaches along z.
  std::vector<RingPart> sums;
  // How many rows behind the sweep the layers are, in the sweep's order, and how many once all layers have gone by.
  std::vector<int64_t> lags;
  std::vector<int64_t> sum_lags;  // of the sums along y
  bool late;       // forward: a layer's products of all maps are computed when the sweep comes to the layer
  int64_t start;   // chunks of the sweeps before this one
  int64_t chunks;  // until the last layer has seen the last row
  int64_t head;    // of these, the first ones that may read beyond the border where the band begins

  int n_layers() const { return static_cast<int>(ring.size()); }
};

// How one of the passes goes through the layers, in the order of its sweeps.
struct LayerBlocks {
  std::vector<LayerBlock> all;
  int64_t channels;   // of the largest block
  int64_t ring_rows;  // of one lane, over all channels
  int64_t sum_rows;   // of sums along y
  int64_t chunks() const { return all.back().start + all.back().chunks; }
};

// Rows first .. last - 1.
struct Rows {
  int64_t first, last;
};

// An image cut into bands, one per lane of a team; a lane alone has all rows.
struct Bands {
  int count;
  int64_t image_rows;
  int64_t rows;  // of each band but the last, which may have fewer: whole chunks
  int64_t chunk_rows;
  int64_t tile_rows;  // whose maps and gradients are worked on together in the second-level cache
  int neighbours;     // so many bands to either side may be read
  LayerBlocks forward, backward;

  int band(int64_t y) const {
    return count == 1 ? 0 : static_cast<int>(static_cast<uint32_t>(y) / static_cast<uint32_t>(rows));
  }
  bool upwards(int band) const { return count > 1 && band % 2 == 0; }
  // How far row y is from where its band's sweep begins.
  int64_t distance(int64_t y) const {
    const int its = band(y);
    const int64_t offset = y - its * rows;
    return upwards(its) ? rows - 1 - offset : offset;
  }
  // The rows of a band that a chunk comes to, `lag` rows behind.
  Rows rows_of(int band, int64_t chunk, int64_t lag) const;
  // The place in the ring of its own band of a row at this distance.
  int64_t place(const RingPart &part, int64_t d) const {
    assert(d >= 0 && d < rows);
    if (d < part.edge) return part.rows + d;
    if (d >= rows - part.edge && count > 2) return part.rows + part.edge + d - (rows - part.edge);
    return static_cast<uint32_t>(d) % static_cast<uint32_t>(part.rows);
  }
};

// Where rows stand in the rings of an image's lanes, seen from one of them: its own rows are found quickly.
class LaneRings {
 public:
  explicit LaneRings(int64_t rows_per_lane) : rows_per_lane_(rows_per_lane) {}
  void set(const Bands &bands, int lane) {
    bands_ = &bands;
    lane_ = lane;
    first_ = lane * bands.rows;
    upwards_ = bands.upwards(lane);
  }
  // The row of the first lane's ring, or of one behind it, where the layer's first channel has row y of the image.
  int64_t row(const RingPart &part, int64_t y) const {
    int64_t lane = lane_, d = y - first_;
    if (d >= 0 && d < bands_->rows) {
      if (upwards_) d = bands_->rows - 1 - d;
    } else {
      lane = bands_->band(y);
      d = bands_->distance(y);
      // No tap reaches beyond the bands that the lane waits for, nor to a row that has no place of its own.
      assert(std::abs(lane - lane_) <= bands_->neighbours);
      assert(part.rows == bands_->rows || d < part.edge || (d >= bands_->rows - part.edge && bands_->count > 2));
    }
    return lane * rows_per_lane_ + part.start + bands_->place(part, d) * part.channels;
  }

 private:
  const int64_t rows_per_lane_;
  const Bands *bands_ = nullptr;
  int64_t lane_ = 0, first_ = 0;
  bool upwards_ = false;
};

struct Plan {
  explicit Plan(const msd_problem &problem);

  const msd_problem &problem;
  int64_t item;  // bytes of one number
  int64_t rows, width, row_stride, margin;
  int64_t channels, maps, taps, row_taps;
  int64_t weights;      // entries of the packed weights
  int64_t parameters;   // ... of all parameters
  int threads;          // to plan for: a tiny problem is not worth waking others
  int slots;            // images in flight at once
  int64_t rounds;       // whole images per lane
  int rest, team;       // then so many images, and lanes that work on each
  bool in_cache;        // an image's maps stay in the caches from layer to layer
  Bands whole, parted;  // an image for one lane, for a team

  int64_t layer(int64_t q) const { return q / problem.width; }
  // Maps that hidden channel q sees; also the number of its layer's first map.
  int64_t maps_before(int64_t q) const { return problem.in_channels + layer(q) * problem.width; }
  int64_t weight_offset(int64_t q) const { return weight_offsets_[static_cast<size_t>(q)]; }

  int64_t image_numbers() const { return product({rows, maps, row_stride}); }
  // Of one lane. Per row and channel, the ring holds a row per row tap (forward), three shifted rows (backward). Three
  // are also the sums along y, one per tap along z.
  int64_t forward_ring_rows() const { return most_rows(&Bands::forward, &LayerBlocks::ring_rows); }
  int64_t backward_ring_rows() const { return most_rows(&Bands::backward, &LayerBlocks::ring_rows); }
  int64_t forward_ring() const { return product({forward_ring_rows(), row_taps, row_stride}); }
  int64_t forward_sum_rows() const { return most_rows(&Bands::forward, &LayerBlocks::sum_rows); }
  int64_t forward_sums() const { return product({forward_sum_rows(), 3, row_stride}); }
  int64_t backward_ring() const { return product({backward_ring_rows(), 3, row_stride}); }
  int64_t padded_stride() const { return row_stride + 2 * margin; }
  int64_t forward_scratch() const;   // numbers per thread
  int64_t backward_scratch() const;  // numbers per thread
  int64_t tile_sums() const;         // numbers of it for the rows that find_taps adds up, or for logits' gradients
  // Numbers (doubles) from one lane's sums of parameter gradients to the next one's.
  int64_t sums_stride() const { return (parameters * 8 + cache_line - 1) / cache_line * (cache_line / 8); }
  int64_t push_weights() const { return product({maps + push_group, whole.backward.channels, taps}); }
  msd_memory memory() const;

 private:
  std::vector<int64_t> weight_offsets_;  // per channel, and the number of weights

  // Of the ways that occur in this batch: a whole volume needs far more than one of many bands.
  int64_t most_rows(LayerBlocks Bands::*way, int64_t LayerBlocks::*its) const {
    return std::max(rounds > 0 ? whole.*way.*its : 0, rest > 0 ? parted.*way.*its : 0);
  }
  int64_t reach_along_y(int64_t q) const;
  int64_t reach_along_z(int64_t q) const;
  Bands make_bands(int count) const;
  RingPart ring_part(const Bands &bands, int64_t &place, int64_t age, int64_t reach) const;
  LayerBlocks make_blocks(const Bands &bands, int64_t most_channels, bool backwards) const;
};

}  // namespace napari_msd
