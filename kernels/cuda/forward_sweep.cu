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
// Reads each map once per 8 channels (3-D: three times), writes rows (image, 3 a + b, channel of the block, pixel)
// in float32. 16-bit maps are multiplied on the matrix units, with 16-bit weights; float32 on the scalar units.
// While a chunk of maps is multiplied, the next is on its way to registers: one barrier per chunk.
#include "matrix_units.cuh"
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int sweep_threads = 512, tile_pixels = 512;

// A block's share of one image's pixels, as a run of neighbours: columns first .. end of `rows` whole rows, or of
// one piece of a row, of which pixels x_first .. x_end - 1 are written.
struct Tiles {
  int32_t rows, pieces, piece_pixels, halo;
  int64_t per_image;
};

struct Tile {
  int32_t first_pixel, pixels, x_first, x_end;
};

// False where pieces of a row would be mostly halo.
bool plan_tiles(const Geometry &g, int32_t reach_x, Tiles &tiles) {
  const int64_t rows = static_cast<int64_t>(g.depth) * g.height;
  if (g.width <= tile_pixels) {
    tiles = {tile_pixels / g.width, 1, g.width, 0, 0};
    tiles.per_image = (rows + tiles.rows - 1) / tiles.rows;
    return true;
  }
  const int32_t most = tile_pixels - 2 * reach_x;
  if (most < tile_pixels / 2) return false;
  const int32_t pieces = (g.width + most - 1) / most;
  tiles = {1, pieces, (g.width + pieces - 1) / pieces, reach_x, rows * pieces};
  return true;
}

__device__ inline Tile tile_of(const Geometry &g, const Tiles &tiles, int64_t index) {
  const int64_t row = index / tiles.pieces * tiles.rows;
  const int32_t x_first = static_cast<int32_t>(index % tiles.pieces) * tiles.piece_pixels;
  const int32_t x_end = x_first + tiles.piece_pixels < g.width ? x_first + tiles.piece_pixels : g.width;
  if (tiles.pieces == 1) {
    const int64_t left = static_cast<int64_t>(g.depth) * g.height - row;
    const int32_t rows = static_cast<int32_t>(left < tiles.rows ? left : tiles.rows);
    return {static_cast<int32_t>(row * g.width), rows * g.width, 0, g.width};
  }
  const int32_t from = x_first > tiles.halo ? x_first - tiles.halo : 0;
  const int32_t to = x_end + tiles.halo < g.width ? x_end + tiles.halo : g.width;
  return {static_cast<int32_t>(row * g.width) + from, to - from, x_first, x_end};
}

// Tap products of float32 maps: a warp takes one channel and half of the tile, a thread 8 of its pixels.
template <class S>
struct Products {
  static constexpr int depth = 8;  // maps per chunk
  struct alignas(16) Stage {
    float maps[depth][tile_pixels];
    float weights[depth][block_channels][12];  // 9 taps, padded to whole float4

    __device__ void put_map(int k, int column, float value) { maps[k][column] = value; }
    __device__ void put_weight(int k, int channel, int tap, float value) { weights[k][channel][tap] = value; }
  };
  float sums[9][8];

  __device__ static int channel() { return static_cast<int>(threadIdx.x) / 64; }
  __device__ static int column() { return static_cast<int>(threadIdx.x) / 32 % 2 * 256 + static_cast<int>(threadIdx.x) % 32 * 4; }

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

  __device__ void deposit(int b, float (*row)[block_channels][tile_pixels]) const {
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
  static constexpr int depth = tile_depth;
  static constexpr int map_stride = tile_pixels + 8, weight_stride = depth + 8;  // rows on different banks
  struct alignas(128) Stage {
    S maps[depth * map_stride];
    S weights[9][block_channels * weight_stride];

    __device__ void put_map(int k, int column, S value) { maps[k * map_stride + column] = value; }
    __device__ void put_weight(int k, int channel, int tap, float value) {
      store(weights[tap] + channel * weight_stride + k, value);
    }
  };
  Sums sums[9];

  __device__ static int column() { return static_cast<int>(threadIdx.x) / 32 * tile_columns; }

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

  __device__ void deposit(int b, float (*row)[block_channels][tile_pixels]) const {
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      if (i != b) continue;
#pragma unroll
      for (int c = 0; c < 3; ++c) store_sums(row[c][0] + column(), sums[3 * i + c], tile_pixels);
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

template <class S>
__global__ void __launch_bounds__(sweep_threads)
forward_sweep_kernel(Network network, Block block, Tiles tiles, const float *weight, const Step *steps, const S *maps,
                     float *rows) {
  using P = typename ProductsOf<S>::type;
  constexpr int threads_per_channel = sweep_threads / block_channels;
  constexpr int weights_per_thread = (9 * P::depth + threads_per_channel - 1) / threads_per_channel;
  union alignas(128) Shared {
    typename P::Stage stages[2];
    float row[3][block_channels][tile_pixels];
    __device__ Shared() {}
  };
  __shared__ Shared shared;

  const Geometry &g = network.geometry;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t image = blockIdx.x / tiles.per_image;
  const Tile tile = tile_of(g, tiles, blockIdx.x - image * tiles.per_image);
  const int a = static_cast<int>(blockIdx.y);
  const int first_j = static_cast<int>(blockIdx.z) * block_channels;
  const int n_channels = block.channels - first_j < block_channels ? block.channels - first_j : block_channels;
  const int32_t n_maps = static_cast<int32_t>(network.maps_before(block.first_layer));

  // Thread i brings pixel i of every map, and a few weights of channel i / 64.
  const bool in_tile = thread < tile.pixels;
  const S *pixel = maps + image * network.maps() * g.plane + tile.first_pixel + (in_tile ? thread : 0);
  const int weight_j = thread / threads_per_channel, weight_e = thread % threads_per_channel;
  const bool has_weights = weight_j < n_channels;
  const float *channel_weight =
      weight + network.weight_offset(block.first_channel + first_j + (has_weights ? weight_j : 0)) + 9 * a;
  S next_map[P::depth];
  float next_weight[weights_per_thread];
  const auto fetch = [&](int32_t first) {
#pragma unroll
    for (int k = 0; k < P::depth; ++k, pixel += g.plane) {
      next_map[k] = in_tile && first + k < n_maps ? *pixel : S{};
    }
#pragma unroll
    for (int i = 0; i < weights_per_thread; ++i) {
      const int e = weight_e + i * threads_per_channel, k = first + e / 9;
      next_weight[i] = has_weights && k < n_maps ? channel_weight[k * network.taps + e % 9] : 0.0f;
    }
  };

  P products;
  products.clear();
  fetch(0);
  int current = 0;
  for (int32_t first = 0; first < n_maps; first += P::depth, current ^= 1) {
    typename P::Stage &stage = shared.stages[current];
#pragma unroll
    for (int k = 0; k < P::depth; ++k) stage.put_map(k, thread, next_map[k]);
#pragma unroll
    for (int i = 0; i < weights_per_thread; ++i) {
      const int e = weight_e + i * threads_per_channel;
      if (e < 9 * P::depth) stage.put_weight(e / 9, weight_j, e % 9, next_weight[i]);
    }
    __syncthreads();
    if (first + P::depth < n_maps) fetch(first + P::depth);
    products.multiply(stage);
  }

  // Worked out anew: kept through the products, these would take the registers that the sums need.
  const unsigned index = forgotten(blockIdx.x);
  const int64_t to_image = index / tiles.per_image;
  const Tile to = tile_of(g, tiles, index - to_image * tiles.per_image);
  const int32_t p = to.first_pixel + thread, x = p % g.width;
  const bool written = thread < to.pixels && x >= to.x_first && x < to.x_end;
  const int to_j = static_cast<int>(forgotten(blockIdx.z)) * block_channels;
  const int to_channels = block.channels - to_j < block_channels ? block.channels - to_j : block_channels;
  for (int b = 0; b < 3; ++b) {
    __syncthreads();
    products.deposit(b, shared.row);
    __syncthreads();
    if (!written) continue;
    const int64_t row = (to_image * (network.taps / 9) + forgotten(blockIdx.y)) * 3 + b;
    float *out = rows + (row * block.channels + to_j) * g.plane + p;
    for (int j = 0; j < to_channels; ++j) {
      const int32_t step = steps[block.first_channel + to_j + j].x;
      float sum = 0;
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        const int32_t from = fold(x + (c - 1) * step, g.width, g.boundary);
        if (from >= 0) sum += shared.row[c][j][thread + from - x];
      }
      out[j * g.plane] = sum;
    }
  }
}

}  // namespace

template <class S>
bool forward_sweep(const Network &network, const Block &block, int32_t reach_x, const float *weight,
                   const Step *steps, const S *maps, float *rows, cudaStream_t stream) {
  Tiles tiles;
  if (!plan_tiles(network.geometry, reach_x, tiles)) return false;
  const dim3 grid(static_cast<unsigned>(network.geometry.batch * tiles.per_image),
                  static_cast<unsigned>(network.taps / 9),
                  static_cast<unsigned>((block.channels + block_channels - 1) / block_channels));
  launch(forward_sweep_kernel<S>, grid, sweep_threads, stream, network, block, tiles, weight, steps, maps, rows);
  return true;
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                 \
  template bool forward_sweep(const Network &, const Block &, int32_t, const float *, const Step *, const S *,    \
                              float *, cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
