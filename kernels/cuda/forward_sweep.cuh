// What all maps before a block of layers give to its channels, each map read once for all of them:
//
//   P[q][a][b][c](x) = sum over maps l before the block of weight[q][l][a][b][c] * z[l](x)      (tap products)
//   rows[q][a][b](x) = sum over c of P[q][a][b][c]( fold_x(x + c d_q) )
//
// P is a matrix product (channels and taps x maps x pixels) and never leaves the kernel: a block of threads holds
// it in registers for 8 channels, 9 taps and a tile of 512 neighbouring pixels, whole rows or, in wide images,
// pieces of one row with a halo of `reach_x` pixels; so the three taps of a row can be added up in shared memory,
// and 3 numbers per channel and pixel are written instead of 9. In 3-D a block of threads does one plane a of the
// filter.
//
// Reads each map once per 4 or 8 channels (3-D: three times), writes rows (image, 3 a + b, channel of the block, pixel)
// in float32. 16-bit maps are multiplied on the matrix units, with 16-bit weights, 8 channels at a time; float32 on the scalar
// units, 4 channels at a time, so that two blocks fit on a multiprocessor and one sums up rows while the other multiplies.
// While a chunk of maps is multiplied, the next is copied to shared memory: one barrier per chunk.
#pragma once

#include "matrix_units.cuh"
#include "network.cuh"

namespace napari_msd {

constexpr int tile_pixels = 512;
constexpr int32_t aligned_pixels = 8;  // 16 bytes of 16-bit maps, 32 of others

// A block's share of one image's pixels, as a run of neighbours: columns first .. end of `rows` whole rows, or of
// one piece of a row, of which pixels x_first .. x_end - 1 are written.
struct Tiles {
  int32_t rows, pieces, piece_pixels, halo;
  int32_t per_image;
  Divisor by_image, by_piece;
};

struct Tile {
  int32_t first_pixel, pixels, x_first, x_end;
};

// False where pieces of a row would be mostly halo.
inline bool plan_tiles(const Geometry &g, int32_t reach_x, Tiles &tiles) {
  const int32_t rows = g.depth * g.height;
  if (g.width <= tile_pixels) {
    const int32_t together = tile_pixels / g.width, n = (rows + together - 1) / together;
    tiles = {together, 1, g.width, 0, n, Divisor(n), Divisor(1)};
    return true;
  }
  const int32_t halo = (reach_x + aligned_pixels - 1) / aligned_pixels * aligned_pixels;
  const int32_t most = tile_pixels - 2 * halo;
  if (most < tile_pixels / 2) return false;
  const int32_t least = (g.width + most - 1) / most;
  const int32_t pixels = ((g.width + least - 1) / least + aligned_pixels - 1) / aligned_pixels * aligned_pixels;
  const int32_t pieces = (g.width + pixels - 1) / pixels;
  tiles = {1, pieces, pixels, halo, rows * pieces, Divisor(rows * pieces), Divisor(pieces)};
  return true;
}

__device__ inline Tile tile_of(const Geometry &g, const Tiles &tiles, int32_t index) {
  int32_t piece;
  const int32_t row = tiles.by_piece.divide(index, piece) * tiles.rows;
  const int32_t x_first = piece * tiles.piece_pixels, x_end = min(x_first + tiles.piece_pixels, g.width);
  if (tiles.pieces == 1) return {row * g.width, min(tiles.rows, g.depth * g.height - row) * g.width, 0, g.width};
  const int32_t from = max(x_first - tiles.halo, 0), to = min(x_end + tiles.halo, g.width);
  return {row * g.width + from, to - from, x_first, x_end};
}

// Tap products of float32 maps: a warp takes one channel and half of the tile, a thread 8 of its pixels.
template <class S>
struct Products {
  static constexpr int channels = 4, threads = 256, blocks_per_multiprocessor = 2;
  static constexpr int depth = 8;  // maps per chunk
  struct alignas(16) Stage {
    float maps[depth][tile_pixels];
    float weights[depth][channels][12];  // 9 taps, padded to whole float4
  };
  float sums[9][8];

  __device__ static int channel() { return static_cast<int>(threadIdx.x) / 64; }
  __device__ static int column() {
    return static_cast<int>(threadIdx.x) / 32 % 2 * 256 + static_cast<int>(threadIdx.x) % 32 * 4;
  }
  __device__ static float *map(Stage &stage, int k) { return stage.maps[k]; }
  // In which column of a row that was deposited the sum of channel j for `column` lies.
  __device__ static int32_t deposited(int32_t column, int) { return column; }

  // Weights of maps first .. first + depth - 1 for the 4 channels, from where those of the 8 begin.
  __device__ static void copy_weights(Stage &stage, const PackedWeights<S> &weights, int64_t start, int32_t first,
                                      int first_j) {
    constexpr int pieces = channels * 12 / 4;
    const int thread = static_cast<int>(threadIdx.x);
    if (thread >= depth * pieces) return;
    const int k = thread / pieces, piece = thread % pieces;
    copy_16_bytes(stage.weights[k][0] + 4 * piece,
                  weights.forward + (start + first + k) * packed_channels + first_j % block_channels * 12 + 4 * piece);
  }

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) {
#pragma unroll
      for (int i = 0; i < 8; ++i) sums[t][i] = 0;
    }
  }

  __device__ void multiply(const Stage &stage) {
#pragma unroll 2
    for (int k = 0; k < depth; ++k) {
      const float4 *taps = reinterpret_cast<const float4 *>(stage.weights[k][channel()]);
      const float4 *pixels = reinterpret_cast<const float4 *>(stage.maps[k] + column());
      const float4 w0 = taps[0], w1 = taps[1], w2 = taps[2], z0 = pixels[0], z1 = pixels[32];
      const float w[9] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w, w2.x};
      const float z[8] = {z0.x, z0.y, z0.z, z0.w, z1.x, z1.y, z1.z, z1.w};
#pragma unroll
      for (int t = 0; t < 9; ++t) {
#pragma unroll
        for (int i = 0; i < 8; ++i) sums[t][i] += w[t] * z[i];
      }
    }
  }

  __device__ void deposit(int b, float (*row)[channels][tile_pixels]) const {
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      if (i != b) continue;  // registers have no index
#pragma unroll
      for (int c = 0; c < 3; ++c) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float *s = sums[3 * i + c] + 4 * half;
          *reinterpret_cast<float4 *>(row[c][channel()] + column() + 128 * half) = float4{s[0], s[1], s[2], s[3]};
        }
      }
    }
  }
};

// Tap products of 16-bit maps on the matrix units: a warp takes 32 pixels for all 8 channels and 9 taps.
template <class S>
struct MatrixProducts {
  static constexpr int channels = 8, threads = 512, blocks_per_multiprocessor = 1;
  static constexpr int depth = tile_depth;
  static constexpr int map_stride = tile_pixels + 8, weight_stride = depth + 8;  // rows on different banks
  struct alignas(128) Stage {
    S maps[depth * map_stride];
    S weights[9][block_channels * weight_stride];
  };
  Sums sums[9];

  __device__ static int column() { return static_cast<int>(threadIdx.x) / 32 * tile_columns; }
  __device__ static S *map(Stage &stage, int k) { return stage.maps + k * map_stride; }
  __device__ static int32_t deposited(int32_t column, int j) { return column ^ spread_by(j); }

  __device__ static void copy_weights(Stage &stage, const PackedWeights<S> &weights, int64_t start, int32_t first,
                                      int) {
    static_assert(depth == map_padding);
    constexpr int pieces = depth * sizeof(S) / 16;
    const int thread = static_cast<int>(threadIdx.x);
    if (thread >= packed_matrix * pieces) return;
    const int row = thread / pieces, piece = thread % pieces;  // row: 8 t + channel
    copy_16_bytes(stage.weights[0] + row * weight_stride + 8 * piece,
                  weights.matrices + (start + first) * packed_matrix + row * depth + 8 * piece);
  }

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) clear_sums(sums[t]);
  }

  __device__ void multiply(const Stage &stage) {
    Right<S, true> pixels;
    load_right(pixels, stage.maps + column(), map_stride);
#pragma unroll
    for (int t = 0; t < 9; ++t) {
      Left<S> taps;
      load_left(taps, stage.weights[t], weight_stride);
      multiply_add(sums[t], taps, pixels);
    }
  }

  __device__ void deposit(int b, float (*row)[channels][tile_pixels]) const {
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      if (i != b) continue;
#pragma unroll
      for (int c = 0; c < 3; ++c) store_sums<true>(row[c][0] + column(), sums[3 * i + c], tile_pixels);
    }
  }
};

template <class S>
struct ProductsOf {
  using type = MatrixProducts<S>;
};
template <>
struct ProductsOf<float> {
  using type = Products<float>;
};

// Pixels of `n` maps to shared memory, and zeros for the rest of the chunk (not what lies there: zero weights times NaN
// is NaN). Columns behind the tile's end are nobody's: their sums are never used.
template <class P, class S>
__device__ inline void copy_maps(typename P::Stage &stage, const S *first, int64_t plane, int32_t pixels, int n,
                                 bool aligned) {
  constexpr int in_16_bytes = 16 / sizeof(S), pieces = tile_pixels / in_16_bytes;
  const int thread = static_cast<int>(threadIdx.x);
  if (aligned) {
    constexpr int maps_at_once = P::threads / pieces;
    static_assert(P::threads % pieces == 0 && P::depth % maps_at_once == 0);
    const int column = thread % pieces * in_16_bytes;
    if (column >= pixels) return;
    const int first_k = thread / pieces;
    const S *from = first + first_k * plane + column;
#pragma unroll
    for (int i = 0; i < P::depth / maps_at_once; ++i, from += maps_at_once * plane) {
      const int k = first_k + i * maps_at_once;
      copy_16_bytes_or_zeros(P::map(stage, k) + column, from, k < n);
    }
    return;
  }
  for (int column = thread; column < pixels; column += P::threads) {
#pragma unroll
    for (int k = 0; k < P::depth; ++k) {
      S *to = P::map(stage, k) + column;
      if (k >= n) {
        *to = S{};
      } else if constexpr (sizeof(S) == 4) {
        copy_4_bytes(to, first + k * plane + column);
      } else {
        *to = first[k * plane + column];
      }
    }
  }
}

// What a block of threads keeps in shared memory for a tile.
template <class S>
union alignas(128) SweepMemory {
  using P = typename ProductsOf<S>::type;
  typename P::Stage stages[2];
  float row[3][P::channels][tile_pixels];
  __device__ SweepMemory() {}
};

// Which part of a sweep: a tile of the batch, a plane of the filter, the how-manieth P::channels of 8.
struct SweepPart {
  unsigned tile, plane, channels;
};

// The tap products of one tile, added up along x into `rows`. `part()` tells which and is asked twice, so that nothing
// that follows from it stays in registers through the products. All threads call `before_reading` before anything is read,
// and `before_writing` before anything is written.
template <class S, class Part, class BeforeReading, class BeforeWriting>
__device__ inline void sweep_tile(const Network &network, const Block &block, const Tiles &tiles,
                                  const PackedWeights<S> &weights, const Steps &steps, int32_t first_group,
                                  const S *maps, float *rows, SweepMemory<S> &shared, const Part &part,
                                  const BeforeReading &before_reading, const BeforeWriting &before_writing) {
  using P = typename ProductsOf<S>::type;
  const Geometry &g = network.geometry;
  const int thread = static_cast<int>(threadIdx.x);
  const SweepPart of_maps = part();
  const int a = static_cast<int>(of_maps.plane);
  const int32_t n_maps = static_cast<int32_t>(block.maps_outside);
  int32_t index;
  const int64_t image = tiles.by_image.divide(static_cast<int32_t>(of_maps.tile), index);
  const Tile tile = tile_of(g, tiles, index);
  const int first_j = first_group * block_channels + static_cast<int>(of_maps.channels) * P::channels;

  const S *pixel = maps + image * network.maps() * g.plane + tile.first_pixel;
  const bool aligned = g.width % (16 / static_cast<int>(sizeof(S))) == 0;
  const int64_t start = block.forward_start + (first_group * (network.taps / 9) + a) * block.packed_maps;
  const auto fetch = [&](int32_t first, typename P::Stage &stage) {
    copy_maps<P>(stage, pixel, g.plane, tile.pixels, n_maps - first, aligned);
    P::copy_weights(stage, weights, start, first, first_j);
    pixel += P::depth * g.plane;
  };

  P products;
  products.clear();
  before_reading();
  fetch(0, shared.stages[0]);
  int current = 0;
  for (int32_t first = 0; first < n_maps; first += P::depth, current ^= 1) {
    wait_for_copies();
    __syncthreads();
    if (first + P::depth < n_maps) fetch(first + P::depth, shared.stages[current ^ 1]);
    products.multiply(shared.stages[current]);
  }

  // Worked out anew: kept through the products, these would take the registers that the sums need.
  const SweepPart of_rows = part();
  const int32_t to_image = tiles.by_image.divide(static_cast<int32_t>(of_rows.tile), index);
  const Tile to = tile_of(g, tiles, index);
  const int to_j = first_group * block_channels + static_cast<int>(of_rows.channels) * P::channels;
  const int to_channels = block.channels - to_j < P::channels ? block.channels - to_j : P::channels;
  float *out =
      rows +
      ((static_cast<int64_t>(to_image) * (network.taps / 9) + of_rows.plane) * 3 * block.channels + to_j) * g.plane;
  before_writing();
  for (int b = 0; b < 3; ++b, out += block.channels * g.plane) {
    __syncthreads();
    products.deposit(b, shared.row);
    __syncthreads();
    for (int column = thread; column < to.pixels; column += P::threads) {
      const int32_t p = to.first_pixel + column;
      int32_t x;
      g.by_width.divide(p, x);
      if (x < to.x_first || x >= to.x_end) continue;
#pragma unroll
      for (int j = 0; j < P::channels; ++j) {
        if (j >= to_channels) break;
        const int32_t step = steps.of[to_j % block_channels + j].x;
        const float (*row)[P::channels][tile_pixels] = shared.row;
        const int32_t left = fold(x - step, g.width, g.boundary), right = fold(x + step, g.width, g.boundary);
        float sum = left >= 0 ? row[0][j][P::deposited(column + left - x, j)] : 0.0f;
        sum += row[1][j][P::deposited(column, j)];
        sum += right >= 0 ? row[2][j][P::deposited(column + right - x, j)] : 0.0f;
        out[j * g.plane + p] = sum;
      }
    }
  }
}

}  // namespace napari_msd
