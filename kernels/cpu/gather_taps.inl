// One hidden map from its tap products, in two steps, a row at a time:
//
//   shift_products:  S[b](x) (+)= sum over c of products[b, c]( fold(x + c s) )         (along x)
//   gather_rows:     out(y, x) = ReLU( bias + sum over row taps b of S[b]( fold(y + b s) )(x) ).
//
// The first needs only one row, while its products are still in the innermost cache, and leaves three rows (nine
// in 3-D) instead of nine (27). Products stand in rows with a margin of at least s on both sides: what the
// boundary rule puts there is written into it (a reversed copy), and the sum itself knows no border.
// Rows narrower than the dilation, where folding goes to and fro, are done number by number with a table.

template <class T>
MSD_INLINE void fill_margins(const TapTable &table, T *left, T *right) {
  using Vector = Vec<T>;
  const int64_t s = table.dilation, width = table.width;
  if (table.boundary == MSD_ZEROS) {
    for (int64_t i = 0; i < s; i += Vector::lanes) {
      Vector::all(T(0)).store(left - i - Vector::lanes);
      Vector::all(T(0)).store(right + width + i);
    }
    return;
  }
  const int64_t edge = table.boundary == MSD_REFLECT ? 1 : 0;
  for (int64_t i = 0; i < s; i += Vector::lanes) {
    Vector::load_reversed(left + edge + i).store(left - i - Vector::lanes);
    Vector::load_reversed(right + width - edge - i - Vector::lanes).store(right + width + i);
  }
}

// products: row tap b's three rows at 3 b, 3 b + 1, 3 b + 2 times product_stride; sums: row b at b * row_stride.
template <class T>
void shift_products(const TapTable &table, T *products, int64_t product_stride, T *sums, int64_t row_stride,
                    bool accumulate) {
  using Vector = Vec<T>;
  const int64_t s = table.dilation, width = table.width;
  // All margins first: a vector read soon after two stores that it overlaps waits until both have left the core.
  for (int b = 0; s < width && b < table.n_row_taps; ++b) {
    fill_margins<T>(table, products + 3 * b * product_stride, products + (3 * b + 2) * product_stride);
  }
  for (int b = 0; b < table.n_row_taps; ++b) {
    T *left = products + 3 * b * product_stride, *middle = left + product_stride, *right = middle + product_stride;
    T *sum = sums + b * row_stride;
    if (s < width) {
      if (accumulate) {
        for (int64_t x = 0; x < width; x += Vector::lanes) {
          const Vector sides = Vector::load(left + x - s) + Vector::load(right + x + s);
          (Vector::load(sum + x) + (Vector::load(middle + x) + sides)).store(sum + x);
        }
      } else {
        for (int64_t x = 0; x < width; x += Vector::lanes) {
          (Vector::load(middle + x) + (Vector::load(left + x - s) + Vector::load(right + x + s))).store(sum + x);
        }
      }
      continue;
    }
    for (int64_t x = 0; x < width; ++x) {
      const int32_t from_left = table.left_source[x], from_right = table.right_source[x];
      const T value =
          middle[x] + ((from_left >= 0 ? left[from_left] : T(0)) + (from_right >= 0 ? right[from_right] : T(0)));
      sum[x] = accumulate ? sum[x] + value : value;
    }
  }
}

// N rows at once. Their addresses are copied first: a vector's store may alias anything, and they would be read again.
template <class T, int N>
MSD_INLINE void gather_all(const T *const *sources, T bias, T *out, int64_t width) {
  using Vector = Vec<T>;
  const T *rows[N];
  for (int i = 0; i < N; ++i) rows[i] = sources[i];
  for (int64_t x = 0; x < width; x += Vector::lanes) {
    Vector sum = Vector::all(bias);
    MSD_UNROLL
    for (int i = 0; i < N; ++i) sum = sum + Vector::load(rows[i] + x);
    relu(sum).store(out + x);
  }
}

template <class T>
void gather_rows(const T *const *sources, int n_sources, T bias, T *out, int64_t width, int64_t row_stride) {
  using Vector = Vec<T>;
  if (n_sources == 3) {  // inside the image in 2-D: nearly all rows
    gather_all<T, 3>(sources, bias, out, width);
  } else {
    for (int64_t x = 0; x < width; x += Vector::lanes) {
      Vector sum = Vector::all(bias);
      for (int i = 0; i < n_sources; ++i) sum = sum + Vector::load(sources[i] + x);
      relu(sum).store(out + x);
    }
  }
  for (int64_t x = width; x < row_stride; ++x) out[x] = T(0);
}
