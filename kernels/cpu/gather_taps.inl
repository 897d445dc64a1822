// One hidden map from its tap products, the boundary rule, bias and ReLU:
//
//   out(y, x) = ReLU( bias + sum over taps (b, c) of products[b, c]( fold(y + b s), fold(x + c s) ) ).
//
// Rows first (three sums S_c over the row taps, whole rows, aligned), then the two shifts along x; so the
// fold along x costs 2 s scalar additions per row, not 2 s times the row taps. Rows first_row..last_row are
// written, any row is read: all products must be complete. The row's padding is set to zero.
// `scratch` holds two rows.

template <class T>
MSD_INLINE void add_shifted(const T *from, T *to, int64_t count) {
  using Vector = Vec<T>;
  int64_t x = 0;
  for (; x + Vector::lanes <= count; x += Vector::lanes) (Vector::load(to + x) + Vector::load(from + x)).store(to + x);
  for (; x < count; ++x) to[x] += from[x];
}

template <class T>
void gather_taps(const TapTable &table, const T *products, int64_t plane_stride, int64_t row_stride, T bias,
                 T *out, int64_t first_row, int64_t last_row, T *scratch) {
  using Vector = Vec<T>;
  const int64_t width = table.width;
  const int64_t direct = width > table.dilation ? width - table.dilation : 0;
  T *left = scratch, *right = scratch + row_stride;
  for (int64_t y = first_row; y < last_row; ++y) {
    T *row = out + y * row_stride;
    const T *sources[9];
    int n_sources = 0;
    for (int t = 0; t < table.n_row_taps; ++t) {
      const int64_t source = table.row_source[t * table.rows + y];
      if (source >= 0) sources[n_sources++] = products + 3 * t * plane_stride + source * row_stride;
    }
    for (int64_t x = 0; x < row_stride; x += Vector::lanes) {
      Vector sum_left = Vector::all(T(0)), sum_middle = Vector::all(bias), sum_right = Vector::all(T(0));
      for (int t = 0; t < n_sources; ++t) {
        const T *source = sources[t] + x;
        sum_left = sum_left + Vector::load(source);
        sum_middle = sum_middle + Vector::load(source + plane_stride);
        sum_right = sum_right + Vector::load(source + 2 * plane_stride);
      }
      sum_left.store(left + x);
      sum_middle.store(row + x);
      sum_right.store(right + x);
    }
    const int64_t shift = width - direct;
    add_shifted(left, row + shift, direct);
    add_shifted(right + shift, row, direct);
    for (int64_t x = 0; x < shift; ++x) {
      if (table.left_source[x] >= 0) row[x] += left[table.left_source[x]];
    }
    for (int64_t x = direct; x < width; ++x) {
      if (table.right_source[x] >= 0) row[x] += right[table.right_source[x]];
    }
    for (int64_t x = 0; x < row_stride; x += Vector::lanes) relu(Vector::load(row + x)).store(row + x);
    for (int64_t x = width; x < row_stride; ++x) row[x] = T(0);
  }
}
