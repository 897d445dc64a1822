// Inner products of planes:  out[i, j] += sum over p < count of a[i](p) * b[j](p).
//
// The gradients of all weights are this: a = the taps' gradients (or the logits'), b = the maps. A tile of
// 9 x tile_maps products runs in registers; each call sums at most one pixel tile in T, over many lanes, and
// adds the result to a double, so the error does not grow with the image. `count` is a multiple of the
// lanes, and the padding of `a` is zero.

template <class T, int R, int S>
void correlate_tile(const T *a, int64_t a_stride, const T *b, int64_t b_stride, int64_t count, double *out,
                    int64_t out_a_stride, int64_t out_b_stride) {
  using Vector = Vec<T>;
  Vector sums[R][S];
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int s = 0; s < S; ++s) sums[r][s] = Vector::all(T(0));
  }
  for (int64_t p = 0; p < count; p += Vector::lanes) {
    Vector right[S];
    MSD_UNROLL
    for (int s = 0; s < S; ++s) right[s] = Vector::load(b + s * b_stride + p);
    MSD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vector left = Vector::load(a + r * a_stride + p);
      MSD_UNROLL
      for (int s = 0; s < S; ++s) sums[r][s] = multiply_add(left, right[s], sums[r][s]);
    }
  }
  MSD_UNROLL
  for (int r = 0; r < R; ++r) {
    MSD_UNROLL
    for (int s = 0; s < S; ++s) out[r * out_a_stride + s * out_b_stride] += sums[r][s].sum();
  }
}

template <class T, int R>
void correlate_rows(const T *a, int64_t a_stride, const T *b, int64_t b_stride, int n_b, int64_t count,
                    double *out, int64_t out_a_stride, int64_t out_b_stride) {
  int j = 0;
  for (; j + tile_maps <= n_b; j += tile_maps) {
    correlate_tile<T, R, tile_maps>(a, a_stride, b + j * b_stride, b_stride, count, out + j * out_b_stride,
                                    out_a_stride, out_b_stride);
  }
  for (; j < n_b; ++j) {
    correlate_tile<T, R, 1>(a, a_stride, b + j * b_stride, b_stride, count, out + j * out_b_stride,
                            out_a_stride, out_b_stride);
  }
}

template <class T>
void correlate_planes(const T *a, int64_t a_stride, int n_a, const T *b, int64_t b_stride, int n_b,
                      int64_t count, double *out, int64_t out_a_stride, int64_t out_b_stride) {
  constexpr int most_rows = 9;
  using Rows = void (*)(const T *, int64_t, const T *, int64_t, int, int64_t, double *, int64_t, int64_t);
  static constexpr Rows rows[most_rows] = {
      correlate_rows<T, 1>, correlate_rows<T, 2>, correlate_rows<T, 3>,
      correlate_rows<T, 4>, correlate_rows<T, 5>, correlate_rows<T, 6>,
      correlate_rows<T, 7>, correlate_rows<T, 8>, correlate_rows<T, 9>};
  for (int first = 0; first < n_a; first += most_rows) {
    const int n = n_a - first < most_rows ? n_a - first : most_rows;
    rows[n - 1](a + first * a_stride, a_stride, b, b_stride, n_b, count, out + first * out_a_stride,
                out_a_stride, out_b_stride);
  }
}

// The gradient of a bias: the sum of a plane, in pieces short enough for T.
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
