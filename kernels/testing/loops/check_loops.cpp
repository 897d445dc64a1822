// The CPU core's inner loops, each alone: compared with plain loops in double, or timed beside the peak of multiply-adds.
//
//   check_loops            compares, for float and double, widths with and without whole vectors, all boundary rules
//   check_loops time       compares, then times each with its numbers in the caches, on one thread
//
// NAPARI_MSD_CPU_VARIANT lowers the instruction set, as for the core itself. tests/native/test_loops.py compiles this.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "boundary.h"
#include "dispatch.h"
#include "napari_msd.h"

namespace {

using namespace napari_msd;

// In rows of whole cache lines, as the core's own arrays.
template <class T>
struct Array {
  explicit Array(int64_t count) : memory(static_cast<size_t>(count) + 64 / sizeof(T)) {
    const uintptr_t at = (reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64;
    data = reinterpret_cast<T *>(at);
    for (int64_t i = 0; i < count; ++i) data[i] = next();
  }
  static T next() {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<T>(static_cast<double>(state >> 40) / (1 << 24) - 0.5);
  }
  std::vector<T> memory;
  T *data;
};

bool all_agree = true;

template <class T>
void compare(const char *loop, int64_t width, double got, double wanted, double size) {
  const double bound = 64 * static_cast<double>(std::numeric_limits<T>::epsilon()) * (1 + size);
  if (std::abs(got - wanted) <= bound) return;
  if (all_agree) std::printf("%s, width %d: %g instead of %g\n", loop, static_cast<int>(width), got, wanted);
  all_agree = false;
}

template <class T>
int64_t stride_of(int64_t width) {
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
  return (width + line - 1) / line * line;
}

template <class T>
void check_products(int64_t width) {
  const KernelTable<T> &table = kernels<T>();
  const int64_t stride = stride_of<T>(width);
  for (const int n_in : {1, 5, 131}) {
    for (const int n_out : {1, 3, 9, 11}) {
      const Array<T> in(n_in * stride), weight(n_in * n_out), bias(n_out);
      for (const bool accumulate : {false, true}) {
        for (const bool packed : {false, true}) {
          Array<T> out(n_out * stride), before = out;
          before.data = before.memory.data() + (out.data - out.memory.data());
          const int64_t by_out = packed ? 1 : n_in, by_in = packed ? n_out : 1;
          table.combine_planes(in.data, stride, n_in, out.data, stride, n_out, weight.data, by_out, by_in, bias.data,
                               accumulate, stride, packed ? stride : 0);
          for (int r = 0; r < n_out; ++r) {
            for (int64_t x = 0; x < width; ++x) {
              double sum = bias.data[r] + (accumulate ? before.data[r * stride + x] : T(0));
              for (int k = 0; k < n_in; ++k) {
                sum += static_cast<double>(weight.data[r * by_out + k * by_in]) * in.data[k * stride + x];
              }
              compare<T>("combine_planes", width, out.data[r * stride + x], sum, std::sqrt(n_in));
            }
          }
        }
      }
      std::vector<const T *> rows;
      for (int k = 0; k < n_in; ++k) rows.push_back(in.data + k * stride);
      Array<T> out(n_out * stride), before = out;
      before.data = before.memory.data() + (out.data - out.memory.data());
      table.push_gradients(rows.data(), n_in, out.data, stride, n_out, weight.data, stride, 0);
      for (int r = 0; r < n_out; ++r) {
        const int first = r / push_group * push_group, group = std::min(push_group, n_out - first);
        for (int64_t x = 0; x < width; ++x) {
          double sum = before.data[r * stride + x];
          for (int k = 0; k < n_in; ++k) {
            sum += static_cast<double>(weight.data[first * n_in + k * group + r - first]) * in.data[k * stride + x];
          }
          compare<T>("push_gradients", width, out.data[r * stride + x], sum, std::sqrt(n_in));
        }
      }
      std::vector<double> sums(static_cast<size_t>(n_in * n_out), 1.0);
      const CorrelateRows<T> correlation = {rows.data(), n_in, out.data, stride, 0, 1, stride, 0};
      table.correlate_planes(correlation, n_in, n_out, sums.data(), n_out, 1);
      for (int k = 0; k < n_in; ++k) {
        for (int r = 0; r < n_out; ++r) {
          double sum = 1, size = 0;
          for (int64_t x = 0; x < stride; ++x) {
            const double term = static_cast<double>(in.data[k * stride + x]) * out.data[r * stride + x];
            sum += term;
            size += std::abs(term);
          }
          compare<T>("correlate_planes", width, sums[static_cast<size_t>(k * n_out + r)], sum, size / 8);
        }
      }
    }
  }
}

// A tap table of one channel for images of three rows.
struct Taps {
  Taps(int32_t dilation, int64_t width, int32_t boundary) {
    dilations = {dilation};
    problem.sizes[0] = 1;
    problem.sizes[1] = 3;
    problem.sizes[2] = width;
    problem.dilations = dilations.data();
    problem.depth = problem.width = 1;
    problem.ndim = 2;
    problem.boundary = boundary;
  }
  std::vector<int32_t> dilations;
  msd_problem problem = {};
};

template <class T>
void check_taps(int64_t width, int32_t dilation, int32_t boundary) {
  const KernelTable<T> &loops = kernels<T>();
  const Taps taps(dilation, width, boundary);
  const TapTables tables(taps.problem);
  const TapTable &table = tables.of_channel(0);
  const int64_t stride = stride_of<T>(width);
  const int64_t margin = stride_of<T>(std::min<int64_t>(dilation, width)) + 64 / static_cast<int64_t>(sizeof(T));
  const int64_t padded = stride + 2 * margin;
  const auto source = [&](int64_t x, int c) { return source_index(x + c * dilation, width, boundary); };
  Array<T> products(9 * padded), sums(3 * stride);
  const Array<T> kept = [&] {
    Array<T> copy = products;
    copy.data = copy.memory.data() + (products.data - products.memory.data());
    return copy;
  }();
  loops.shift_products(table, products.data + margin, padded, sums.data, stride, false);
  for (int b = 0; b < 3; ++b) {
    for (int64_t x = 0; x < width; ++x) {
      double sum = 0;
      for (int c = -1; c <= 1; ++c) {
        const int32_t from = source(x, c);
        if (from >= 0) sum += kept.data[margin + (3 * b + c + 1) * padded + from];
      }
      compare<T>("shift_products", width, sums.data[b * stride + x], sum, 1);
    }
  }
  Array<T> out(stride);
  const T *rows[] = {sums.data, sums.data + stride, sums.data + 2 * stride};
  for (const int n : {2, 3}) {
    loops.gather_rows(rows, n, T(0.25), out.data, width, stride);
    for (int64_t x = 0; x < stride; ++x) {
      double sum = 0.25;
      for (int i = 0; i < n; ++i) sum += rows[i][x];
      compare<T>("gather_rows", width, out.data[x], x < width ? std::max(sum, 0.0) : 0, 1);
    }
    loops.add_rows(rows, n, out.data, stride);
    for (int64_t x = 0; x < width; ++x) {
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += rows[i][x];
      compare<T>("add_rows", width, out.data[x], sum, 1);
    }
  }
  Array<T> gradient(stride), map(stride), row(padded), shifted(3 * stride);
  std::fill(row.data, row.data + padded, T(0));
  const double total = loops.shift_gradient(table, gradient.data, map.data, row.data + margin, shifted.data, stride);
  std::vector<double> wanted(static_cast<size_t>(3 * stride), 0.0);
  double bias = 0;
  for (int64_t x = 0; x < width; ++x) {
    if (map.data[x] <= 0) continue;
    bias += gradient.data[x];
    for (int c = -1; c <= 1; ++c) {
      const int32_t to = source(x, c);
      if (to >= 0) wanted[static_cast<size_t>((c + 1) * stride + to)] += gradient.data[x];
    }
  }
  for (int64_t i = 0; i < 3 * stride; ++i) {
    compare<T>("shift_gradient", width, shifted.data[i], wanted[static_cast<size_t>(i)], 1);
  }
  compare<T>("sum_plane", width, total, bias, static_cast<double>(width) / 64);
}

template <class T>
void check() {
  for (const int64_t width : {1, 2, 7, 16, 33, 64, 129, 528}) {
    check_products<T>(width);
    for (const int32_t dilation : {1, 3, 16, 40}) {
      for (const int32_t boundary : {MSD_REFLECT, MSD_SYMMETRIC, MSD_ZEROS}) check_taps<T>(width, dilation, boundary);
    }
  }
}

// Nanoseconds of a call: the least of several rounds.
template <class Call>
double time_of(Call &&call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int round = 0; round < 20; ++round) {
    constexpr int calls = 200;
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - start).count() / calls);
  }
  return best;
}

void time_all() {
  using T = float;
  const KernelTable<T> &loops = kernels<T>();
  const double peak = static_cast<double>(loops.fma_flops) * 10000 / time_of([&] { loops.fma_work(10000); });
  std::printf("%s, one thread, float32, in the caches; peak of multiply-adds %.1f GFLOP/s\n", msd_variant(), peak);
  std::printf("%-16s %5s %5s %10s %9s %9s\n", "loop", "width", "maps", "ns a row", "GFLOP/s", "of peak");
  for (const int64_t width : {128, 512}) {
    const int64_t stride = stride_of<T>(width) + (width == 512 ? 16 : 0), padded = stride + 64;
    const Taps taps(4, width, MSD_REFLECT);
    const TapTables tables(taps.problem);
    Array<T> products(9 * padded), sums(27 * stride), out(stride);
    const auto products_at = [&](double ns, const char *name, int maps) {
      const double flops = 2.0 * 9 * maps * static_cast<double>(width) / ns;
      std::printf("%-16s %5d %5d %10.1f %9.1f %8.0f%%\n", name, static_cast<int>(width), maps, ns, flops,
                  100 * flops / peak);
    };
    for (const int maps : {4, 15, 50}) {
      Array<T> in(maps * stride), weight(27 * maps), gradients(maps * stride);
      std::vector<const T *> rows;
      for (int t = 0; t < 27; ++t) rows.push_back(sums.data + t * stride);
      std::vector<double> totals(static_cast<size_t>(9 * maps));
      products_at(time_of([&] {
                    loops.combine_planes(in.data, stride, maps, products.data + 32, padded, 9, weight.data, 1, 9,
                                         nullptr, false, stride, 0);
                  }),
                  "combine_planes", maps);
      // Three channels at once, as a block of layers does; a row of one channel is a third of it.
      products_at(time_of([&] {
                    loops.push_gradients(rows.data(), 27, gradients.data, stride, maps, weight.data, stride, 0);
                    // The same numbers again, not ever larger ones.
                    std::memset(gradients.data, 0, sizeof(T));
                  }) / 3,
                  "push_gradients", maps);
      // As many rows at once as have about a thousand pixels.
      const int64_t at_once = 1024 / width;
      std::vector<const T *> a;
      for (int64_t y = 0; y < at_once; ++y) a.insert(a.end(), rows.begin(), rows.begin() + 9);
      const CorrelateRows<T> correlation = {a.data(), 9, in.data, stride, 0, at_once, stride, 0};
      products_at(time_of([&] { loops.correlate_planes(correlation, 9, maps, totals.data(), 1, 9); }) /
                      static_cast<double>(at_once),
                  "correlate_planes", maps);
    }
    const T *three[] = {sums.data, sums.data + stride, sums.data + 2 * stride};
    Array<T> row(padded);
    std::fill(row.data, row.data + padded, T(0));
    const auto line = [&](const char *name, double ns) {
      std::printf("%-16s %5d %16.1f\n", name, static_cast<int>(width), ns);
    };
    const TapTable &table = tables.of_channel(0);
    line("shift_products",
         time_of([&] { loops.shift_products(table, products.data + 32, padded, sums.data, stride, false); }));
    line("gather_rows", time_of([&] { loops.gather_rows(three, 3, T(0.25), out.data, width, stride); }));
    line("shift_gradient", time_of([&] {
           (void)loops.shift_gradient(table, out.data, sums.data, row.data + 32, sums.data + 3 * stride, stride);
         }));
    line("add_rows", time_of([&] { loops.add_rows(three, 3, out.data, stride); }));
  }
}

}  // namespace

int main(int count, char **arguments) {
  check<float>();
  check<double>();
  std::printf("%s: the inner loops %s\n", msd_variant(), all_agree ? "agree" : "differ");
  if (!all_agree) return 1;
  if (count > 1 && std::strcmp(arguments[1], "time") == 0) time_all();
  return 0;
}
