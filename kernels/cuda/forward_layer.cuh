// One layer of Eqs. 3 and 4, resolved:
//
//   z[q](p) = ReLU( bias[q] + sum over tap rows (a, b) of rows[q][a][b]( fold_zy(p + (a, b) d) )
//                           + sum over maps l of the block before this layer and taps t of
//                             weight[q][l][t] * z[l]( fold(p + t d) ) )
//
// rows hold what all maps outside the block give (forward_sweep.cuh). Without them (null) all earlier maps are
// summed here: the direct form, for float64, for blocks that see few maps or reach too far.
//
// A block of threads takes a row, or a piece of one: the rows that taps read are then the same for all its threads, and
// a thread's columns the same for all maps. Weights (packed) are read by all threads at once, from the first-level
// cache. Reads each map once per tap (neighbouring threads share them in L1), each row plane once per tap row, writes
// the new map once.
#pragma once

#include <type_traits>

#include "network.cuh"

namespace napari_msd {

// Pixels `columns` of `row`, n_pixels to a thread (1 in 3-D, where the columns of more would not fit in registers beside 9
// rows), of channel q of the layer. `before_reading` is called before anything is read.
template <class S, int nz, int n_pixels, class BeforeReading>
__device__ inline void resolve_pixels(const Network &network, const Block &block, int32_t layer, int32_t q,
                                      const Step &step, const Compute<S> *weights, const Compute<S> *bias,
                                      const float *rows, S *maps, const Row &row, const Columns &columns,
                                      const BeforeReading &before_reading) {
  using T = Compute<S>;
  const Geometry &g = network.geometry;
  const int32_t j = q - block.first_channel;

  int32_t from[3 * nz];  // rows that taps read, as offsets in an image; -1: zero
#pragma unroll
  for (int a = 0; a < nz; ++a) {
    const int32_t z = nz == 1 ? 0 : fold(row.z + (a - 1) * step.z, g.depth, g.boundary);
#pragma unroll
    for (int b = 0; b < 3; ++b) {
      const int32_t y = fold(row.y + (b - 1) * step.y, g.height, g.boundary);
      from[3 * a + b] = z >= 0 && y >= 0 ? (z * g.height + y) * g.width : -1;
    }
  }
  before_reading();
  int32_t column[n_pixels][3];
  T sums[n_pixels];
#pragma unroll
  for (int i = 0; i < n_pixels; ++i) {
    // Beyond the row's end the last pixel once more, which is not written.
    const int32_t x = min(columns.of_thread(i), g.width - 1);
#pragma unroll
    for (int c = 0; c < 3; ++c) column[i][c] = fold(x + (c - 1) * step.x, g.width, g.boundary);
    sums[i] = bias[q];
  }

  if (rows) {
    const float *plane = rows + (row.image * 3 * nz * block.channels + j) * g.plane;
#pragma unroll
    for (int r = 0; r < 3 * nz; ++r, plane += block.channels * g.plane) {
      if (from[r] < 0) continue;
#pragma unroll
      for (int i = 0; i < n_pixels; ++i) sums[i] += static_cast<T>(plane[from[r] + column[i][1]]);
    }
  }

  S *image = maps + row.image * network.maps() * g.plane;
  const int64_t first = rows ? block.maps_outside : 0;
  const T *channel_weights =
      weights + (j / block_channels * nz * block.packed_maps + first) * packed_channels + j % block_channels * 12;
  // far: no tap of this warp is folded along x; checked: some may be zero
  const auto add_maps = [&](auto far, auto checked) {
    const S *map = image + first * g.plane;
    const T *w = channel_weights;
#pragma unroll 1
    for (int32_t n = static_cast<int32_t>(network.maps_before(layer) - first); n > 0;
         --n, map += g.plane, w += packed_channels) {
#pragma unroll
      for (int a = 0; a < nz; ++a) {
        const Taps<T> taps = *reinterpret_cast<const Taps<T> *>(w + a * block.packed_maps * packed_channels);
#pragma unroll
        for (int b = 0; b < 3; ++b) {
          const int32_t offset = from[3 * a + b];
#pragma unroll
          for (int i = 0; i < n_pixels; ++i) {
#pragma unroll
            for (int c = 0; c < 3; ++c) {
              const bool zero = checked.value && (offset < 0 || column[i][c] < 0);
              const S *from =
                  map + offset + (far.value ? column[0][c] : column[i][c]) + (far.value ? warp_pixels * i : 0);
              sums[i] += taps.of[3 * b + c] * (zero ? T(0) : load(from));
            }
          }
        }
      }
    }
  };
  const bool far_x = far_from_edges(columns.first, columns.last, g.width, step.x);
  const bool far_yz =
      far_from_edges(row.y, row.y, g.height, step.y) && (nz == 1 || far_from_edges(row.z, row.z, g.depth, step.z));
  if (g.boundary == MSD_ZEROS && !(far_x && far_yz)) {
    add_maps(std::false_type(), std::true_type());
  } else if (far_x) {
    add_maps(std::true_type(), std::false_type());
  } else {
    add_maps(std::false_type(), std::false_type());
  }

  S *out = image + (network.in_channels + q) * g.plane + row.offset(g);
#pragma unroll
  for (int i = 0; i < n_pixels; ++i) {
    const int32_t x = columns.of_thread(i);
    // Written so that NaN stays NaN.
    if (x < g.width) store(out + x, sums[i] < T(0) ? T(0) : sums[i]);
  }
}

}  // namespace napari_msd
