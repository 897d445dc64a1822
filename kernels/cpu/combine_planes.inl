// Weighted sums of planes:  out[r](p) (+)= bias[r] + sum over k < n_in of weight[r, k] * in[k](p).
//
// Four steps of the network are this one operation: the tap products of the forward pass (n_out = taps,
// n_in = earlier maps), the final 1x1 convolution, its gradient, and the gradient of all earlier maps
// (n_in = taps, n_out = earlier maps).
//
// A tile of n_out x (tile_vectors * lanes) sums stays in registers while k runs, so each number loaded
// serves up to 9 outputs, always from an aligned address. `count` is a multiple of the lanes. Weights are
// read in place when the outputs' weights are neighbours (weight_out_stride 1), else packed first.

template <class T, int R, int V>
MSD_INLINE void combine_tile(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride,
                             const T *weight, int64_t weight_stride, const T *bias, bool accumulate) {
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
    Vector pixels[V];
    MSD_UNROLL
    for (int v = 0; v < V; ++v) pixels[v] = Vector::load(in + v * Vector::lanes);
    MSD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vector factor = Vector::all(weight[r]);
      MSD_UNROLL
      for (int v = 0; v < V; ++v) sums[r][v] = multiply_add(factor, pixels[v], sums[r][v]);
    }
    in += in_stride;
    weight += weight_stride;
  }
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int v = 0; v < V; ++v) sums[r][v].store(out + r * out_stride + v * Vector::lanes);
  }
}

template <class T, int R>
void combine_rows(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, const T *weight,
                  int64_t weight_stride, const T *bias, bool accumulate, int64_t count) {
  constexpr int64_t step = tile_vectors * Vec<T>::lanes;
  int64_t p = 0;
  for (; p + step <= count; p += step) {
    combine_tile<T, R, tile_vectors>(in + p, in_stride, n_in, out + p, out_stride, weight, weight_stride,
                                     bias, accumulate);
  }
  for (; p < count; p += Vec<T>::lanes) {
    combine_tile<T, R, 1>(in + p, in_stride, n_in, out + p, out_stride, weight, weight_stride, bias,
                          accumulate);
  }
}

template <class T>
void combine_planes(const T *in, int64_t in_stride, int n_in, T *out, int64_t out_stride, int n_out,
                    const T *weight, int64_t weight_out_stride, int64_t weight_in_stride, const T *bias,
                    bool accumulate, int64_t count) {
  constexpr int most_rows = 9, most_packed = 128;
  using Rows = void (*)(const T *, int64_t, int, T *, int64_t, const T *, int64_t, const T *, bool, int64_t);
  static constexpr Rows rows[most_rows] = {
      combine_rows<T, 1>, combine_rows<T, 2>, combine_rows<T, 3>, combine_rows<T, 4>, combine_rows<T, 5>,
      combine_rows<T, 6>, combine_rows<T, 7>, combine_rows<T, 8>, combine_rows<T, 9>};
  for (int first = 0; first < n_out; first += most_rows) {
    const int n = n_out - first < most_rows ? n_out - first : most_rows;
    const T *some_weight = weight + first * weight_out_stride;
    const T *some_bias = bias ? bias + first : nullptr;
    T *some_out = out + first * out_stride;
    if (weight_out_stride == 1) {
      rows[n - 1](in, in_stride, n_in, some_out, out_stride, some_weight, weight_in_stride, some_bias,
                  accumulate, count);
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
      rows[n - 1](in + k * in_stride, in_stride, n_k, some_out, out_stride, packed, n,
                  k == 0 ? some_bias : nullptr, accumulate || k > 0, count);
      k += n_k;
    } while (k < n_in);
  }
}
