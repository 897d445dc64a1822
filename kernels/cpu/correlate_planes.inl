// Inner products over some rows:  out[i, j] += sum over rows y and x of a[y][i](x) * b[j](y, x).
//
// The gradients of all weights are this: a = the taps' gradients (or the logits'), rows anywhere, given as pointers;
// b = the maps. A tile of 9 x tile_maps products runs in registers over all the rows of a call (a few thousand
// pixels, in T, over many lanes), and is added to a double, so the error does not grow with the image.
// `count` is a multiple of the lanes, and the padding of either side is zero. `ahead`: as in combine_planes, for b.

template <class T, int R, int S, bool Fetch>
void correlate_tile(const CorrelateRows<T> &rows, int first_a, int64_t first_b, double *out, int64_t out_a_stride,
                    int64_t out_b_stride) {
  using Vector = Vec<T>;
  Vector sums[R][S];
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int s = 0; s < S; ++s) sums[r][s] = Vector::all(T(0));
  }
  const int64_t count = rows.count, b_stride = rows.b_stride;
  for (int64_t y = 0; y < rows.n_rows; ++y) {
    const T *a[R];
    MSD_UNROLL
    for (int r = 0; r < R; ++r) a[r] = rows.a[y * rows.a_row_step + first_a + r];
    const T *b = rows.b + y * rows.b_row_step + first_b * b_stride;
    for (int64_t x = 0; x < count; x += Vector::lanes) {
      Vector right[S];
      MSD_UNROLL
      for (int s = 0; s < S; ++s) {
        right[s] = Vector::load(b + s * b_stride + x);
        if (Fetch) fetch_line(b + s * b_stride + x + rows.ahead);
      }
      MSD_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vector left = Vector::load(a[r] + x);
        MSD_UNROLL
        for (int s = 0; s < S; ++s) sums[r][s] = multiply_add(left, right[s], sums[r][s]);
      }
    }
  }
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int s = 0; s < S; ++s) out[r * out_a_stride + s * out_b_stride] += sums[r][s].sum();
  }
}

// R rows of a with S maps, tile by tile.
template <class T, int R, int S, bool Fetch>
MSD_INLINE void correlate_tiles(const CorrelateRows<T> &rows, int first_a, int64_t first_b, double *out,
                                int64_t out_a_stride, int64_t out_b_stride) {
  constexpr int now = first_outputs<R, S>();
  correlate_tile<T, now, S, Fetch>(rows, first_a, first_b, out, out_a_stride, out_b_stride);
  if constexpr (now < R) {
    correlate_tiles<T, R - now, S, false>(rows, first_a + now, first_b, out + now * out_a_stride, out_a_stride,
                                          out_b_stride);
  }
}

template <class T, int R, bool Fetch>
void correlate_some(const CorrelateRows<T> &rows, int first_a, int64_t n_b, double *out, int64_t out_a_stride,
                    int64_t out_b_stride) {
  int64_t j = 0;
  for (; j + tile_maps <= n_b; j += tile_maps) {
    correlate_tiles<T, R, tile_maps, Fetch>(rows, first_a, j, out + j * out_b_stride, out_a_stride, out_b_stride);
  }
  for (; j < n_b; ++j) {
    correlate_tiles<T, R, 1, Fetch>(rows, first_a, j, out + j * out_b_stride, out_a_stride, out_b_stride);
  }
}

template <class T>
void correlate_planes(const CorrelateRows<T> &rows, int n_a, int64_t n_b, double *out, int64_t out_a_stride,
                      int64_t out_b_stride) {
  constexpr int most_rows = 9;
  using Some = void (*)(const CorrelateRows<T> &, int, int64_t, double *, int64_t, int64_t);
  static constexpr Some all[2][most_rows] = {
      {correlate_some<T, 1, false>, correlate_some<T, 2, false>, correlate_some<T, 3, false>,
       correlate_some<T, 4, false>, correlate_some<T, 5, false>, correlate_some<T, 6, false>,
       correlate_some<T, 7, false>, correlate_some<T, 8, false>, correlate_some<T, 9, false>},
      {correlate_some<T, 1, true>, correlate_some<T, 2, true>, correlate_some<T, 3, true>, correlate_some<T, 4, true>,
       correlate_some<T, 5, true>, correlate_some<T, 6, true>, correlate_some<T, 7, true>, correlate_some<T, 8, true>,
       correlate_some<T, 9, true>}};
  const Some *some = all[rows.ahead != 0];
  for (int first = 0; first < n_a; first += most_rows) {
    const int n = n_a - first < most_rows ? n_a - first : most_rows;
    some[n - 1](rows, first, n_b, out + first * out_a_stride, out_a_stride, out_b_stride);
  }
}

// The gradient of a bias: the sum of a row, in pieces short enough for T.
template <class T>
double sum_plane(const T *a, int64_t count) {
  using Vector = Vec<T>;
  constexpr int64_t piece = 64 * Vector::lanes;
  double total = 0;
  for (int64_t first = 0; first < count; first += piece) {
    const int64_t last = first + piece < count ? first + piece : count;
    Vector sum = Vector::all(T(0));
    for (int64_t p = first; p < last; p += Vector::lanes) sum = sum + Vector::load(a + p);
    total += sum.sum();
  }
  return total;
}
