// The adjoint of gather_taps along x, a row at a time: from the gradient of a hidden map,
//
//   delta(x) = gradient where the map is positive (ReLU),
//   shifted[c](x') = sum over x with fold(x + c s) = x' of delta(x)    for c = -1, 0, 1 (rows one after another).
//
// Across rows the adjoint needs no arithmetic: the gradient of products[b, c] at row y' is shifted[c] at the rows
// that read y', nearly always one (backward.cpp). Returns the sum of delta, the gradient of the bias.
// The padding of every row written is zero. `padded` is a row with margins of at least s, the margins zero.

template <class T>
MSD_INLINE void add_mirrored(const TapTable &table, const T *delta, T *left, T *right) {
  using Vector = Vec<T>;
  const int64_t s = table.dilation, width = table.width;
  const int64_t edge = table.boundary == MSD_REFLECT ? 1 : 0;
  for (int64_t i = 0; i < s; i += Vector::lanes) {
    T *to = left + edge + i;
    (Vector::load(to) + Vector::load_reversed(delta + s - i - Vector::lanes)).store(to);
    to = right + width - edge - i - Vector::lanes;
    (Vector::load(to) + Vector::load_reversed(delta + width - s + i)).store(to);
  }
}

template <class T>
double shift_gradient(const TapTable &table, const T *gradient, const T *map, T *padded, T *shifted,
                      int64_t row_stride) {
  using Vector = Vec<T>;
  const int64_t s = table.dilation, width = table.width;
  T *left = shifted, *middle = shifted + row_stride, *right = middle + row_stride;
  for (int64_t x = 0; x < width; x += Vector::lanes) {
    keep_where_positive(Vector::load(gradient + x), Vector::load(map + x)).store(padded + x);
  }
  for (int64_t x = width; x < row_stride; ++x) padded[x] = T(0);
  const bool far = s >= width;
  for (int64_t x = 0; x < row_stride; x += Vector::lanes) {
    Vector::load(padded + x).store(middle + x);
    (far ? Vector::all(T(0)) : Vector::load(padded + x + s)).store(left + x);
    (far ? Vector::all(T(0)) : Vector::load(padded + x - s)).store(right + x);
  }
  if (!far) {
    for (int64_t x = width; x < row_stride; ++x) right[x] = T(0);
  }
  if (table.boundary != MSD_ZEROS) {
    if (s + Vector::lanes < width) {
      add_mirrored<T>(table, padded, left, right);
    } else {
      // Positions that come from outside the row.
      for (int64_t x = 0; x < (s < width ? s : width); ++x) left[table.left_source[x]] += padded[x];
      for (int64_t x = s < width ? width - s : 0; x < width; ++x) right[table.right_source[x]] += padded[x];
    }
  }
  return sum_plane<T>(middle, row_stride);
}

// out(x) = sum of some rows: where several rows read one.
template <class T>
void add_rows(const T *const *rows, int n_rows, T *out, int64_t row_stride) {
  using Vector = Vec<T>;
  for (int64_t x = 0; x < row_stride; x += Vector::lanes) {
    Vector sum = Vector::load(rows[0] + x);
    for (int i = 1; i < n_rows; ++i) sum = sum + Vector::load(rows[i] + x);
    sum.store(out + x);
  }
}
