// Gradients of maps on one row:  out[l](x) += sum over k < n_in of weight[l, k] * in[k](x).
//
// The inputs are rows anywhere (the taps' gradients of all channels of a block), the outputs one after another.
// Weights come packed in groups of push_group outputs: [group][k][outputs of the group], so that a tile of sums (simd.h)
// stays in registers while k runs, and gradients go through memory once per block. `ahead`: as in
// combine_planes, for the outputs.

template <class T, int R, int V>
MSD_INLINE void push_tile(const T *const *in, int n_in, int64_t x, T *out, int64_t out_stride, const T *weight,
                          int weight_stride, int64_t ahead) {
  using Vector = Vec<T>;
  Vector sums[R][V];
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int v = 0; v < V; ++v) {
      sums[r][v] = Vector::load(out + r * out_stride + x + v * Vector::lanes);
      if (ahead != 0 && begins_line<T>(v)) fetch_line(out + r * out_stride + x + v * Vector::lanes + ahead);
    }
  }
  for (int k = 0; k < n_in; ++k) {
    multiply_add_tile<T, R, V>(weight, in[k] + x, sums);
    weight += weight_stride;
  }
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int v = 0; v < V; ++v) sums[r][v].store(out + r * out_stride + x + v * Vector::lanes);
  }
}

// R outputs, tile by tile.
template <class T, int R, int V>
MSD_INLINE void push_tiles(const T *const *in, int n_in, int64_t x, T *out, int64_t out_stride, const T *weight,
                           int weight_stride, int64_t ahead) {
  constexpr int now = first_outputs<R, V>();
  push_tile<T, now, V>(in, n_in, x, out, out_stride, weight, weight_stride, ahead);
  if constexpr (now < R) {
    push_tiles<T, R - now, V>(in, n_in, x, out + now * out_stride, out_stride, weight + now, weight_stride, ahead);
  }
}

template <class T, int R, int V>
void push_group_tile(const T *const *in, int n_in, int64_t x, T *out, int64_t out_stride, const T *weight,
                     int64_t ahead) {
  push_tiles<T, R, V>(in, n_in, x, out, out_stride, weight, R, ahead);
}

template <class T, int V>
MSD_INLINE void push_columns(const T *const *in, int n_in, int64_t x, T *out, int64_t out_stride, int n_out,
                             const T *weight, int64_t ahead) {
  using Tile = void (*)(const T *const *, int, int64_t, T *, int64_t, const T *, int64_t);
  static constexpr Tile tiles[push_group] = {
      push_group_tile<T, 1, V>, push_group_tile<T, 2, V>, push_group_tile<T, 3, V>,
      push_group_tile<T, 4, V>, push_group_tile<T, 5, V>, push_group_tile<T, 6, V>,
      push_group_tile<T, 7, V>, push_group_tile<T, 8, V>, push_group_tile<T, 9, V>};
  for (int first = 0; first < n_out; first += push_group) {
    const int n = n_out - first < push_group ? n_out - first : push_group;
    tiles[n - 1](in, n_in, x, out + first * out_stride, out_stride, weight + static_cast<int64_t>(first) * n_in, ahead);
  }
}

// Columns outside, groups of maps inside: the inputs' columns stay in the innermost cache.
template <class T>
void push_gradients(const T *const *in, int n_in, T *out, int64_t out_stride, int n_out, const T *weight, int64_t count,
                    int64_t ahead) {
  constexpr int64_t lanes = Vec<T>::lanes, step = tile_vectors * lanes;
  int64_t x = 0;
  for (; x + step <= count; x += step)
    push_columns<T, tile_vectors>(in, n_in, x, out, out_stride, n_out, weight, ahead);
  if (tile_vectors > 2 && x + 2 * lanes <= count) {
    push_columns<T, 2>(in, n_in, x, out, out_stride, n_out, weight, ahead);
    x += 2 * lanes;
  }
  for (; x < count; x += lanes) push_columns<T, 1>(in, n_in, x, out, out_stride, n_out, weight, ahead);
}
