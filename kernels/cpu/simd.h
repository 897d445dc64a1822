// A vector of T in the widest registers of the instruction set this file is compiled for.
//
// Included only by variant_*.cpp, inside that variant's own namespace, so that code compiled with
// (say) AVX-512 flags can never be picked by the linker for a machine without it. For the same reason
// nothing here uses the standard library.
//
// load_reversed(p) is the numbers from p on, the last one first.
//
// keep_where_positive(g, z) is ReLU's gradient: g where not (z <= 0), so a NaN in z lets g through, as
// torch does; relu(NaN) is NaN.

template <class T>
struct Vec;

// Fetch the cache line of an address into the second-level cache; any address will do.
template <class T>
inline void fetch_line(const T *p) {
#if defined(MSD_X86)
  _mm_prefetch(reinterpret_cast<const char *>(p), _MM_HINT_T1);
#elif defined(__GNUC__)
  __builtin_prefetch(p, 0, 2);
#else
  (void)p;
#endif
}

#if defined(__AVX512F__)

template <>
struct Vec<float> {
  static constexpr int lanes = 16;
  __m512 v;
  static Vec load(const float *p) { return {_mm512_loadu_ps(p)}; }
  static Vec load_reversed(const float *p) {
    const __m512i order = _mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return {_mm512_permutexvar_ps(order, _mm512_loadu_ps(p))};
  }
  static Vec all(float x) { return {_mm512_set1_ps(x)}; }
  void store(float *p) const { _mm512_storeu_ps(p, v); }
  double sum() const { return static_cast<double>(_mm512_reduce_add_ps(v)); }
};
inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec<float> multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec<float> relu(Vec<float> x) { return {_mm512_max_ps(_mm512_setzero_ps(), x.v)}; }
inline Vec<float> keep_where_positive(Vec<float> g, Vec<float> z) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(z.v, _mm512_setzero_ps(), _CMP_NLE_UQ), g.v)};
}

template <>
struct Vec<double> {
  static constexpr int lanes = 8;
  __m512d v;
  static Vec load(const double *p) { return {_mm512_loadu_pd(p)}; }
  static Vec load_reversed(const double *p) {
    return {_mm512_permutexvar_pd(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_loadu_pd(p))};
  }
  static Vec all(double x) { return {_mm512_set1_pd(x)}; }
  void store(double *p) const { _mm512_storeu_pd(p, v); }
  double sum() const { return _mm512_reduce_add_pd(v); }
};
inline Vec<double> operator+(Vec<double> a, Vec<double> b) { return {_mm512_add_pd(a.v, b.v)}; }
inline Vec<double> multiply_add(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
inline Vec<double> relu(Vec<double> x) { return {_mm512_max_pd(_mm512_setzero_pd(), x.v)}; }
inline Vec<double> keep_where_positive(Vec<double> g, Vec<double> z) {
  return {_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(z.v, _mm512_setzero_pd(), _CMP_NLE_UQ), g.v)};
}

#elif defined(__AVX2__)

template <>
struct Vec<float> {
  static constexpr int lanes = 8;
  __m256 v;
  static Vec load(const float *p) { return {_mm256_loadu_ps(p)}; }
  static Vec load_reversed(const float *p) {
    return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), _mm256_set_epi32(0, 1, 2, 3, 4, 5, 6, 7))};
  }
  static Vec all(float x) { return {_mm256_set1_ps(x)}; }
  void store(float *p) const { _mm256_storeu_ps(p, v); }
  double sum() const {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return static_cast<double>(_mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1))));
  }
};
inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec<float> multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec<float> relu(Vec<float> x) { return {_mm256_max_ps(_mm256_setzero_ps(), x.v)}; }
inline Vec<float> keep_where_positive(Vec<float> g, Vec<float> z) {
  return {_mm256_and_ps(_mm256_cmp_ps(z.v, _mm256_setzero_ps(), _CMP_NLE_UQ), g.v)};
}

template <>
struct Vec<double> {
  static constexpr int lanes = 4;
  __m256d v;
  static Vec load(const double *p) { return {_mm256_loadu_pd(p)}; }
  static Vec load_reversed(const double *p) { return {_mm256_permute4x64_pd(_mm256_loadu_pd(p), 0x1b)}; }
  static Vec all(double x) { return {_mm256_set1_pd(x)}; }
  void store(double *p) const { _mm256_storeu_pd(p, v); }
  double sum() const {
    const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
  }
};
inline Vec<double> operator+(Vec<double> a, Vec<double> b) { return {_mm256_add_pd(a.v, b.v)}; }
inline Vec<double> multiply_add(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm256_fmadd_pd(a.v, b.v, c.v)};
}
inline Vec<double> relu(Vec<double> x) { return {_mm256_max_pd(_mm256_setzero_pd(), x.v)}; }
inline Vec<double> keep_where_positive(Vec<double> g, Vec<double> z) {
  return {_mm256_and_pd(_mm256_cmp_pd(z.v, _mm256_setzero_pd(), _CMP_NLE_UQ), g.v)};
}

#elif defined(MSD_X86)

template <>
struct Vec<float> {
  static constexpr int lanes = 4;
  __m128 v;
  static Vec load(const float *p) { return {_mm_loadu_ps(p)}; }
  static Vec load_reversed(const float *p) {
    const __m128 x = _mm_loadu_ps(p);
    return {_mm_shuffle_ps(x, x, 0x1b)};
  }
  static Vec all(float x) { return {_mm_set1_ps(x)}; }
  void store(float *p) const { _mm_storeu_ps(p, v); }
  double sum() const {
    const __m128 half = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return static_cast<double>(_mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1))));
  }
};
inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm_add_ps(a.v, b.v)}; }
inline Vec<float> multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)};
}
inline Vec<float> relu(Vec<float> x) { return {_mm_max_ps(_mm_setzero_ps(), x.v)}; }
inline Vec<float> keep_where_positive(Vec<float> g, Vec<float> z) {
  return {_mm_andnot_ps(_mm_cmple_ps(z.v, _mm_setzero_ps()), g.v)};
}

template <>
struct Vec<double> {
  static constexpr int lanes = 2;
  __m128d v;
  static Vec load(const double *p) { return {_mm_loadu_pd(p)}; }
  static Vec load_reversed(const double *p) {
    const __m128d x = _mm_loadu_pd(p);
    return {_mm_shuffle_pd(x, x, 1)};
  }
  static Vec all(double x) { return {_mm_set1_pd(x)}; }
  void store(double *p) const { _mm_storeu_pd(p, v); }
  double sum() const { return _mm_cvtsd_f64(_mm_add_sd(v, _mm_unpackhi_pd(v, v))); }
};
inline Vec<double> operator+(Vec<double> a, Vec<double> b) { return {_mm_add_pd(a.v, b.v)}; }
inline Vec<double> multiply_add(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm_add_pd(_mm_mul_pd(a.v, b.v), c.v)};
}
inline Vec<double> relu(Vec<double> x) { return {_mm_max_pd(_mm_setzero_pd(), x.v)}; }
inline Vec<double> keep_where_positive(Vec<double> g, Vec<double> z) {
  return {_mm_andnot_pd(_mm_cmple_pd(z.v, _mm_setzero_pd()), g.v)};
}

#elif defined(MSD_ARM64)

template <>
struct Vec<float> {
  static constexpr int lanes = 4;
  float32x4_t v;
  static Vec load(const float *p) { return {vld1q_f32(p)}; }
  static Vec load_reversed(const float *p) {
    const float32x4_t pairs = vrev64q_f32(vld1q_f32(p));
    return {vextq_f32(pairs, pairs, 2)};
  }
  static Vec all(float x) { return {vdupq_n_f32(x)}; }
  void store(float *p) const { vst1q_f32(p, v); }
  double sum() const { return static_cast<double>(vaddvq_f32(v)); }
};
inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec<float> multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
inline Vec<float> relu(Vec<float> x) { return {vmaxq_f32(x.v, vdupq_n_f32(0))}; }
inline Vec<float> keep_where_positive(Vec<float> g, Vec<float> z) {
  return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(g.v), vcleq_f32(z.v, vdupq_n_f32(0))))};
}

template <>
struct Vec<double> {
  static constexpr int lanes = 2;
  float64x2_t v;
  static Vec load(const double *p) { return {vld1q_f64(p)}; }
  static Vec load_reversed(const double *p) {
    const float64x2_t x = vld1q_f64(p);
    return {vextq_f64(x, x, 1)};
  }
  static Vec all(double x) { return {vdupq_n_f64(x)}; }
  void store(double *p) const { vst1q_f64(p, v); }
  double sum() const { return vaddvq_f64(v); }
};
inline Vec<double> operator+(Vec<double> a, Vec<double> b) { return {vaddq_f64(a.v, b.v)}; }
inline Vec<double> multiply_add(Vec<double> a, Vec<double> b, Vec<double> c) { return {vfmaq_f64(c.v, a.v, b.v)}; }
inline Vec<double> relu(Vec<double> x) { return {vmaxq_f64(x.v, vdupq_n_f64(0))}; }
inline Vec<double> keep_where_positive(Vec<double> g, Vec<double> z) {
  return {vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(g.v), vcleq_f64(z.v, vdupq_n_f64(0))))};
}

#else  // any other processor: one number at a time

template <class T>
struct Vec {
  static constexpr int lanes = 1;
  T v;
  static Vec load(const T *p) { return {*p}; }
  static Vec load_reversed(const T *p) { return {*p}; }
  static Vec all(T x) { return {x}; }
  void store(T *p) const { *p = v; }
  double sum() const { return static_cast<double>(v); }
};
template <class T>
inline Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return {a.v + b.v};
}
template <class T>
inline Vec<T> multiply_add(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {a.v * b.v + c.v};
}
template <class T>
inline Vec<T> relu(Vec<T> x) {
  return {x.v < T(0) ? T(0) : x.v};
}
template <class T>
inline Vec<T> keep_where_positive(Vec<T> g, Vec<T> z) {
  return {z.v <= T(0) ? T(0) : g.v};
}

#endif

// Register tiles. An inner loop holds `tile_sums` vectors of sums: as many as leave room for the pixels and factors of one
// step. Widest tiles are `tile_vectors` vectors of pixels (or `tile_maps` maps) wide; the other side is as many outputs
// as still fit. With 32 registers that is 9 taps x 3; with 16 (one of them for SSE's separate product) it is 3 taps
// x 4: 7 loads for 12 multiply-adds, where 9 x 1 would take 10 for 9.
#if defined(__AVX512F__) || defined(MSD_ARM64)
constexpr int tile_sums = 27;
constexpr int tile_vectors = 3;
constexpr int tile_maps = 3;
#elif defined(__AVX2__)
constexpr int tile_sums = 12;
constexpr int tile_vectors = 4;
constexpr int tile_maps = 4;
#else
constexpr int tile_sums = 9;
constexpr int tile_vectors = 3;
constexpr int tile_maps = 3;
#endif

// Of R outputs, how many a tile of V vectors takes first, so that its sums fit and the next tiles are no smaller than need be.
template <int R, int V>
constexpr int first_outputs() {
  constexpr int most = tile_sums / V, tiles = (R + most - 1) / most;
  return (R + tiles - 1) / tiles;
}

// Does a vector of a tile, which begins with a cache line, begin another one?
template <class T>
constexpr bool begins_line(int v) {
  return v * Vec<T>::lanes * sizeof(T) % 64 == 0;
}

// sums[r][v] += factors[r] * pixels[v], with the smaller side in registers.
template <class T, int R, int V>
MSD_INLINE void multiply_add_tile(const T *factors, const T *pixels, Vec<T> (&sums)[R][V]) {
  using Vector = Vec<T>;
  if (R < V) {
    Vector left[R];
    MSD_UNROLL
    for (int r = 0; r < R; ++r) left[r] = Vector::all(factors[r]);
    MSD_UNROLL
    for (int v = 0; v < V; ++v) {
      const Vector right = Vector::load(pixels + v * Vector::lanes);
      MSD_UNROLL
      for (int r = 0; r < R; ++r) sums[r][v] = multiply_add(left[r], right, sums[r][v]);
    }
  } else {
    Vector right[V];
    MSD_UNROLL
    for (int v = 0; v < V; ++v) right[v] = Vector::load(pixels + v * Vector::lanes);
    MSD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vector left = Vector::all(factors[r]);
      MSD_UNROLL
      for (int v = 0; v < V; ++v) sums[r][v] = multiply_add(left, right[v], sums[r][v]);
    }
  }
}
