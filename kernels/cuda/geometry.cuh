// The boundary rule on the GPU: which pixel a tap reads, and which taps read a pixel.
//
// No halo is stored. A dilation d only matters modulo the period T of the mirrored row (T = 2 (size - 1) for
// reflect, 2 size for symmetric), because fold(y +- d) = fold(y +- d') for d' = d mod T. Taken with its sign,
// |d'| <= T / 2, so a position y + b d' leaves the image by at most one mirror image on either side. `zeros`
// needs no more than d' = min(d, size).
#pragma once

#include <cstdint>

#include "launch.cuh"
#include "napari_msd.h"
#include "storage.cuh"

namespace napari_msd {

// Division of n in 0 .. 2^31 - 1 by a fixed number as one multiplication and a shift (Granlund & Montgomery 1994).
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(int32_t divisor) : divisor_(divisor) {
    int32_t bits = 0;
    while ((int64_t{1} << bits) < divisor) ++bits;
    factor_ = static_cast<uint32_t>(((uint64_t{1} << (31 + bits)) + static_cast<uint32_t>(divisor) - 1) /
                                    static_cast<uint32_t>(divisor));
    shift_ = bits - 1;
  }

  __device__ int32_t divide(int32_t n) const {
    return divisor_ == 1 ? n : static_cast<int32_t>(__umulhi(static_cast<uint32_t>(n), factor_) >> shift_);
  }
  // n = quotient * divisor + rest
  __device__ int32_t divide(int32_t n, int32_t &rest) const {
    const int32_t quotient = divide(n);
    rest = n - quotient * divisor_;
    return quotient;
  }

 private:
  int32_t divisor_;
  uint32_t factor_;
  int32_t shift_;
};

constexpr unsigned block_threads = 128;

struct Geometry {
  int32_t depth, height, width;  // depth 1 in 2-D
  int32_t boundary;
  int64_t plane;  // depth * height * width
  int64_t batch;
  Divisor by_depth, by_height, by_width;
};

// A channel's dilation along z, y and x, reduced as above (signed); z is 0 in 2-D.
struct Step {
  int32_t z, y, x;
};

inline int32_t reduced_dilation(int32_t dilation, int32_t size, int32_t boundary) {
  if (boundary == MSD_ZEROS) return dilation < size ? dilation : size;
  const int32_t period = boundary == MSD_SYMMETRIC ? 2 * size : 2 * (size - 1);
  if (period == 0) return 0;
  const int32_t rest = dilation % period;
  return rest > period / 2 ? rest - period : rest;
}

// 0 where the mirror goes through the edge pixel, 1 where it goes behind it.
__device__ inline int32_t edge_of(int32_t boundary) { return boundary == MSD_SYMMETRIC ? 1 : 0; }

// The pixel that stands at `position`, at most one mirror image outside the row; -1 for none.
__device__ inline int32_t fold(int32_t position, int32_t size, int32_t boundary) {
  if (boundary == MSD_ZEROS) return position >= 0 && position < size ? position : -1;
  const int32_t edge = edge_of(boundary);
  const int32_t behind = max(position, -position - edge);
  return min(behind, 2 * size - 2 + edge - behind);
}

// What a tap reads, seen from the pixel that is read: the positions p in the row with fold(p - step) = pixel, that is the
// one `step` behind the pixel and at most one `step` behind its mirror image; -1 for none.
struct Readers {
  int32_t direct, mirrored;
};
__device__ inline Readers readers(int32_t pixel, int32_t size, int32_t step, int32_t boundary) {
  const int32_t position = pixel + step;
  Readers result = {position >= 0 && position < size ? position : -1, -1};
  if (boundary == MSD_ZEROS || step == 0) return result;
  const int32_t edge = edge_of(boundary);
  const int32_t image = step > 0 ? -pixel - edge : 2 * size - 2 + edge - pixel;
  const int32_t reader = image + step;
  if (image < 0 ? reader >= 0 : image >= size && reader < size) result.mirrored = reader;
  return result;
}

// Whether pixels first .. last have, for every tap of this step, one reader, the direct one.
__device__ inline bool far_from_edges(int32_t first, int32_t last, int32_t size, int32_t step) {
  const int32_t margin = (step < 0 ? -step : step) + 1;
  return first >= margin && last < size - margin;
}

// Taps along z: 1 in 2-D, 3 in 3-D; kernels are compiled for both.
template <int nz>
constexpr int taps_of = 9 * nz;

// Offsets within an image of the pixels that a channel's taps read at (z, y, x); -1: zero.
template <int nz>
__device__ inline void tap_offsets(const Geometry &g, Step step, int32_t z, int32_t y, int32_t x, int32_t *offsets) {
#pragma unroll
  for (int a = 0; a < nz; ++a) {
    const int32_t from_z = nz == 1 ? 0 : fold(z + (a - 1) * step.z, g.depth, g.boundary);
#pragma unroll
    for (int b = 0; b < 3; ++b) {
      const int32_t from_y = fold(y + (b - 1) * step.y, g.height, g.boundary);
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        const int32_t from_x = fold(x + (c - 1) * step.x, g.width, g.boundary);
        const bool inside = from_z >= 0 && from_y >= 0 && from_x >= 0;
        offsets[9 * a + 3 * b + c] = inside ? (from_z * g.height + from_y) * g.width + from_x : -1;
      }
    }
  }
}

// A row of the batch. Kernels that work on rows have one block of threads per row (and piece of it), so that all that
// depends on y and z alone is worked out once for all of them.
struct Row {
  int64_t image;
  int32_t z, y;

  // Where it begins in its image.
  __device__ int32_t offset(const Geometry &g) const { return (z * g.height + y) * g.width; }
};

__device__ inline Row row_of(const Geometry &g, unsigned number) {
  Row row;
  int32_t rest = g.by_height.divide(static_cast<int32_t>(number), row.y);
  row.image = g.by_depth.divide(rest, row.z);
  return row;
}

// How kernels that work on rows are launched: a block of threads per row of the batch and piece of it. A warp takes runs
// of 32 neighbouring pixels, one after another, so that it reads whole cache lines.
struct RowGrid {
  dim3 blocks;
  unsigned threads;
};
constexpr int32_t warp_pixels = 32;

inline RowGrid row_grid(const Geometry &g, int32_t pixels_per_thread, int32_t z) {
  const int32_t warps = (g.width + warp_pixels * pixels_per_thread - 1) / (warp_pixels * pixels_per_thread);
  const int32_t most = static_cast<int32_t>(block_threads) / warp_pixels, together = warps < most ? warps : most;
  RowGrid grid;
  grid.threads = static_cast<unsigned>(together * warp_pixels);
  grid.blocks = dim3(static_cast<unsigned>(g.batch * g.depth * g.height),
                     static_cast<unsigned>((warps + together - 1) / together), static_cast<unsigned>(z));
  return grid;
}

// A thread's pixels in its row, and the run of all its warp's.
struct Columns {
  int32_t first, last, lane;
  __device__ int32_t of_thread(int i) const { return first + warp_pixels * i + lane; }
};
__device__ inline Columns columns_of_thread(int pixels_per_thread) {
  const int32_t thread = static_cast<int32_t>(threadIdx.x), warps = static_cast<int32_t>(blockDim.x) / warp_pixels;
  // A row's first and last warp, which are at edges, have more to do. Which warps of a block these are changes from block to
  // block, so that no quarter of a multiprocessor gets them all.
  int32_t warp = thread / warp_pixels + static_cast<int32_t>(blockIdx.x >> 2 & 3);
  warp = warps == 3 ? (warp >= 3 ? warp - 3 : warp) : warp & (warps - 1);
  const int32_t run = warp_pixels * pixels_per_thread;
  const int32_t first = static_cast<int32_t>(blockIdx.y * blockDim.x) * pixels_per_thread + warp * run;
  return {first, first + run - 1, thread % warp_pixels};
}

// A pixel of one image.
struct Place {
  int32_t pixel, z, y, x;
};

__device__ inline Place place_of(const Geometry &g, int32_t pixel) {
  Place place;
  place.pixel = pixel;
  const int32_t row = g.by_width.divide(pixel, place.x);
  place.z = g.by_height.divide(row, place.y);
  return place;
}

// Rows that read one of 3 rows of taps, as offsets in an image: the direct and the mirrored readers; -1 for none.
struct ReaderRows {
  int32_t direct[3], mirrored[3];

  __device__ bool any_mirrored() const { return mirrored[0] >= 0 || mirrored[2] >= 0; }
};

// Of the taps of a channel at row y of plane z; taps b = 0, 1, 2 have readers one step behind, here, one step before.
__device__ inline ReaderRows reader_rows(const Geometry &g, Step step, int32_t z, int32_t y) {
  ReaderRows rows;
#pragma unroll
  for (int b = 0; b < 3; ++b) {
    const Readers from = readers(y, g.height, (1 - b) * step.y, g.boundary);
    rows.direct[b] = from.direct < 0 ? -1 : (z * g.height + from.direct) * g.width;
    rows.mirrored[b] = from.mirrored < 0 ? -1 : (z * g.height + from.mirrored) * g.width;
  }
  return rows;
}

// Adds to q[3 b + c] what three rows send to pixel x; a row of -1 sends nothing. All loads first, then all sums: each
// thread waits once.
template <class S>
__device__ inline void add_rows(const int32_t (&rows)[3], int32_t x, const Readers &left, const Readers &right,
                                const S *delta, Compute<S> (&q)[9]) {
  using T = Compute<S>;
  T direct[3][3], mirrored[3][2];
#pragma unroll
  for (int b = 0; b < 3; ++b) {
    const bool sends = rows[b] >= 0;
    const S *row = delta + rows[b];
    direct[b][0] = sends && left.direct >= 0 ? load(row + left.direct) : T(0);
    direct[b][1] = sends ? load(row + x) : T(0);
    direct[b][2] = sends && right.direct >= 0 ? load(row + right.direct) : T(0);
    mirrored[b][0] = sends && left.mirrored >= 0 ? load(row + left.mirrored) : T(0);
    mirrored[b][1] = sends && right.mirrored >= 0 ? load(row + right.mirrored) : T(0);
  }
#pragma unroll
  for (int b = 0; b < 3; ++b) {
    q[3 * b] += direct[b][0] + mirrored[b][0];
    q[3 * b + 1] += direct[b][1];
    q[3 * b + 2] += direct[b][2] + mirrored[b][1];
  }
}

// What the adjoint of a channel's gather sends to a pixel through its 9 taps in one plane of the filter:
//   q[3 b + c] = sum of delta(P) over all positions P with fold(P + (b - 1, c - 1) step) = pixel
// anywhere in the image: up to two readers per axis. Adds to q.
template <class S>
__device__ inline void add_taps(const Geometry &g, const ReaderRows &rows, int32_t x, int32_t step, const S *delta,
                                Compute<S> (&q)[9]) {
  const Readers left = readers(x, g.width, step, g.boundary), right = readers(x, g.width, -step, g.boundary);
  add_rows(rows.direct, x, left, right, delta, q);
  if (rows.any_mirrored()) add_rows(rows.mirrored, x, left, right, delta, q);
}

// The same far from all edges, where each tap has one reader, as it is stored: `delta` at the pixel itself.
template <class S>
__device__ inline void copy_taps(const Geometry &g, Step step, const S *delta, S (&q)[9]) {
#pragma unroll
  for (int b = 0; b < 3; ++b) {
    const S *row = delta + (1 - b) * step.y * g.width;
#pragma unroll
    for (int c = 0; c < 3; ++c) q[3 * b + c] = row[(1 - c) * step.x];
  }
}

// The rows that send to row y through the taps of one plane of the filter, whichever taps these are: mostly three, also
// near edges, where a mirrored reader takes the place of one that is missing. As offsets in an image, in two batches; a batch
// without rows begins with -1. Where there are fewer than three, the first stands once more, with the weights of `no_taps`: 0.
constexpr int32_t no_taps = 3;
struct SendingRows {
  int32_t rows[2][3];
  int32_t taps[2][3];  // b of each
};

__device__ inline SendingRows sending_rows(const Geometry &g, Step step, int32_t z, int32_t y, bool far_from_edges) {
  const int32_t first = z * g.height, here = (first + y) * g.width;
  SendingRows sending = {{{here, here, here}, {-1, -1, -1}}, {{1, no_taps, no_taps}, {no_taps, no_taps, no_taps}}};
  if (far_from_edges) {
    sending.rows[0][1] = (first + y + step.y) * g.width;
    sending.rows[0][2] = (first + y - step.y) * g.width;
    sending.taps[0][1] = 0;
    sending.taps[0][2] = 2;
    return sending;
  }
  const Readers above = readers(y, g.height, step.y, g.boundary), below = readers(y, g.height, -step.y, g.boundary);
  const int32_t found[4] = {above.direct, below.direct, above.mirrored, below.mirrored};
  int32_t n = 0;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (found[k] < 0) continue;
    const int32_t from = (first + found[k]) * g.width;
#pragma unroll
    for (int slot = 0; slot < 4; ++slot) {  // registers have no index
      if (slot != n) continue;
      sending.rows[slot / 2][slot / 2 == 0 ? slot + 1 : slot - 2] = from;
      sending.taps[slot / 2][slot / 2 == 0 ? slot + 1 : slot - 2] = k % 2 * 2;
    }
    if (n == 2) sending.rows[1][1] = sending.rows[1][2] = from;
    ++n;
  }
  return sending;
}

// Readers of a row's pixels along x for both outer taps, with all that is the same for the whole row worked out before.
struct RowEnds {
  int32_t left, right;            // the mirrored reader of pixel x is left - x, or right - x, if that is in the row
  int32_t left_axis, right_axis;  // except of this pixel, which is its own mirror image; -1: none
};
__device__ inline RowEnds row_ends(const Geometry &g, int32_t step) {
  if (g.boundary == MSD_ZEROS || step == 0) return {-1, -1, -1, -1};
  const int32_t edge = edge_of(g.boundary), first = edge ? -1 : 0, last = edge ? -1 : g.width - 1;
  const int32_t before = -edge, behind = 2 * g.width - 2 + edge;
  return step > 0 ? RowEnds{before + step, behind - step, first, last}
                  : RowEnds{behind + step, before - step, last, first};
}
__device__ inline bool in_row(int32_t x, int32_t width) {
  return static_cast<uint32_t>(x) < static_cast<uint32_t>(width);
}

// What three rows send to a thread's pixels, columns.of_thread(0 .. n - 1), through the three taps along x: q[i][3 row + c]. All
// loads stand before all sums, so that a warp waits once: blocks end when their slowest warp does, launches when their
// slowest block does.
template <int n, class S>
__device__ inline void gather_rows(const Geometry &g, const int32_t (&rows)[3], const Columns &columns, int32_t step,
                                   const S *delta, Compute<S> (&q)[n][9]) {
  const S *of_thread = delta + columns.of_thread(0);
  const S *from[3];
#pragma unroll
  for (int r = 0; r < 3; ++r) from[r] = of_thread + rows[r];
  if (far_from_edges(columns.first, columns.last, g.width, step)) {
#pragma unroll
    for (int i = 0; i < n; ++i) {
#pragma unroll
      for (int t = 0; t < 9; ++t) q[i][t] = load(from[t / 3] + (1 - t % 3) * step + warp_pixels * i);
    }
    return;
  }
  // Without this the compiler works out what only the ends need ahead of the loop around this, for all.
  step = static_cast<int32_t>(forgotten(static_cast<unsigned>(step)));
  const RowEnds ends = row_ends(g, step);
  S direct[n][9], mirrored[n][6];
  bool far[n];
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const int32_t run = columns.first + warp_pixels * i;
    far[i] = far_from_edges(run, run + warp_pixels - 1, g.width, step);
    if (far[i]) {
#pragma unroll
      for (int t = 0; t < 9; ++t) direct[i][t] = from[t / 3][(1 - t % 3) * step + warp_pixels * i];
      continue;
    }
    const int32_t x = columns.of_thread(i), left = ends.left - x, right = ends.right - x;
    const bool sends[3] = {in_row(x + step, g.width), x < g.width, in_row(x - step, g.width)};
    const bool left_sends = in_row(left, g.width) && x != ends.left_axis;
    const bool right_sends = in_row(right, g.width) && x != ends.right_axis;
#pragma unroll
    for (int r = 0; r < 3; ++r) {
#pragma unroll
      for (int c = 0; c < 3; ++c) direct[i][3 * r + c] = sends[c] ? from[r][(1 - c) * step + warp_pixels * i] : S{};
      const S *row = delta + rows[r];
      mirrored[i][2 * r] = left_sends ? row[left] : S{};
      mirrored[i][2 * r + 1] = right_sends ? row[right] : S{};
    }
  }
#pragma unroll
  for (int i = 0; i < n; ++i) {
#pragma unroll
    for (int t = 0; t < 9; ++t) q[i][t] = load(&direct[i][t]);
    if (far[i]) continue;
#pragma unroll
    for (int r = 0; r < 3; ++r) {
      q[i][3 * r] += load(&mirrored[i][2 * r]);
      q[i][3 * r + 2] += load(&mirrored[i][2 * r + 1]);
    }
  }
}

// What all rows and planes send to a pixel anywhere through the taps in plane a of 3 (in 2-D 1). Adds to q.
template <class S>
__device__ inline void add_all_taps(const Geometry &g, Step step, int32_t a, const Place &place, const S *delta,
                                    Compute<S> (&q)[9]) {
  if (far_from_edges(place.y, place.y, g.height, step.y) &&
      (step.z == 0 || far_from_edges(place.z, place.z, g.depth, step.z))) {
    // Near a row's end only, as most pixels near edges are.
    const int32_t row = ((place.z + (1 - a) * step.z) * g.height + place.y) * g.width, jump = step.y * g.width;
    add_rows({row + jump, row, row - jump}, place.x, readers(place.x, g.width, step.x, g.boundary),
             readers(place.x, g.width, -step.x, g.boundary), delta, q);
    return;
  }
  const Readers planes = readers(place.z, g.depth, (1 - a) * step.z, g.boundary);
#pragma unroll 1
  for (int i = 0; i < 2; ++i) {
    const int32_t z = i == 0 ? planes.direct : planes.mirrored;
    if (z >= 0) add_taps(g, reader_rows(g, step, z, place.y), place.x, step.x, delta, q);
  }
}

}  // namespace napari_msd
