// Weighted sums of planes:  out[r](p) (+)= bias[r] + sum over k < n_in of weight[r, k] * in[k](p).
//
// Four steps of the network are this one operation: the tap products of the forward pass (n_out = taps,
// n_in = earlier maps), the final 1x1 convolution, its gradient, and the gradient of all earlier maps
// (n_in = taps, n_out = earlier maps).
//
// A tile of sums stays in registers while k runs (simd.h), always from aligned addresses; where it takes less than 9
// outputs, the next tile finds the same columns of all inputs in the innermost cache. `count` is a multiple of the
// lanes. Weights are read in place when the outputs' weights are neighbours (weight_out_stride 1), else packed first.
//
// With `ahead`, the inputs that many numbers further on are fetched into the second-level cache on the way: the next
// row's, of all maps. No processor guesses that by itself.

template <class T, int R, int V, bool Fetch>
MSD_INLINE void combine_tile(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, const T *weight,
                             int64_t weight_stride, const T *bias, bool accumulate, int64_t ahead) {
  using Vector = Vec<T>;
  Vector sums[R][V];
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    const Vector start = Vector::all(bias ? bias[r] : T(0));
    MSD_UNROLL
    for (int v = 0; v < V; ++v) {
      sums[r][v] = accumulate ? Vector::load(out + r * out_stride + v * Vector::lanes) + start : start;
    }
  }
  for (int k = 0; k < n_in; ++k) {
    MSD_UNROLL
    for (int v = 0; v < V; ++v) {
      if (Fetch && begins_line<T>(v)) fetch_line(in + ahead + v * Vector::lanes);
    }
    multiply_add_tile<T, R, V>(weight, in, sums);
    in += in_stride;
    weight += weight_stride;
  }
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int v = 0; v < V; ++v) sums[r][v].store(out + r * out_stride + v * Vector::lanes);
  }
}

// R outputs, tile by tile.
template <class T, int R, int V, bool Fetch>
MSD_INLINE void combine_tiles(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, const T *weight,
                              int64_t weight_stride, const T *bias, bool accumulate, int64_t ahead) {
  constexpr int now = first_outputs<R, V>();
  combine_tile<T, now, V, Fetch>(in, in_stride, n_in, out, out_stride, weight, weight_stride, bias, accumulate, ahead);
  if constexpr (now < R) {
    combine_tiles<T, R - now, V, false>(in, in_stride, n_in, out + now * out_stride, out_stride, weight + now,
                                        weight_stride, bias ? bias + now : nullptr, accumulate, ahead);
  }
}

template <class T, int R, bool Fetch>
void combine_rows(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, const T *weight,
                  int64_t weight_stride, const T *bias, bool accumulate, int64_t count, int64_t ahead) {
  constexpr int64_t lanes = Vec<T>::lanes, step = tile_vectors * lanes;
  int64_t p = 0;
  for (; p + step <= count; p += step) {
    combine_tiles<T, R, tile_vectors, Fetch>(in + p, in_stride, n_in, out + p, out_stride, weight, weight_stride, bias,
                                             accumulate, ahead);
  }
  if (tile_vectors > 2 && p + 2 * lanes <= count) {
    combine_tiles<T, R, 2, Fetch>(in + p, in_stride, n_in, out + p, out_stride, weight, weight_stride, bias, accumulate,
                                  ahead);
    p += 2 * lanes;
  }
  for (; p < count; p += lanes) {
    combine_tiles<T, R, 1, Fetch>(in + p, in_stride, n_in, out + p, out_stride, weight, weight_stride, bias, accumulate,
                                  ahead);
  }
}

template <class T>
void combine_planes(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, int n_out, const T *weight,
                    int64_t weight_out_stride, int64_t weight_in_stride, const T *bias, bool accumulate, int64_t count,
                    int64_t ahead) {
  constexpr int most_rows = 9, most_packed = 128;
  using Rows = void (*)(const T *, int64_t, int, T *, int64_t, const T *, int64_t, const T *, bool, int64_t, int64_t);
  static constexpr Rows all_rows[2][most_rows] = {
      {combine_rows<T, 1, false>, combine_rows<T, 2, false>, combine_rows<T, 3, false>, combine_rows<T, 4, false>,
       combine_rows<T, 5, false>, combine_rows<T, 6, false>, combine_rows<T, 7, false>, combine_rows<T, 8, false>,
       combine_rows<T, 9, false>},
      {combine_rows<T, 1, true>, combine_rows<T, 2, true>, combine_rows<T, 3, true>, combine_rows<T, 4, true>,
       combine_rows<T, 5, true>, combine_rows<T, 6, true>, combine_rows<T, 7, true>, combine_rows<T, 8, true>,
       combine_rows<T, 9, true>}};
  const Rows *rows = all_rows[ahead != 0];
  for (int first = 0; first < n_out; first += most_rows) {
    const int n = n_out - first < most_rows ? n_out - first : most_rows;
    const T *some_weight = weight + first * weight_out_stride;
    const T *some_bias = bias ? bias + first : nullptr;
    T *some_out = out + first * out_stride;
    if (weight_out_stride == 1) {
      rows[n - 1](in, in_stride, n_in, some_out, out_stride, some_weight, weight_in_stride, some_bias, accumulate,
                  count, ahead);
      continue;
    }
    T packed[most_rows * most_packed];
    int k = 0;
    do {
      const int n_k = n_in - k < most_packed ? n_in - k : most_packed;
      for (int i = 0; i < n_k; ++i) {
        for (int r = 0; r < n; ++r) {
          packed[i * n + r] = some_weight[r * weight_out_stride + (k + i) * weight_in_stride];
        }
      }
      rows[n - 1](in + k * in_stride, in_stride, n_k, some_out, out_stride, packed, n, k == 0 ? some_bias : nullptr,
                  accumulate || k > 0, count, ahead);
      k += n_k;
    } while (k < n_in);
  }
}
