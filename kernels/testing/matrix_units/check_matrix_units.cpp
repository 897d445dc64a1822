// Whether cuda/matrix_units.cuh hands the matrix units the numbers that they expect, and puts back the sums where they belong.
//
// What the two instructions do is written down here once more, after NVIDIA's PTX ISA ("Matrix load instruction: ldmatrix"
// and "Matrix fragments for mma.m16n8k16" and "m16n8k8"), for 32 threads at a time; the rest is the header's own.
#include <cstdio>

#include "matrix_units.cuh"

using namespace napari_msd;

namespace {

constexpr int threads = 32;
struct Pair {
  int of[2];
};

// Thread i gets of matrix m, from the row that thread 8 m + r named, elements 2 (i % 4) and the next of row i / 4; with
// `transposed` elements i / 4 of rows 2 (i % 4) and the next.
void ldmatrix(int matrices, bool transposed, const int *const (&rows)[threads], Pair (*result)[4]) {
  for (int i = 0; i < threads; ++i) {
    for (int m = 0; m < matrices; ++m) {
      for (int e = 0; e < 2; ++e) {
        const int row = transposed ? i % 4 * 2 + e : i / 4, column = transposed ? i / 4 : i % 4 * 2 + e;
        result[i][m].of[e] = rows[8 * m + row][column];
      }
    }
  }
}

// d += a b with a 16 x 16, b 16 x 8: the numbers that thread i holds. m16n8k8 is the same with the first pairs of each.
void mma(const Pair (*a)[4], const Pair (*b)[4], long (*d)[4]) {
  long left[16][16], right[16][8];
  for (int i = 0; i < threads; ++i) {
    for (int e = 0; e < 8; ++e) {
      const int row = i / 4 + (e / 2 % 2 ? 8 : 0), column = i % 4 * 2 + e % 2 + (e >= 4 ? 8 : 0);
      left[row][column] = a[i][e / 2].of[e % 2];
    }
    for (int e = 0; e < 4; ++e) right[i % 4 * 2 + e % 2 + (e >= 2 ? 8 : 0)][i / 4] = b[i][e / 2].of[e % 2];
  }
  for (int i = 0; i < threads; ++i) {
    for (int e = 0; e < 4; ++e) {
      for (int k = 0; k < 16; ++k) d[i][e] += left[i / 4 + (e / 2 ? 8 : 0)][k] * right[k][i % 4 * 2 + e % 2];
    }
  }
}

int wrong_sums(bool by_row) {
  constexpr int left_stride = 24, right_stride = 40;
  static int left[tile_rows * left_stride], right[tile_columns * right_stride];
  for (int &x : left) x = static_cast<int>(&x - left) * 37 % 101;
  for (int &x : right) x = static_cast<int>(&x - right) * 53 % 97;
  const auto right_at = [&](int k, int column) {
    return by_row ? right + k * right_stride + column : right + column * right_stride + k;
  };

  const int *rows[threads];
  Pair b[threads][4], a[threads][4];
  for (int i = 0; i < threads; ++i) rows[i] = left + eight_of_left(i).row * left_stride + eight_of_left(i).k;
  ldmatrix(2, false, rows, b);
  int wrong = 0;
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < threads; ++i)
      rows[i] = right_at(eight_of_right(i, by_row).k, 16 * half + eight_of_right(i, by_row).column);
    ldmatrix(4, by_row, rows, a);
    long sums[threads][4] = {};
    mma(a, b, sums);
    for (int i = 0; i < threads; ++i) {
      for (int e = 0; e < 4; ++e) {
        const PlaceOfSum place = place_of_sum(i, e);
        long expected = 0;
        for (int k = 0; k < tile_depth; ++k)
          expected += static_cast<long>(left[place.row * left_stride + k]) * *right_at(k, 16 * half + place.column);
        wrong += sums[i][e] != expected;
      }
    }
  }
  return wrong;
}

// Threads that write to the same bank of shared memory at a time wait for one another: the most that do.
int threads_on_one_bank(int stride) {
  int most = 0;
  for (int e = 0; e < 4; ++e) {
    int on[32] = {};
    for (int i = 0; i < threads; ++i) {
      const PlaceOfSum place = place_of_sum(i, e);
      const int n = ++on[(place.row * stride + (place.column ^ spread_by(place.row))) % 32];
      if (n > most) most = n;
    }
  }
  return most;
}

}  // namespace

int main() {
  const int wrong = wrong_sums(true) + wrong_sums(false), waiting = threads_on_one_bank(512);
  std::printf("%d of %d sums are wrong, %d threads write to one bank\n", wrong, 2 * tile_rows * tile_columns, waiting);
  return wrong || waiting != 1;
}
