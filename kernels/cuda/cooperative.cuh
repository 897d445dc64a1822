// What the cooperative kernels share: rows of the batch that a block of threads keeps for a whole pass, its band, and how
// it waits for the blocks whose rows it reads.
//
// All blocks go through the same phases: one to start with, one per sweep, one per layer. When a block has written what
// belongs to a phase it publishes how many phases it has done, its epoch, in a flag of its own. Whoever is going to read rows of another
// band waits until that one's flag has come as far as its own epoch. Epochs only grow, so flags are cleared once per pass.
//
// What other blocks write must never be read through a pointer to const that is __restrict__, nor by __ldg: such loads (LDG.CONSTANT
// in machine code) may come from a cache that knows of no flag.
//
// No wait is endless: after most_ticks and least_polls a block goes on with what is there and says so in `given_up`, which ends
// all other waits, too. It says so before it publishes what it then computes, so that whoever reads that sees it at the end, and
// puts NaN in place of its own results. msd_check_waits reads and clears it.
#pragma once

#include "network.cuh"

namespace napari_msd {

// Rows are dealt out in strips: some rows of one image; the last strip of an image may have fewer.
struct Bands {
  int32_t strip_rows, strips_per_image, strips_per_band;
  int32_t strips, count;
  int32_t runs;  // of the pixels of a row, one to a warp
  Divisor by_strip_rows, by_image, by_band, by_runs;

  __host__ __device__ int32_t rows() const { return strip_rows * strips_per_band; }
};

inline Bands plan_bands(const Geometry &g, int32_t strip_rows, int32_t run_pixels, int32_t most_bands) {
  Bands bands;
  bands.strip_rows = strip_rows;
  bands.strips_per_image = (g.depth * g.height + strip_rows - 1) / strip_rows;
  bands.strips = static_cast<int32_t>(g.batch) * bands.strips_per_image;
  bands.strips_per_band = (bands.strips + most_bands - 1) / most_bands;
  bands.count = (bands.strips + bands.strips_per_band - 1) / bands.strips_per_band;
  bands.runs = (g.width + run_pixels - 1) / run_pixels;
  bands.by_runs = Divisor(bands.runs);
  bands.by_strip_rows = Divisor(strip_rows);
  bands.by_image = Divisor(bands.strips_per_image);
  bands.by_band = Divisor(bands.strips_per_band);
  return bands;
}

// Row number 0 .. bands.rows() - 1 of a band; false where it has none.
__device__ inline bool row_of_band(const Geometry &g, const Bands &bands, int32_t band, int32_t number, Row &row) {
  int32_t in_strip, in_image;
  const int32_t strip = band * bands.strips_per_band + bands.by_strip_rows.divide(number, in_strip);
  if (strip >= bands.strips) return false;
  row.image = bands.by_image.divide(strip, in_image);
  const int32_t of_image = in_image * bands.strip_rows + in_strip;
  row.z = g.by_height.divide(of_image, row.y);
  return of_image < g.depth * g.height;
}

// The band that a row belongs to.
__device__ inline int32_t band_of(const Geometry &g, const Bands &bands, int32_t image, int32_t z, int32_t y) {
  return bands.by_band.divide(image * bands.strips_per_image + bands.by_strip_rows.divide(z * g.height + y));
}

// More than a second, and of that a second in which the block was there to look: a card may be taken away for longer.
constexpr int64_t most_ticks = int64_t{1} << 31;
constexpr unsigned polls_between_looks = 64;

__device__ inline void wait_for_band(const Flags &flags, int32_t band, unsigned epoch) {
  const unsigned *flag = flags.of(band);
  if (has_reached(flag, epoch)) return;
  const int64_t start = ticks();
  // Only the look that comes in time is to acquire: each such look empties the first-level cache.
  for (unsigned polls = 1; !seems_reached(flag, epoch); ++polls) {
    if (polls % polls_between_looks == 0) {
      if (has_reached(flags.given_up, 1)) return;
      if (polls >= least_polls && ticks() - start > most_ticks) set_reached(flags.given_up, 1);
    }
    pause();
  }
  (void)has_reached(flag, epoch);
}

// Whether all that this block has read was right; after a barrier.
__device__ inline bool waited_well(const Flags &flags) { return !has_reached(flags.given_up, 1); }

// All threads of a block call these together. A block has done a phase:
__device__ inline void publish(const Flags &flags, unsigned &epoch) {
  ++epoch;
  __syncthreads();
  if (threadIdx.x == 0) set_reached(flags.of(static_cast<int32_t>(blockIdx.x)), epoch);
}

// Until all bands of this band's images, or of the batch, have come as far: then none of them reads any more what this one is
// going to overwrite.
__device__ inline void wait_for_images(const Bands &bands, const Flags &flags, unsigned epoch, bool all_images) {
  const int32_t band = static_cast<int32_t>(blockIdx.x), first_strip = all_images ? 0 : band * bands.strips_per_band;
  const int32_t last_strip = all_images ? bands.strips - 1 : min(first_strip + bands.strips_per_band, bands.strips) - 1;
  const int32_t first = bands.by_band.divide(bands.by_image.divide(first_strip) * bands.strips_per_image);
  const int32_t end_strip = (bands.by_image.divide(last_strip) + 1) * bands.strips_per_image;
  const int32_t last = bands.by_band.divide(end_strip - 1);
  for (int32_t other = first + static_cast<int32_t>(threadIdx.x); other <= last;
       other += static_cast<int32_t>(blockDim.x)) {
    if (other != band) wait_for_band(flags, other, epoch);
  }
  __syncthreads();
}

// The runs of pixels that a warp takes of its band: work(row, columns).
template <class Work>
__device__ inline void for_each_run(const Geometry &g, const Bands &bands, int32_t run_pixels, const Work &work) {
  const int32_t thread = static_cast<int32_t>(threadIdx.x), warps = static_cast<int32_t>(blockDim.x) / warp_pixels;
  for (int32_t unit = thread / warp_pixels; unit < bands.rows() * bands.runs; unit += warps) {
    int32_t run;
    const int32_t number = bands.by_runs.divide(unit, run);
    Row row;
    if (!row_of_band(g, bands, static_cast<int32_t>(blockIdx.x), number, row)) continue;
    work(row, Columns{run * run_pixels, run * run_pixels + run_pixels - 1, thread % warp_pixels});
  }
}

// The same with all warps of a block side by side in one row, which is then known to be the same for all: work(row, columns).
template <class Work>
__device__ inline void for_each_row(const Geometry &g, const Bands &bands, int32_t run_pixels, const Work &work) {
  const int32_t thread = static_cast<int32_t>(threadIdx.x), warps = static_cast<int32_t>(blockDim.x) / warp_pixels;
#pragma unroll 1
  for (int32_t number = 0; number < bands.rows(); ++number) {
    Row row;
    if (!row_of_band(g, bands, static_cast<int32_t>(blockIdx.x), number, row)) continue;
#pragma unroll 1
    for (int32_t run = 0; run < bands.runs; run += warps) {
      const int32_t first = (run + thread / warp_pixels) * run_pixels;
      work(row, Columns{first, first + run_pixels - 1, thread % warp_pixels});
    }
  }
}

// The pixels that a thread takes of its band: work(row, x).
template <class Work>
__device__ inline void for_each_pixel(const Geometry &g, const Bands &bands, const Work &work) {
  const int32_t pixels = bands.rows() * g.width;
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < pixels; e += static_cast<int32_t>(blockDim.x)) {
    int32_t x;
    Row row;
    if (row_of_band(g, bands, static_cast<int32_t>(blockIdx.x), g.by_width.divide(e, x), row)) work(row, x);
  }
}

// Until the bands have come as far whose rows the taps of channels first_q .. first_q + n - 1 read.
template <int nz>
__device__ inline void wait_for_taps(const Geometry &g, const Bands &bands, const Flags &flags, unsigned epoch,
                                     const Step *steps, int32_t first_q, int32_t n) {
  constexpr int32_t taps = 3 * nz;
  const int32_t band = static_cast<int32_t>(blockIdx.x), threads = static_cast<int32_t>(blockDim.x);
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < taps * bands.rows(); e += threads) {
    const int32_t number = e / taps, a = nz == 1 ? 0 : e % taps / 3, b = e % 3;
    Row row;
    if (!row_of_band(g, bands, band, number, row)) continue;
    for (int32_t q = first_q; q < first_q + n; ++q) {
      const Step step = steps[q];
      const int32_t z = nz == 1 ? 0 : fold(row.z + (a - 1) * step.z, g.depth, g.boundary);
      const int32_t y = fold(row.y + (b - 1) * step.y, g.height, g.boundary);
      if (z < 0 || y < 0) continue;
      const int32_t other = band_of(g, bands, static_cast<int32_t>(row.image), z, y);
      if (other != band) wait_for_band(flags, other, epoch);
    }
  }
  __syncthreads();
}

// Until the bands have come as far whose rows send to this band's through the taps of channels first_q .. first_q + n - 1.
template <int nz>
__device__ inline void wait_for_senders(const Geometry &g, const Bands &bands, const Flags &flags, unsigned epoch,
                                        const Step *steps, int32_t first_q, int32_t n) {
  constexpr int32_t taps = 3 * nz;
  const int32_t band = static_cast<int32_t>(blockIdx.x), threads = static_cast<int32_t>(blockDim.x);
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < taps * bands.rows(); e += threads) {
    const int32_t number = e / taps, a = nz == 1 ? 0 : e % taps / 3, b = e % 3;
    Row row;
    if (!row_of_band(g, bands, band, number, row)) continue;
    for (int32_t q = first_q; q < first_q + n; ++q) {
      const Step step = steps[q];
      const Readers planes = readers(row.z, g.depth, nz == 1 ? 0 : (1 - a) * step.z, g.boundary);
      const Readers rows = readers(row.y, g.height, (1 - b) * step.y, g.boundary);
      for (int k = 0; k < 4; ++k) {
        const int32_t z = k < 2 ? planes.direct : planes.mirrored, y = k % 2 == 0 ? rows.direct : rows.mirrored;
        if (z < 0 || y < 0) continue;
        const int32_t other = band_of(g, bands, static_cast<int32_t>(row.image), z, y);
        if (other != band) wait_for_band(flags, other, epoch);
      }
    }
  }
  __syncthreads();
}

}  // namespace napari_msd
