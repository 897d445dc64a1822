// How one pass is cut up: memory layout, blocks of layers and chunks of rows. (Who does what: shares.h.)
//
// Layout. An image is `rows` rows (Z*Y in 3-D). Memory holds row after row, and of one row all maps one after
// another: (rows, maps, row_stride). A row of all maps is what every inner loop works on, so it streams from
// memory as one piece, whatever the number of maps. `row_stride` is the width rounded up to 64 bytes (plus 64
// where maps would otherwise share cache sets), zeros in the padding, so that every inner loop works on whole
// aligned vectors. There is no halo: memory does not depend on dilations.
//
// Blocks. The layers of a block are done in one sweep over the rows, so that earlier maps come from memory once
// per block and not once per layer. In the sweep every layer runs as many rows behind the one it reads as its
// taps reach (`lag`): all its rows that others still need are rows of the recent past, kept in a ring.
//
// Chunks. The sweep goes chunk by chunk of `chunk_rows` rows. Up to `team` of them are under way at a time, each some
// steps behind the one before it; the last chunks of one block and the first of the next overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "check_problem.h"
#include "kernel_table.h"
#include "napari_msd.h"

namespace napari_msd {

constexpr int64_t cache_line = 64;
constexpr int class_chunk = 8;

// Some whole layers, done in one sweep.
struct Block {
  int64_t first, last;          // hidden channels first .. last - 1
  int64_t maps_outside;         // maps before the block
  std::vector<int64_t> layers;  // first channel of each layer, and `last`
  std::vector<int64_t> reach;   // rows that each layer's taps reach
  int64_t lag;                  // sum of reach
  int64_t chunks;               // of rows, until the last layer has seen the last row

  int n_layers() const { return static_cast<int>(reach.size()); }
};

// How one of the passes goes through the layers.
struct Blocks {
  std::vector<Block> all;  // in the order of the layers
  int64_t channels;        // of the largest block
  int64_t ring_rows;
  int64_t parities;  // 2 where a team's chunks of two blocks may be under way at once

  // Where row y stands in the ring. (32-bit: a division that takes a tenth of the time.)
  int64_t place(int64_t y) const { return static_cast<uint32_t>(y) % static_cast<uint32_t>(ring_rows); }
};

struct Plan {
  explicit Plan(const msd_problem &problem);

  const msd_problem &problem;
  int64_t item;  // bytes of one number
  int64_t rows, width, row_stride, margin;
  int64_t channels, maps, taps, row_taps;
  int64_t weights;     // entries of the packed weights
  int64_t parameters;  // ... of all parameters
  int threads;         // to plan for: a tiny problem is not worth waking others
  int slots;           // images in flight at once
  int team;            // most threads that work on one image
  int64_t chunk_rows, tile_rows;
  bool in_cache;  // an image's maps stay in the caches from layer to layer
  Blocks forward, backward;

  int64_t layer(int64_t q) const { return q / problem.width; }
  // Maps that hidden channel q sees; also the number of its layer's first map.
  int64_t maps_before(int64_t q) const { return problem.in_channels + layer(q) * problem.width; }
  int64_t weight_offset(int64_t q) const { return weight_offsets_[static_cast<size_t>(q)]; }

  int64_t image_numbers() const { return product({rows, maps, row_stride}); }
  // Per row and channel, the ring holds a row per row tap (forward), three shifted rows (backward).
  int64_t ring_numbers(const Blocks &blocks, int64_t per_channel) const {
    return product({blocks.parities, blocks.ring_rows, blocks.channels, per_channel, row_stride});
  }
  int64_t forward_ring() const { return ring_numbers(forward, row_taps); }
  int64_t backward_ring() const { return ring_numbers(backward, 3); }
  int64_t padded_stride() const { return row_stride + 2 * margin; }
  int64_t forward_scratch() const;   // numbers per thread
  int64_t backward_scratch() const;  // numbers per thread
  // Numbers (doubles) from one lane's sums of parameter gradients to the next one's.
  int64_t sums_stride() const { return (parameters * 8 + cache_line - 1) / cache_line * (cache_line / 8); }
  int64_t push_weights() const { return product({maps + push_group, backward.channels, taps}); }
  msd_memory memory() const;

 private:
  std::vector<int64_t> weight_offsets_;  // per channel, and the number of weights

  int64_t reach(int64_t q) const;
  Blocks make_blocks(int64_t most_channels) const;
};

}  // namespace napari_msd
