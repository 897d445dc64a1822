// Gradients of the filters and biases:
//
//   grad_weight[q][l][t] = sum over images and pixels p of Q[q][t](p) * z[l](p),   Q the adjoint of the gather
//   grad_bias[q]         = sum over images and pixels p of delta[q](p), which is Q of the filter's centre
//
// A matrix product over pixels: (channels and taps) x (maps). A block of threads takes 16 channels, 9 taps (in 3-D
// one plane a of the filter), 64 maps and every `partials`-th run of pixels of the batch; of its 4 warps each takes 8
// channels and 32 maps, or nothing where no channel sees these maps. Chunk by chunk of pixels, the adjoint taps are
// gathered once for all 64 maps; the sums stay in registers for one run (1024 pixels) and are then added to the block's
// own partial result, in double; reduce_partials adds those up. No atomics, a fixed order everywhere: the same input
// gives the same bits.
//
// While a chunk is multiplied, the next is on its way: float32 straight to shared memory, 16-bit deltas, which lie at
// odd addresses, to registers. Only pixels near an edge are waited for.
//
// 16-bit maps on the matrix units (Q is rounded to 16 bits, too), float32 on the scalar units.
#include "matrix_units.cuh"
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int correlated_channels = 16, correlated_maps = 64;
constexpr int warp_channels = 8, warp_maps = 32;

constexpr int sum_stride = correlated_maps + 8;  // taps on different banks
using SumTile = float[correlated_channels][9][sum_stride];

// Which of them a warp takes changes from block to block: the first maps' warps have most to do, and each warp of a block
// has its own quarter of the multiprocessor.
__device__ inline int warp_role() { return static_cast<int>(threadIdx.x / 32 + blockIdx.z) % 4; }
__device__ inline int warp_channel() { return warp_role() / 2 * warp_channels; }
__device__ inline int warp_map() { return warp_role() % 2 * warp_maps; }

// What is the same for all pixels of a channel that sends: where its taps are read, seen from the pixel, and from how far
// on there is no edge between.
struct alignas(16) Sender {
  int32_t step_x, jump_y, jump_z, margin_x, margin_y, margin_z;
};
__device__ inline int32_t distance_to_edges(int32_t position, int32_t size) {
  return min(position, size - 1 - position);
}

// float32: a thread takes one channel, 9 taps and 8 maps.
template <class S>
struct Correlation {
  static constexpr int pixels = 16, parts = 1;  // of a chunk
  // Rows of pixels, 20 apart: the 8 channels and the 4 maps that a warp reads at once are on different banks.
  static constexpr int stride = pixels + 4;
  struct alignas(16) Stage {
    float taps[correlated_channels][9][stride];
    float maps[correlated_maps][stride];

    __device__ float *tap(int channel, int t) { return taps[channel][t]; }
    __device__ const float *tap(int channel, int t) const { return taps[channel][t]; }
    __device__ float *map(int m) { return maps[m]; }
  };
  float sums[9][8];

  __device__ static int channel() { return warp_channel() + static_cast<int>(threadIdx.x) % 32 / 4; }
  __device__ static int map(int i) { return warp_map() + static_cast<int>(threadIdx.x) % 4 + 4 * i; }

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) {
#pragma unroll
      for (int m = 0; m < 8; ++m) sums[t][m] = 0;
    }
  }

  // Warps at the triangle's edge see half of their maps or less.
  __device__ void multiply(const Stage &stage, int, int seen) {
    if (seen <= warp_maps / 2) {
      multiply_maps<4>(stage);
    } else {
      multiply_maps<8>(stage);
    }
  }

  template <int n>
  __device__ void multiply_maps(const Stage &stage) {
#pragma unroll 1
    for (int p = 0; p < pixels; p += 4) {
      float4 z[n];
#pragma unroll
      for (int m = 0; m < n; ++m) z[m] = *reinterpret_cast<const float4 *>(stage.maps[map(m)] + p);
#pragma unroll
      for (int t = 0; t < 9; ++t) {
        const float4 q = *reinterpret_cast<const float4 *>(stage.taps[channel()][t] + p);
#pragma unroll
        for (int m = 0; m < n; ++m) {
          sums[t][m] += q.x * z[m].x;
          sums[t][m] += q.y * z[m].y;
          sums[t][m] += q.z * z[m].z;
          sums[t][m] += q.w * z[m].w;
        }
      }
    }
  }

  __device__ void deposit(SumTile &tile) const {
#pragma unroll
    for (int t = 0; t < 9; ++t) {
#pragma unroll
      for (int m = 0; m < 8; ++m) tile[channel()][t][map(m)] = sums[t][m];
    }
  }
};

// 16-bit: one tile of the matrix units per tap.
template <class S>
struct MatrixCorrelation {
  static constexpr int pixels = 32, parts = pixels / tile_depth;
  static constexpr int stride = pixels + 8;  // rows on different banks
  struct alignas(128) Stage {
    S taps[9][correlated_channels * stride];
    S maps[correlated_maps * stride];

    __device__ S *tap(int channel, int t) { return taps[t] + channel * stride; }
    __device__ const S *tap(int channel, int t) const { return taps[t] + channel * stride; }
    __device__ S *map(int m) { return maps + m * stride; }
  };
  Sums sums[9];

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) clear_sums(sums[t]);
  }

  __device__ void multiply(const Stage &stage, int part, int) {
    const int pixel = part * tile_depth;
    Right<S, false> map;
    load_right(map, stage.maps + warp_map() * stride + pixel, stride);
#pragma unroll
    for (int t = 0; t < 9; ++t) {
      Left<S> taps;
      load_left(taps, stage.taps[t] + warp_channel() * stride + pixel, stride);
      multiply_add(sums[t], taps, map);
    }
  }

  __device__ void deposit(SumTile &tile) const {
#pragma unroll
    for (int t = 0; t < 9; ++t) store_sums<false>(tile[warp_channel()][t] + warp_map(), sums[t], 9 * sum_stride);
  }
};

template <class S>
struct CorrelationOf {
  using type = MatrixCorrelation<S>;
};
template <>
struct CorrelationOf<float> {
  using type = Correlation<float>;
};

// A chunk of pixels of `n` maps to shared memory; zeros behind the n-th and behind the run's end (not what lies there:
// zero times NaN is NaN). `first` is the first map's first pixel of the chunk.
template <class C, class S>
__device__ inline void copy_chunk(typename C::Stage &stage, const S *first, int64_t plane, int32_t pixels, int n,
                                  bool aligned) {
  const int thread = static_cast<int>(threadIdx.x);
  if (aligned && pixels >= C::pixels) {
    constexpr int in_16_bytes = 16 / sizeof(S), pieces = C::pixels / in_16_bytes;
    constexpr int maps_at_once = static_cast<int>(block_threads) / pieces;
    const int column = thread % pieces * in_16_bytes;
    const int first_m = thread / pieces;
    const S *from = first + first_m * plane + column;
#pragma unroll
    for (int i = 0; i < correlated_maps / maps_at_once; ++i, from += maps_at_once * plane) {
      const int m = first_m + i * maps_at_once;
      copy_16_bytes_or_zeros(stage.map(m) + column, from, m < n);
    }
    return;
  }
  const int column = thread % C::pixels;
#pragma unroll 8
  for (int m = thread / C::pixels; m < correlated_maps; m += static_cast<int>(block_threads) / C::pixels) {
    const bool wanted = m < n && column < pixels;
    if constexpr (sizeof(S) == 4) {
      copy_4_bytes_or_zeros(stage.map(m) + column, first + m * plane + column, wanted);
    } else {
      stage.map(m)[column] = wanted ? first[m * plane + column] : S{};
    }
  }
}

template <class S>
__global__ void __launch_bounds__(block_threads, 3)
backward_weights_kernel(Network network, SumPlan plan, const S *maps, const S *deltas, const Step *steps,
                        double *partials, int64_t stride) {
  wait_for_earlier_launches();
  using C = typename CorrelationOf<S>::type;
  // A thread gathers one pixel of so many channels, a part of them before each part of the products.
  constexpr int channels_at_once = static_cast<int>(block_threads) / C::pixels,
                gathered = correlated_channels / channels_at_once, in_part = gathered / C::parts;
  union alignas(128) Shared {
    typename C::Stage stages[2];
    SumTile tile;
    __device__ Shared() {}
  };
  __shared__ Shared shared;
  __shared__ float bias_sums[correlated_channels][C::pixels];  // each number one thread's own, until a run's end
  __shared__ Sender senders[correlated_channels];

  const Geometry &g = network.geometry;
  const int thread = static_cast<int>(threadIdx.x), taps = network.taps, nz = taps / 9;
  // Channels and maps are far fewer than 2^31 (api.cu).
  const int channels = static_cast<int>(network.channels());
  const int first_q = static_cast<int>(blockIdx.x) / nz * correlated_channels, a = static_cast<int>(blockIdx.x) % nz;
  const int n_channels = min(channels - first_q, correlated_channels);
  const int first_map = static_cast<int>(blockIdx.y) * correlated_maps;
  // Maps that one of the channels before `end` sees.
  const auto seen_before = [&](int end) {
    return static_cast<int>(network.maps_before((first_q + end - 1) / network.width)) - first_map;
  };
  const int most_seen = seen_before(n_channels);
  if (most_seen <= 0) return;  // the whole block
  const int seen_by_warp = min(seen_before(min(n_channels, warp_channel() + warp_channels)) - warp_map(), warp_maps);
  const bool busy = warp_channel() < n_channels && seen_by_warp > 0;
  const bool has_bias = first_map == 0 && a == nz / 2;
  const bool aligned = g.plane % (16 / static_cast<int>(sizeof(S))) == 0;
  const int column = thread % C::pixels, first_j = thread / C::pixels;

  if (thread < n_channels) {
    const Step step = steps[first_q + thread];
    const auto size = [](int32_t x) { return x < 0 ? -x : x; };
    senders[thread] = {step.x,       step.y * g.width, nz == 1 ? 0 : (1 - a) * step.z * g.height * g.width,
                       size(step.x), size(step.y),     step.z == 0 ? -1 : size(step.z)};
  }

  S held[in_part][9];  // 16-bit taps on their way
  // Sends for a part of the taps of a chunk; returns one bit per channel that this thread's pixel is near an edge of the image for.
  const auto start = [&](const Unit &unit, int32_t first, int part, typename C::Stage &stage) {
    const bool inside = first + column < unit.end;
    const Place place = place_of(g, inside ? first + column : unit.first);
    const int32_t x = distance_to_edges(place.x, g.width), y = distance_to_edges(place.y, g.height),
                  z = distance_to_edges(place.z, g.depth);
    const S *delta = deltas +
                     (unit.image * channels + first_q + first_j + part * in_part * channels_at_once) * g.plane +
                     place.pixel;
    unsigned near_edges = 0;
#pragma unroll
    for (int k = 0; k < in_part; ++k, delta += channels_at_once * g.plane) {
      const int j = first_j + (part * in_part + k) * channels_at_once;
      const Sender sender = senders[j < n_channels ? j : 0];
      const bool wanted = inside && j < n_channels;
      const bool far = (x > sender.margin_x) & (y > sender.margin_y) & (z > sender.margin_z);
      near_edges |= wanted && !far ? 1u << (part * in_part + k) : 0u;
      const S *centre = forgotten(delta + sender.jump_z);
#pragma unroll
      for (int b = 0; b < 3; ++b) {
        const S *row = forgotten(centre + (1 - b) * sender.jump_y);
#pragma unroll
        for (int c = 0; c < 3; ++c) {
          const S *from = row + (1 - c) * sender.step_x;
          if constexpr (sizeof(S) == 4) {
            copy_4_bytes_or_zeros(stage.tap(j, 3 * b + c) + column, from, wanted & far);
          } else {
            held[k][3 * b + c] = wanted & far ? *from : S{};
          }
        }
      }
    }
    return near_edges;
  };
  // Puts these in their place, but for what is copied there by itself.
  const auto put = [&](int part, typename C::Stage &stage) {
    if constexpr (sizeof(S) != 4) {
#pragma unroll
      for (int k = 0; k < in_part; ++k) {
#pragma unroll
        for (int t = 0; t < 9; ++t)
          stage.tap(first_j + (part * in_part + k) * channels_at_once, t)[column] = held[k][t];
      }
    }
  };
  // What is left: taps near edges.
  const auto finish = [&](const Unit &unit, int32_t first, unsigned near_edges, typename C::Stage &stage) {
    if (near_edges == 0) return;
    wait_for_copies();  // of zeros to the same places
    const Place place = place_of(g, first + column);
#pragma unroll 1
    for (int k = 0; k < gathered; ++k) {
      if (!(near_edges >> k & 1)) continue;
      const int j = first_j + k * channels_at_once;
      float sent[9] = {};
      add_all_taps(g, steps[first_q + j], nz == 1 ? 1 : a, place,
                   deltas + (unit.image * channels + first_q + j) * g.plane, sent);
#pragma unroll
      for (int t = 0; t < 9; ++t) stage.tap(j, t)[column] = rounded<S>(sent[t]);
    }
  };
  const auto start_maps = [&](const Unit &unit, int32_t first, typename C::Stage &stage) {
    copy_chunk<C>(stage, maps + (unit.image * network.maps() + first_map) * g.plane + first, g.plane, unit.end - first,
                  most_seen, aligned);
  };

  C correlation;
  bool started = false;
  for (int64_t u = blockIdx.z; u < plan.units; u += plan.partials, started = true) {
    const Unit unit = unit_of(g, plan, u);
    correlation.clear();
    for (int j = first_j; j < correlated_channels; j += channels_at_once) bias_sums[j][column] = 0;
    __syncthreads();
    int current = 0;
    // The first time there is nothing to multiply yet.
    for (int32_t first = unit.first - C::pixels; first < unit.end; first += C::pixels, current ^= 1) {
      const bool some = first >= unit.first, more = first + C::pixels < unit.end;
      if (some) {
        wait_for_copies();
        __syncthreads();
      }
      const typename C::Stage &stage = shared.stages[current];
      typename C::Stage &next = shared.stages[current ^ 1];
      unsigned near_edges = 0;
      if (more) start_maps(unit, first + C::pixels, next);
#pragma unroll 1
      for (int part = 0; part < C::parts; ++part) {
        if (more) near_edges |= start(unit, first + C::pixels, part, next);
        if (busy && some) correlation.multiply(stage, part, seen_by_warp);
        if (more) put(part, next);
      }
      if (has_bias && some) {
#pragma unroll
        for (int j = first_j; j < correlated_channels; j += channels_at_once)
          bias_sums[j][column] += load(stage.tap(j, 4) + column);
      }
      if (more) finish(unit, first + C::pixels, near_edges, next);
    }

    double *partial = partials + forgotten(blockIdx.z) * stride;
    __syncthreads();
    if (has_bias && thread < n_channels) {
      double sum = 0;
      for (int p = 0; p < C::pixels; ++p) sum += static_cast<double>(bias_sums[thread][p]);
      double *to = partial + network.weights() + first_q + thread;
      *to = started ? *to + sum : sum;
    }
    if (busy) correlation.deposit(shared.tile);
    __syncthreads();
    for (int j = 0; j < n_channels; ++j) {
      const int64_t q = first_q + j, seen = network.maps_before(q / network.width);
      const int n = static_cast<int>(seen - first_map < correlated_maps ? seen - first_map : correlated_maps);
      double *to = partial + network.weight_offset(q) + taps * first_map + 9 * a;
      for (int e = thread; e < 9 * correlated_maps; e += static_cast<int>(block_threads)) {
        const int m = e / 9, t = e - 9 * m;
        if (m >= n) break;
        const double sum = static_cast<double>(shared.tile[j][t][m]);
        to[taps * m + t] = started ? to[taps * m + t] + sum : sum;
      }
    }
  }
}

}  // namespace

template <class S>
void backward_weights(const Network &network, const SumPlan &sums, const S *maps, const S *deltas, const Step *steps,
                      double *partials, cudaStream_t stream) {
  const int64_t groups = (network.channels() + correlated_channels - 1) / correlated_channels;
  const int64_t most_maps = network.maps_before(network.depth - 1);
  const dim3 grid(static_cast<unsigned>(groups * (network.taps / 9)),
                  static_cast<unsigned>((most_maps + correlated_maps - 1) / correlated_maps),
                  static_cast<unsigned>(sums.partials));
  launch(backward_weights_kernel<S>, grid, block_threads, stream, network, sums, maps, deltas, steps, partials,
         network.parameters());
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                \
  template void backward_weights(const Network &, const SumPlan &, const S *, const S *, const Step *, double *, \
                                 cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
