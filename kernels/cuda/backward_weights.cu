// Gradients of the filters and biases:
//
//   grad_weight[q][l][t] = sum over images and pixels p of Q[q][t](p) * z[l](p),   Q the adjoint of the gather
//   grad_bias[q]         = the same for a map of ones and the filter's centre
//
// A matrix product over pixels: (channels and taps) x (maps). A block of threads takes 8 channels, 9 taps (in 3-D
// one plane a of the filter), 64 maps and every `partials`-th run of pixels of the batch. Chunk by chunk of pixels,
// the adjoint taps are gathered once for all 64 maps; the sums stay in registers for one run (1024 pixels) and are
// then added to the block's own partial result, in double; reduce_partials adds those up. No atomics, a fixed
// order everywhere: the same input gives the same bits.
//
// 16-bit maps on the matrix units (Q is rounded to 16 bits, too), float32 on the scalar units.
#include "matrix_units.cuh"
#include "network.cuh"

namespace napari_msd {
namespace {

constexpr int correlated_maps = 64;

using SumTile = float[block_channels][9][correlated_maps];

// float32: a warp takes 8 channels, 9 taps and 16 maps, a thread one channel and 4 maps.
template <class S>
struct Correlation {
  static constexpr int pixels = 32;  // per chunk
  static constexpr int parts = 1;    // sums of so many shares of the pixels are deposited one after another
  struct alignas(16) Stage {
    float taps[pixels][100];  // channel by channel, 9 taps padded to 12; 100 and 68: less bank conflicts
    float maps[pixels][correlated_maps + 4];

    __device__ void put_tap(int channel, int tap, int pixel, float value) { taps[pixel][12 * channel + tap] = value; }
    __device__ void put_map(int map, int pixel, float value) { maps[pixel][map] = value; }
  };
  float sums[9][4];

  __device__ static int channel() { return static_cast<int>(threadIdx.x) % 32 / 4; }
  __device__ static int warp_map() { return static_cast<int>(threadIdx.x) / 32 * 16; }
  __device__ static int first_map() { return warp_map() + static_cast<int>(threadIdx.x) % 4 * 4; }

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) {
#pragma unroll
      for (int m = 0; m < 4; ++m) sums[t][m] = 0;
    }
  }

  __device__ void multiply(const Stage &stage) {
#pragma unroll 4
    for (int p = 0; p < pixels; ++p) {
      const float4 *taps = reinterpret_cast<const float4 *>(stage.taps[p] + 12 * channel());
      const float4 q0 = taps[0], q1 = taps[1], q2 = taps[2];
      const float4 z4 = *reinterpret_cast<const float4 *>(stage.maps[p] + first_map());
      const float q[9] = {q0.x, q0.y, q0.z, q0.w, q1.x, q1.y, q1.z, q1.w, q2.x};
      const float z[4] = {z4.x, z4.y, z4.z, z4.w};
#pragma unroll
      for (int t = 0; t < 9; ++t) {
#pragma unroll
        for (int m = 0; m < 4; ++m) sums[t][m] += q[t] * z[m];
      }
    }
  }

  __device__ void deposit(int, SumTile &tile) const {
#pragma unroll
    for (int t = 0; t < 9; ++t) {
      float *to = tile[channel()][t] + first_map();
      *reinterpret_cast<float4 *>(to) = float4{sums[t][0], sums[t][1], sums[t][2], sums[t][3]};
    }
  }
};

// 16-bit: a warp takes 8 channels, 9 taps, 32 maps and half of the chunk's pixels.
template <class S>
struct MatrixCorrelation {
  static constexpr int pixels = 64, parts = 2;
  static constexpr int stride = pixels + 8;  // rows on different banks
  struct alignas(128) Stage {
    S taps[9][block_channels * stride];
    S maps[correlated_maps * stride];

    __device__ void put_tap(int channel, int tap, int pixel, float value) {
      store(taps[tap] + channel * stride + pixel, value);
    }
    __device__ void put_map(int map, int pixel, S value) { maps[map * stride + pixel] = value; }
  };
  Sums sums[9];

  __device__ static int part() { return static_cast<int>(threadIdx.x) / 64; }
  __device__ static int warp_map() { return static_cast<int>(threadIdx.x) / 32 % 2 * tile_columns; }

  __device__ void clear() {
#pragma unroll
    for (int t = 0; t < 9; ++t) clear_sums(sums[t]);
  }

  __device__ void multiply(const Stage &stage) {
    constexpr int share = pixels / parts;
#pragma unroll
    for (int k = 0; k < share; k += tile_depth) {
      const int pixel = part() * share + k;
      Right<S, false> map;
      load_right(map, stage.maps + warp_map() * stride + pixel, stride);
#pragma unroll
      for (int t = 0; t < 9; ++t) {
        Left<S> taps;
        load_left(taps, stage.taps[t] + pixel, stride);
        multiply_add(sums[t], taps, map);
      }
    }
  }

  __device__ void deposit(int wanted, SumTile &tile) const {
    if (wanted != part()) return;
#pragma unroll
    for (int t = 0; t < 9; ++t) store_sums(tile[0][t] + warp_map(), sums[t], 9 * correlated_maps);
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

template <class S>
__global__ void __launch_bounds__(block_threads, 3)
backward_weights_kernel(Network network, SumPlan plan, const S *maps, const S *deltas, const Step *steps,
                        double *partials, int64_t stride) {
  using C = typename CorrelationOf<S>::type;
  constexpr int threads_per_pixel = static_cast<int>(block_threads) / C::pixels;
  union alignas(128) Shared {
    typename C::Stage stage;
    SumTile tile;
    __device__ Shared() {}
  };
  __shared__ Shared shared;

  const Geometry &g = network.geometry;
  const int thread = static_cast<int>(threadIdx.x), taps = network.taps, nz = taps / 9;
  const int64_t first_q = blockIdx.x / nz * block_channels, channels = network.channels();
  const int a = static_cast<int>(blockIdx.x % nz);
  const int n_channels = static_cast<int>(channels - first_q < block_channels ? channels - first_q : block_channels);
  const int64_t first_map = static_cast<int64_t>(blockIdx.y) * correlated_maps;
  // All maps that one of the channels sees, and behind them the map of ones.
  const int64_t ones = network.maps_before((first_q + n_channels - 1) / network.width);
  if (first_map > ones) return;  // the whole block
  double *partial = partials + blockIdx.z * stride;

  C correlation;
  bool started = false;
  for (int64_t u = blockIdx.z; u < plan.units; u += plan.partials) {
    const Unit unit = unit_of(g, plan, u);
    correlation.clear();
    for (int32_t first = unit.first; first < unit.end; first += C::pixels) {
      const int column = thread % C::pixels;
      const bool inside = first + column < unit.end;
      const Place place = place_of(g, inside ? first + column : unit.first);
      __syncthreads();
      for (int j = thread / C::pixels; j < block_channels; j += threads_per_pixel) {
        float sent[9] = {};
        if (inside && j < n_channels) {
          adjoint_taps(g, steps[first_q + j], nz == 1 ? 1 : a, place,
                       deltas + (unit.image * channels + first_q + j) * g.plane, sent);
        }
#pragma unroll
        for (int t = 0; t < 9; ++t) shared.stage.put_tap(j, t, column, sent[t]);
      }
      const S *pixel = maps + (unit.image * network.maps() + first_map) * g.plane + place.pixel;
#pragma unroll 8
      for (int m = thread / C::pixels; m < correlated_maps; m += threads_per_pixel) {
        const int64_t l = first_map + m;
        const bool a_map = inside && l < ones;
        shared.stage.put_map(m, column, a_map ? pixel[m * g.plane] : rounded<S>(inside && l == ones ? 1.0f : 0.0f));
      }
      __syncthreads();
      if (first_map + C::warp_map() <= ones) correlation.multiply(shared.stage);
    }
    for (int part = 0; part < C::parts; ++part, started = true) {
      __syncthreads();
      correlation.deposit(part, shared.tile);
      __syncthreads();
      for (int j = 0; j < n_channels; ++j) {
        const int64_t q = first_q + j, seen = network.maps_before(q / network.width), offset = network.weight_offset(q);
        for (int e = thread; e < 9 * correlated_maps; e += static_cast<int>(block_threads)) {
          const int t = e / correlated_maps;
          const int64_t l = first_map + e % correlated_maps;
          const double sum = static_cast<double>(shared.tile[j][t][e % correlated_maps]);
          if (l < seen) {
            double *to = partial + offset + taps * l + 9 * a + t;
            *to = started ? *to + sum : sum;
          } else if (l == ones && t == 4 && a == nz / 2) {
            double *to = partial + network.weights() + q;
            *to = started ? *to + sum : sum;
          }
        }
      }
    }
  }
}

}  // namespace

template <class S>
void backward_weights(const Network &network, const SumPlan &sums, const S *maps, const S *deltas, const Step *steps,
                      double *partials, cudaStream_t stream) {
  const int64_t groups = (network.channels() + block_channels - 1) / block_channels;
  const int64_t most_maps = network.maps_before(network.depth - 1) + 1;
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
