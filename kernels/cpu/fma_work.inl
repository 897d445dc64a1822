// Nothing but multiply-adds in registers: what a core can do at most, for benchmarks to compare with.
//
// 12 independent sums hide the latency (4 cycles x 2 units, rounded up) and fit the 16 registers of SSE and AVX2.

constexpr int fma_sums = 12;

template <class T>
double fma_work(int64_t rounds) {
  using Vector = Vec<T>;
  const Vector factor = Vector::all(T(0.5)), term = Vector::all(T(1));
  Vector sums[fma_sums];
  MSD_UNROLL
  for (int i = 0; i < fma_sums; ++i) sums[i] = Vector::all(T(i));
  for (int64_t round = 0; round < rounds; ++round) {
    MSD_UNROLL
    for (int i = 0; i < fma_sums; ++i) sums[i] = multiply_add(sums[i], factor, term);
  }
  double total = 0;
  MSD_UNROLL
  for (int i = 0; i < fma_sums; ++i) total += sums[i].sum();
  return total;
}
