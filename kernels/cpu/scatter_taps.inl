// The exact adjoint of gather_taps, in two steps that both only read what others wrote:
//
//   shift_gradient:  delta = gradient where the map is positive (ReLU), and along x
//                    shifted[c](y, x') = sum over x with fold(x + c s) = x' of delta(y, x);
//   collect_rows:    taps[b, c](y', x') = sum over y with fold(y + b s) = y' of shifted[c](y, x').
//
// taps[b, c] is the gradient of products[b, c]; no border is left over, whatever the boundary rule.
// The padding of every row written is zero, which correlate_planes relies on.

template <class T>
void shift_gradient(const TapTable &table, const T *gradient, const T *map, T *shifted, int64_t plane_stride,
                    int64_t row_stride, int64_t first_row, int64_t last_row) {
  using Vector = Vec<T>;
  const int64_t width = table.width;
  const int64_t direct = width > table.dilation ? width - table.dilation : 0;
  const int64_t shift = width - direct;
  for (int64_t y = first_row; y < last_row; ++y) {
    const T *gradient_row = gradient + y * row_stride, *map_row = map + y * row_stride;
    T *left = shifted + y * row_stride;
    T *middle = left + plane_stride, *right = middle + plane_stride;
    for (int64_t x = 0; x < row_stride; x += Vector::lanes) {
      keep_where_positive(Vector::load(gradient_row + x), Vector::load(map_row + x)).store(middle + x);
      Vector::all(T(0)).store(left + x);
      Vector::all(T(0)).store(right + x);
    }
    for (int64_t x = width; x < row_stride; ++x) middle[x] = T(0);
    add_shifted(middle + shift, left, direct);
    add_shifted(middle, right + shift, direct);
    for (int64_t x = 0; x < shift; ++x) {
      if (table.left_source[x] >= 0) left[table.left_source[x]] += middle[x];
    }
    for (int64_t x = direct; x < width; ++x) {
      if (table.right_source[x] >= 0) right[table.right_source[x]] += middle[x];
    }
  }
}

template <class T>
void collect_rows(const TapTable &table, const T *shifted, int64_t plane_stride, int64_t row_stride, T *taps,
                  int64_t tap_stride, int64_t first_row, int64_t last_row) {
  using Vector = Vec<T>;
  for (int t = 0; t < table.n_row_taps; ++t) {
    const int32_t *start = table.target_start + t * (table.rows + 1);
    const int32_t *targets = table.targets + t * table.rows;
    for (int c = 0; c < 3; ++c) {
      const T *plane = shifted + c * plane_stride;
      T *tap = taps + (3 * t + c) * tap_stride;
      for (int64_t y = first_row; y < last_row; ++y, tap += row_stride) {
        for (int64_t x = 0; x < row_stride; x += Vector::lanes) {
          Vector sum = Vector::all(T(0));
          for (int32_t i = start[y]; i < start[y + 1]; ++i) {
            sum = sum + Vector::load(plane + targets[i] * row_stride + x);
          }
          sum.store(tap + x);
        }
      }
    }
  }
}
