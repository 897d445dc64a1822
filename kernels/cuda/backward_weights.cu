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

// float32: a thread takes one channel, 9 taps and 8 maps.
template <class S>
struct Correlation {
  static constexpr int pixels = 32, gathered_together = 2;  // per chunk
  // Rows of pixels, 36 apart: the 8 channels and the 4 maps that a warp reads at once are on different banks.
  static constexpr int stride = pixels + 4;
  struct alignas(16) Stage {
    float taps[correlated_channels][9][stride];
    float maps[correlated_maps][stride];

    __device__ void put_tap(int channel, int tap, int pixel, S value) { taps[channel][tap][pixel] = value; }
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

  __device__ void multiply(const Stage &stage) {
#pragma unroll 1
    for (int p = 0; p < pixels; p += 4) {
      float4 z[8];
#pragma unroll
      for (int m = 0; m < 8; ++m) z[m] = *reinterpret_cast<const float4 *>(stage.maps[map(m)] + p);
#pragma unroll
      for (int t = 0; t < 9; ++t) {
        const float4 q = *reinterpret_cast<const float4 *>(stage.taps[channel()][t] + p);
#pragma unroll
        for (int m = 0; m < 8; ++m) {
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
  static constexpr int pixels = 64, gathered_together = 4;
  static constexpr int stride = pixels + 8;  // rows on different banks
  struct alignas(128) Stage {
    S taps[9][correlated_channels * stride];
    S maps[correlated_maps * stride];

    __device__ void put_tap(int channel, int tap, int pixel, S value) { taps[tap][channel * stride + pixel] = value; }
    __device__ S *map(int m) { return maps + m * stride; }
  };
  Sums sums[9];

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) clear_sums(sums[t]);
  }

  __device__ void multiply(const Stage &stage) {
#pragma unroll 1
    for (int pixel = 0; pixel < pixels; pixel += tile_depth) {
      Right<S, false> map;
      load_right(map, stage.maps + warp_map() * stride + pixel, stride);
#pragma unroll
      for (int t = 0; t < 9; ++t) {
        Left<S> taps;
        load_left(taps, stage.taps[t] + warp_channel() * stride + pixel, stride);
        multiply_add(sums[t], taps, map);
      }
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
__device__ inline void copy_chunk(typename C::Stage &stage, const S *first, int64_t plane, int32_t pixels, int64_t n, bool aligned) {
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
    stage.map(m)[column] = m < n && column < pixels ? first[m * plane + column] : S{};
  }
}

template <class S>
__global__ void __launch_bounds__(block_threads, 3)
backward_weights_kernel(Network network, SumPlan plan, const S *maps, const S *deltas, const Step *steps,
                        double *partials, int64_t stride) {
  wait_for_earlier_launches();
  using C = typename CorrelationOf<S>::type;
  constexpr int channels_at_once = static_cast<int>(block_threads) / C::pixels;
  // A thread gathers one pixel of so many channels, some at once: it waits once for these.
  constexpr int gathered = correlated_channels / channels_at_once, together = C::gathered_together;
  union alignas(128) Shared {
    typename C::Stage stage;
    SumTile tile;
    __device__ Shared() {}
  };
  __shared__ Shared shared;
  __shared__ float bias[correlated_channels][C::pixels];  // each number one thread's own, until a run's end

  const Geometry &g = network.geometry;
  const int thread = static_cast<int>(threadIdx.x), taps = network.taps, nz = taps / 9;
  const int64_t first_q = blockIdx.x / nz * correlated_channels, channels = network.channels();
  const int a = static_cast<int>(blockIdx.x % nz);
  const int n_channels = static_cast<int>(channels - first_q < correlated_channels ? channels - first_q : correlated_channels);
  const int64_t first_map = static_cast<int64_t>(blockIdx.y) * correlated_maps;
  // All maps that one of the channels sees.
  const int64_t most_seen = network.maps_before((first_q + n_channels - 1) / network.width);
  if (first_map >= most_seen) return;  // the whole block
  const int warp_end = n_channels - warp_channel() < warp_channels ? n_channels : warp_channel() + warp_channels;
  const bool busy = warp_channel() < n_channels &&
                    first_map + warp_map() < network.maps_before((first_q + warp_end - 1) / network.width);
  const bool has_bias = first_map == 0 && a == nz / 2;
  const bool aligned = g.plane % (16 / static_cast<int>(sizeof(S))) == 0;
  double *partial = partials + blockIdx.z * stride;
  const int column = thread % C::pixels, first_j = thread / C::pixels;

  C correlation;
  bool started = false;
  for (int64_t u = blockIdx.z; u < plan.units; u += plan.partials, started = true) {
    const Unit unit = unit_of(g, plan, u);
    correlation.clear();
    for (int j = first_j; j < correlated_channels; j += channels_at_once) bias[j][column] = 0;
    for (int32_t first = unit.first; first < unit.end; first += C::pixels) {
      const bool inside = first + column < unit.end;
      const Place place = place_of(g, inside ? first + column : unit.first);
      __syncthreads();
      copy_chunk<C>(shared.stage, maps + (unit.image * network.maps() + first_map) * g.plane + first, g.plane, unit.end - first,
                    most_seen - first_map, aligned);
      const S *deltas_of_thread = deltas + (unit.image * channels + first_q + first_j) * g.plane;
      unsigned near_edges = 0;  // one bit per channel that the pixel is near an edge of the image for
#pragma unroll 1
      for (int k = 0; k < gathered; k += together) {
        S sent[together][9];
#pragma unroll
        for (int i = 0; i < together; ++i) {
          const int j = first_j + (k + i) * channels_at_once;
          const bool wanted = inside && j < n_channels;
          const Step step = steps[wanted ? first_q + j : first_q];
          const bool far = far_from_edges(place.y, place.y, g.height, step.y) &&
                           far_from_edges(place.x, place.x, g.width, step.x) &&
                           (step.z == 0 || far_from_edges(place.z, place.z, g.depth, step.z));
          if (wanted && far) {
            const int32_t plane_a = nz == 1 ? 0 : (1 - a) * step.z * g.height * g.width;
            copy_taps(g, step, deltas_of_thread + (k + i) * channels_at_once * g.plane + place.pixel + plane_a, sent[i]);
          } else {
#pragma unroll
            for (int t = 0; t < 9; ++t) sent[i][t] = S{};
          }
          near_edges |= wanted && !far ? 1u << (k + i) : 0u;
        }
#pragma unroll
        for (int i = 0; i < together; ++i) {
          const int j = first_j + (k + i) * channels_at_once;
#pragma unroll
          for (int t = 0; t < 9; ++t) shared.stage.put_tap(j, t, column, sent[i][t]);
          bias[j][column] += load(&sent[i][4]);
        }
      }
#pragma unroll 1
      for (int k = 0; k < gathered; ++k) {
        if (!(near_edges >> k & 1)) continue;
        const int j = first_j + k * channels_at_once;
        float sent[9] = {};
        add_all_taps(g, steps[first_q + j], nz == 1 ? 1 : a, place, deltas_of_thread + k * channels_at_once * g.plane, sent);
#pragma unroll
        for (int t = 0; t < 9; ++t) shared.stage.put_tap(j, t, column, rounded<S>(sent[t]));
        bias[j][column] += sent[4];
      }
      wait_for_copies();
      __syncthreads();
      if (busy) correlation.multiply(shared.stage);
    }

    __syncthreads();
    if (has_bias && thread < n_channels) {
      double sum = 0;
      for (int p = 0; p < C::pixels; ++p) sum += static_cast<double>(bias[thread][p]);
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

#define NAPARI_MSD_INSTANTIATE(S)                                                                               \
  template void backward_weights(const Network &, const SumPlan &, const S *, const S *, const Step *, double *, \
                                 cudaStream_t);
NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
