// The forward pass: input and weights -> all maps and the logits.
//
// A sweep over the rows per block of layers (plan.h). For a chunk of rows, layer by layer, each as many rows behind as the
// taps of those before it reach:
//   1. for every channel of the layer the tap products,
//        products[t](x) = sum over l of weight[q][l][t] * z[l](y, x),
//      row by row, at once summed along x (shift_products) into the ring: three rows per channel instead of nine;
//   2. the rows of the ring are gathered into the new map's row, again as many rows behind as the layer's taps reach. In 3-D this
//      takes two steps: nine rows of the same plane become three sums along y, so that what stays in the ring for as many
//      planes as the layer reaches is three rows, not nine.
// Where many maps lie before the block, what they give to all its layers is computed at the sweep's own row, so that
// they come from memory once per block, and the block's own earlier maps are added in step 1. Where there are few, reading
// them again is cheaper than adding to the ring, and than the longer ring (LayerBlock::late).
// The final 1x1 convolution takes part in the last block's sweep: the maps are in the cache there.
//
// Memory: maps are written once and read once per block; the ring holds rows of the recent past.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "boundary.h"
#include "dispatch.h"
#include "passes.h"
#include "shares.h"
#include "thread_pool.h"

namespace napari_msd {
namespace {

template <class T>
class ForwardImage {
 public:
  ForwardImage(const Plan &plan, const ForwardArrays<T> &arrays, const TapTables &tables, const Share &share,
               int thread)
      : plan_(plan), arrays_(arrays), tables_(tables), share_(share) {
    maps_ = arrays.maps + (plan.problem.keep_maps ? share.image : share.slot) * plan.image_numbers();
    ring_ = arrays.workspace + share.lane * plan.forward_ring();
    T *const sums = arrays.workspace + plan.threads * plan.forward_ring();
    sums_ = sums + share.lane * plan.forward_sums();
    products_ = sums + plan.threads * plan.forward_sums() + thread * plan.forward_scratch() + plan.margin;
  }

  void run() {
    share_.run([&](const LayerBlock &block, int lane, int64_t chunk) {
      const bool is_last = block.last == plan_.channels;
      const Rows rows = bands_.rows_of(lane, chunk, 0);
      rings_.set(bands_, lane);
      sum_rings_.set(bands_, lane);
      ahead_ = plan_.in_cache ? 0 : plan_.maps * plan_.row_stride * (bands_.upwards(lane) ? -bands_.chunk_rows : 1);
      if (block.first == 0) load_input(rows);
      if (!block.late) {
        for (int64_t y = rows.first; y < rows.last; ++y) {
          for (int i = 0; i < block.n_layers(); ++i) {
            add_products(block, i, y, 0, block.maps_outside, i == 0 ? ahead_ : 0);
          }
          if (is_last) add_logits(y, 0, block.maps_outside);
        }
      }
      for (int i = 0; i < block.n_layers(); ++i) {
        const int64_t first = block.late ? 0 : block.maps_outside;
        const int64_t last = plan_.problem.in_channels + block.layers[static_cast<size_t>(i)];
        const Rows known = bands_.rows_of(lane, chunk, block.lags[static_cast<size_t>(i)]);
        for (int64_t y = known.first; first < last && y < known.last; ++y) {
          add_products(block, i, y, first, last, first == 0 ? ahead_ : 0);
        }
        if (!block.sums.empty()) {
          sum_along_y(block, i, bands_.rows_of(lane, chunk, block.sum_lags[static_cast<size_t>(i)]));
        }
        gather(block, i, bands_.rows_of(lane, chunk, block.lags[static_cast<size_t>(i) + 1]));
      }
      if (is_last) {
        const Rows ready = bands_.rows_of(lane, chunk, block.lags.back());
        for (int64_t y = ready.first; y < ready.last; ++y)
          add_logits(y, block.late ? 0 : block.maps_outside, plan_.maps);
      }
    });
  }

 private:
  T *row(int64_t l, int64_t y) const { return maps_ + (y * plan_.maps + l) * plan_.row_stride; }
  // The rows of all channels of a layer that stand in a ring for row y of the image.
  T *ring_rows(const RingPart &part, int64_t y) const {
    return ring_ + rings_.row(part, y) * plan_.row_taps * plan_.row_stride;
  }

  T *sum_rows(const RingPart &part, int64_t y) const { return sums_ + sum_rings_.row(part, y) * 3 * plan_.row_stride; }

  void load_input(Rows rows) const {
    const int64_t channels = plan_.problem.in_channels;
    for (int64_t y = rows.first; y < rows.last; ++y) {
      for (int64_t c = 0; c < channels; ++c) {
        const T *image = arrays_.input + ((share_.image * channels + c) * plan_.rows + y) * plan_.width;
        std::memcpy(row(c, y), image, static_cast<size_t>(plan_.width) * sizeof(T));
        std::fill(row(c, y) + plan_.width, row(c, y) + plan_.row_stride, T(0));
      }
    }
  }

  // What maps first .. last - 1 give to a layer's channels at row y, into the ring; the first ones begin the sums.
  void add_products(const LayerBlock &block, int layer, int64_t y, int64_t first, int64_t last, int64_t ahead) const {
    const int64_t stride = plan_.padded_stride();
    const RingPart &part = block.ring[static_cast<size_t>(layer)];
    assert(last > first);  // the first products begin the sums in the ring: there is always one map, the image
    T *sums = ring_rows(part, y);
    const T *const maps = row(first, y);
    for (int64_t j = 0; j < part.channels; ++j) {
      const int64_t q = block.layers[static_cast<size_t>(layer)] + j;
      kernels_.combine_planes(maps, plan_.row_stride, static_cast<int>(last - first), products_, stride,
                              static_cast<int>(plan_.taps),
                              arrays_.weight + plan_.weight_offset(q) + first * plan_.taps, 1, plan_.taps, nullptr,
                              false, plan_.row_stride, j == 0 ? ahead : 0);
      kernels_.shift_products(tables_.of_channel(q), products_, stride, sums, plan_.row_stride, first > 0);
      sums += plan_.row_taps * plan_.row_stride;
    }
  }

  // 3-D: of a row's nine sums along x, the three sums along y.
  void sum_along_y(const LayerBlock &block, int layer, Rows rows) const {
    const RingPart &from = block.ring[static_cast<size_t>(layer)], &to = block.sums[static_cast<size_t>(layer)];
    for (int64_t j = 0; j < from.channels; ++j) {
      const TapTable &table = tables_.of_channel(block.layers[static_cast<size_t>(layer)] + j);
      for (int64_t y = rows.first; y < rows.last; ++y) {
        const T *sources[3];
        int taps[3], n = 0;
        for (int b = 0; b < 3; ++b) {
          const int64_t source = table.y_source[b * plan_.rows + y];
          if (source < 0) continue;
          taps[n] = b;
          sources[n++] = ring_rows(from, source) + j * 9 * plan_.row_stride;
        }
        T *sums = sum_rows(to, y) + j * 3 * plan_.row_stride;
        for (int a = 0; a < 3; ++a) {
          const T *rows_of_a[3];
          for (int i = 0; i < n; ++i) rows_of_a[i] = sources[i] + (3 * a + taps[i]) * plan_.row_stride;
          kernels_.add_rows(rows_of_a, n, sums + a * plan_.row_stride, plan_.row_stride);
        }
      }
    }
  }

  void gather(const LayerBlock &block, int layer, Rows rows) const {
    const bool summed = !block.sums.empty();
    const RingPart &part = (summed ? block.sums : block.ring)[static_cast<size_t>(layer)];
    for (int64_t j = 0; j < part.channels; ++j) {
      const int64_t q = block.layers[static_cast<size_t>(layer)] + j;
      const TapTable &table = tables_.of_channel(q);
      const int32_t *const rows_read = summed ? table.z_source : table.y_source;
      for (int64_t y = rows.first; y < rows.last; ++y) {
        const T *sources[3];
        int n = 0;
        for (int b = 0; b < 3; ++b) {
          const int64_t source = rows_read[b * plan_.rows + y];
          if (source < 0) continue;
          const T *const three = summed ? sum_rows(part, source) : ring_rows(part, source);
          sources[n++] = three + (3 * j + b) * plan_.row_stride;
        }
        kernels_.gather_rows(sources, n, arrays_.bias[q], row(plan_.problem.in_channels + q, y), plan_.width,
                             plan_.row_stride);
      }
    }
  }

  // What maps first .. last - 1 give to the logits at row y; the first ones with the bias.
  void add_logits(int64_t y, int64_t first, int64_t last) const {
    const int64_t classes = plan_.problem.n_classes;
    for (int64_t k = 0; k < classes; k += class_chunk) {
      const int64_t n = std::min<int64_t>(class_chunk, classes - k);
      kernels_.combine_planes(row(first, y), plan_.row_stride, static_cast<int>(last - first), products_,
                              plan_.padded_stride(), static_cast<int>(n),
                              arrays_.output_weight + k * plan_.maps + first, plan_.maps, 1,
                              first == 0 ? arrays_.output_bias + k : nullptr, false, plan_.row_stride, 0);
      for (int64_t i = 0; i < n; ++i) {
        const T *sums = products_ + i * plan_.padded_stride();
        T *logits = arrays_.logits + ((share_.image * classes + k + i) * plan_.rows + y) * plan_.width;
        if (first == 0) {
          std::memcpy(logits, sums, static_cast<size_t>(plan_.width) * sizeof(T));
        } else {
          for (int64_t x = 0; x < plan_.width; ++x) logits[x] += sums[x];
        }
      }
    }
  }

  const Plan &plan_;
  const ForwardArrays<T> &arrays_;
  const TapTables &tables_;
  const Share share_;
  const KernelTable<T> &kernels_ = kernels<T>();
  const Bands &bands_ = *share_.bands;
  LaneRings rings_{plan_.forward_ring_rows()}, sum_rings_{plan_.forward_sum_rows()};
  int64_t ahead_ = 0;  // to the next row of all maps, where that comes from memory
  T *maps_, *ring_, *sums_, *products_;
};

template <class T>
struct ForwardJob {
  const Plan &plan;
  const ForwardArrays<T> &arrays;
  const TapTables &tables;
  Shares &shares;

  static void run(void *context, int thread) {
    const ForwardJob &job = *static_cast<const ForwardJob *>(context);
    job.shares.run(thread,
                   [&](const Share &share) { ForwardImage<T>(job.plan, job.arrays, job.tables, share, thread).run(); });
  }
};

}  // namespace

template <class T>
msd_error forward_pass(const Plan &plan, const ForwardArrays<T> &arrays) {
  const TapTables tables(plan.problem);
  Shares shares(plan, false);
  ForwardJob<T> job{plan, arrays, tables, shares};
  run_in_parallel(plan.threads, ForwardJob<T>::run, &job);
  return MSD_OK;
}

template msd_error forward_pass<float>(const Plan &, const ForwardArrays<float> &);
template msd_error forward_pass<double>(const Plan &, const ForwardArrays<double> &);

}  // namespace napari_msd
