// The backward pass: the logits' gradient -> gradients of all parameters and of the input.
//
// G[l] is the gradient of map l. It starts with the 1x1 convolution's part; then a sweep over the rows per block of
// layers, from the last to the first (plan.h). For a chunk of rows, in steps:
//   0 .. n - 1. layer by layer, the last one first, each as many rows behind as the one before it reaches: G of its
//      channels gets what the block's own later channels give, and is then final; delta and its shifts along x
//      (shift_gradient) go into the ring;
//   n. behind them all: the gradients Q[q][t] of the tap products are rows of the ring. They serve both
//        G[l] += sum over q, t of weight[q][l][t] * Q[q][t]          for all maps before the block, at once, and
//        grad_weight[q][l][t] += sum over x of Q[q][t](x) * z[l](x)  for all maps that q sees.
// Q is the exact adjoint of gathering taps, so both are plain products of rows, borders included.
//
// Parameter gradients: every lane (shares.h) adds to its own doubles; the calling thread adds those up in the lanes'
// order. Which rows are whose is fixed, so a result depends on the number of lanes, but not on the threads.
//
// Memory: per image in flight a gradient per map; the ring holds rows of the recent past.
#include <algorithm>
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
class BackwardImage {
 public:
  BackwardImage(const Plan &plan, const BackwardArrays<T> &arrays, const TapTables &tables, const Share &share,
                T *workspace, T *scratch, double *lane_sums)
      : plan_(plan), arrays_(arrays), tables_(tables), share_(share), lane_sums_(lane_sums) {
    maps_ = arrays.maps + share.image * plan.image_numbers();
    gradients_ = workspace + share.slot * plan.image_numbers();
    ring_ = workspace + plan.slots * plan.image_numbers() + share.lane * plan.backward_ring();
    first_map_ = arrays.grad_input ? 0 : plan.problem.in_channels;
    zeros_ = scratch;
    padded_ = zeros_ + plan.row_stride + plan.margin;
    weights_ = padded_ - plan.margin + plan.padded_stride();
    inner_weights_ = weights_ + plan.push_weights();
    tile_ = weights_ + (2 * plan.push_weights() + line_ - 1) / line_ * line_;
    taps_ = reinterpret_cast<const T **>(tile_ + plan.tile_sums());
    std::fill(zeros_, zeros_ + plan.row_stride, T(0));
    std::fill(padded_ - plan.margin, padded_ - plan.margin + plan.padded_stride(), T(0));
  }

  void run() {
    const LayerBlock *packed = nullptr;
    share_.run([&](const LayerBlock &block, int lane, int64_t chunk) {
      sums_ = lane_sums_ + (share_.lane + lane) * plan_.sums_stride();
      if (packed != &block) pack(weights_, block.first, block.last, first_map_, block.maps_outside);
      packed = &block;
      rings_.set(bands_, lane);
      up_ = bands_.upwards(lane);
      if (block.last == plan_.channels) start_with_logits(bands_.rows_of(lane, chunk, 0));
      const int n = block.n_layers();
      for (int i = 0; i < n; ++i) {
        resolve_layer(block, n - 1 - i, bands_.rows_of(lane, chunk, block.lags[static_cast<size_t>(i)]));
      }
      const Rows rows = bands_.rows_of(lane, chunk, block.lags.back());
      for (int64_t y = rows.first; y < rows.last; y += bands_.tile_rows) {
        push_block(block, {y, std::min(y + bands_.tile_rows, rows.last)});
      }
      if (block.first == 0 && arrays_.grad_input) store_input_gradient(rows);
    });
  }

 private:
  const T *row(int64_t l, int64_t y) const { return maps_ + (y * plan_.maps + l) * plan_.row_stride; }
  T *gradient(int64_t l, int64_t y) const { return gradients_ + (y * plan_.maps + l) * plan_.row_stride; }
  // The three rows of the j-th channel of a layer that stand in a ring for row y of the image.
  T *ring_rows(const RingPart &part, int64_t j, int64_t y) const {
    return ring_ + (rings_.row(part, y) + j) * 3 * plan_.row_stride;
  }

  // The weights of channels begin .. end - 1 for maps first .. last - 1, as push_gradients takes them.
  void pack(T *packed, int64_t begin, int64_t end, int64_t first, int64_t last) const {
    const int64_t taps = plan_.taps, n_in = (end - begin) * taps;
    for (int64_t l = first; l < last; l += push_group) {
      const int64_t n = std::min<int64_t>(push_group, last - l);
      for (int64_t q = begin; q < end; ++q) {
        const T *weight = arrays_.weight + plan_.weight_offset(q) + l * taps;
        T *group = packed + (l - first) * n_in + (q - begin) * taps * n;
        for (int64_t t = 0; t < taps; ++t) {
          for (int64_t r = 0; r < n; ++r) group[t * n + r] = weight[r * taps + t];
        }
      }
    }
  }

  void start_with_logits(Rows rows) const {
    const int64_t classes = plan_.problem.n_classes;
    double *weight_sums = sums_ + plan_.weights + plan_.channels;
    double *bias_sums = weight_sums + classes * plan_.maps;
    for (int64_t first = rows.first; first < rows.last; first += bands_.tile_rows) {
      const int64_t n = std::min(bands_.tile_rows, rows.last - first);
      for (int64_t k = 0; k < classes; k += class_chunk) {
        const int64_t n_k = std::min<int64_t>(class_chunk, classes - k);
        for (int64_t i = 0; i < n * class_chunk; ++i) {
          const int64_t r = i / class_chunk, j = i % class_chunk;
          T *tile = tile_ + i * plan_.row_stride;
          taps_[i] = tile;
          if (j >= n_k) continue;
          const T *logits =
              arrays_.grad_logits + ((share_.image * classes + k + j) * plan_.rows + first + r) * plan_.width;
          std::memcpy(tile, logits, static_cast<size_t>(plan_.width) * sizeof(T));
          std::fill(tile + plan_.width, tile + plan_.row_stride, T(0));
          bias_sums[k + j] += kernels_.sum_plane(tile, plan_.row_stride);
        }
        for (int64_t r = 0; r < n; ++r) {
          kernels_.combine_planes(
              tile_ + r * class_chunk * plan_.row_stride, plan_.row_stride, static_cast<int>(n_k),
              gradient(first_map_, first + r), plan_.row_stride, static_cast<int>(plan_.maps - first_map_),
              arrays_.output_weight + k * plan_.maps + first_map_, 1, plan_.maps, nullptr, k > 0, plan_.row_stride, 0);
        }
        kernels_.correlate_planes(correlation(first, n, class_chunk), static_cast<int>(n_k), plan_.maps,
                                  weight_sums + k * plan_.maps, plan_.maps, 1);
      }
    }
  }

  CorrelateRows<T> correlation(int64_t first_row, int64_t n, int64_t pointers_per_row) const {
    return {taps_,
            pointers_per_row,
            row(0, first_row),
            plan_.row_stride,
            plan_.maps * plan_.row_stride,
            n,
            plan_.row_stride,
            0};
  }

  // The gradients at row y of the tap products of a block's channels from one layer on, as pointers.
  void find_taps(const LayerBlock &block, int first_layer, int64_t y, const T **taps, T *sums) const {
    for (int i = first_layer; i < block.n_layers(); ++i) {
      const RingPart &part = block.ring[static_cast<size_t>(i)];
      for (int64_t j = 0; j < part.channels; ++j) {
        find_taps(tables_.of_channel(block.layers[static_cast<size_t>(i)] + j), part, j, y, taps, sums);
        taps += plan_.taps;
        sums += plan_.taps * plan_.row_stride;
      }
    }
  }

  // ... of one channel: nearly always rows of the ring.
  void find_taps(const TapTable &table, const RingPart &part, int64_t j, int64_t y, const T **taps, T *sums) const {
    for (int b = 0; b < table.n_row_taps; ++b) {
      const int32_t *start = table.target_start + b * (plan_.rows + 1) + y;
      const int32_t *targets = table.targets + b * plan_.rows;
      const int32_t n = start[1] - start[0];
      if (n == 1) {
        const T *only = ring_rows(part, j, targets[start[0]]);
        for (int c = 0; c < 3; ++c) taps[3 * b + c] = only + c * plan_.row_stride;
        continue;
      }
      for (int c = 0; c < 3; ++c) {
        T *sum = sums + (3 * b + c) * plan_.row_stride;
        taps[3 * b + c] = n == 0 ? zeros_ : sum;
        for (int32_t i = start[0]; i < start[1];) {
          // Several rows read this one: near a border, or far beyond it many times.
          const T *sources[8];
          int n_sources = 0;
          if (i > start[0]) sources[n_sources++] = sum;
          while (i < start[1] && n_sources < 8) {
            sources[n_sources++] = ring_rows(part, j, targets[i++]) + c * plan_.row_stride;
          }
          kernels_.add_rows(sources, n_sources, sum, plan_.row_stride);
        }
      }
    }
  }

  void resolve_layer(const LayerBlock &block, int layer, Rows rows) const {
    const RingPart &part = block.ring[static_cast<size_t>(layer)];
    const int64_t begin = block.layers[static_cast<size_t>(layer)], end = begin + part.channels;
    const int64_t l = plan_.problem.in_channels + begin, n_in = (block.last - end) * plan_.taps;
    if (n_in > 0) pack(inner_weights_, end, block.last, l, l + end - begin);
    for (int64_t y = rows.first; y < rows.last; ++y) {
      if (n_in > 0) {
        find_taps(block, layer + 1, y, taps_, tile_);
        kernels_.push_gradients(taps_, static_cast<int>(n_in), gradient(l, y), plan_.row_stride,
                                static_cast<int>(end - begin), inner_weights_, plan_.row_stride, 0);
      }
      for (int64_t q = begin; q < end; ++q) {
        sums_[plan_.weights + q] +=
            kernels_.shift_gradient(tables_.of_channel(q), gradient(l + q - begin, y), row(l + q - begin, y), padded_,
                                    ring_rows(part, q - begin, y), plan_.row_stride);
      }
    }
  }

  void push_block(const LayerBlock &block, Rows rows) const {
    // The next rows of all maps.
    const int64_t ahead = plan_.maps * plan_.row_stride * (up_ ? -bands_.chunk_rows : 1);
    const int64_t pointers_per_row = (block.last - block.first) * plan_.taps;
    for (int64_t y = rows.first; y < rows.last; ++y) {
      find_taps(block, 0, y, taps_ + (y - rows.first) * pointers_per_row,
                tile_ + (y - rows.first) * pointers_per_row * plan_.row_stride);
      if (block.maps_outside > first_map_) {
        kernels_.push_gradients(taps_ + (y - rows.first) * pointers_per_row, static_cast<int>(pointers_per_row),
                                gradient(first_map_, y), plan_.row_stride,
                                static_cast<int>(block.maps_outside - first_map_), weights_, plan_.row_stride, ahead);
      }
    }
    for (int64_t q = block.first; q < block.last; ++q) {
      CorrelateRows<T> correlation = this->correlation(rows.first, rows.last - rows.first, pointers_per_row);
      correlation.a += (q - block.first) * plan_.taps;
      if (q == block.first) correlation.ahead = up_ ? ahead : (rows.last - rows.first) * ahead;
      kernels_.correlate_planes(correlation, static_cast<int>(plan_.taps), plan_.maps_before(q),
                                sums_ + plan_.weight_offset(q), 1, plan_.taps);
    }
  }

  void store_input_gradient(Rows rows) const {
    const int64_t channels = plan_.problem.in_channels;
    for (int64_t c = 0; c < channels; ++c) {
      T *image = arrays_.grad_input + (share_.image * channels + c) * plan_.rows * plan_.width;
      for (int64_t y = rows.first; y < rows.last; ++y) {
        std::memcpy(image + y * plan_.width, gradient(c, y), static_cast<size_t>(plan_.width) * sizeof(T));
      }
    }
  }

  static constexpr int64_t line_ = cache_line / static_cast<int64_t>(sizeof(T));
  const Plan &plan_;
  const BackwardArrays<T> &arrays_;
  const TapTables &tables_;
  const Share share_;
  const KernelTable<T> &kernels_ = kernels<T>();
  const Bands &bands_ = *share_.bands;
  LaneRings rings_{plan_.backward_ring_rows()};
  const T *maps_;
  T *gradients_, *ring_;
  T *zeros_, *padded_, *weights_, *inner_weights_, *tile_;
  const T **taps_;
  double *const lane_sums_;  // of the first lane
  double *sums_ = nullptr;   // of the chunk's lane
  bool up_ = false;          // whether the chunk's lane goes upwards
  int64_t first_map_;
};

template <class T>
struct BackwardJob {
  const Plan &plan;
  const BackwardArrays<T> &arrays;
  const TapTables &tables;
  Shares &shares;

  T *scratch() const {
    return arrays.workspace + plan.slots * plan.image_numbers() + plan.threads * plan.backward_ring();
  }

  double *sums(int lane) const {
    // All that stands before is whole cache lines, so this is aligned.
    T *end = scratch() + plan.threads * plan.backward_scratch();
    return reinterpret_cast<double *>(end) + lane * plan.sums_stride();
  }

  static void run(void *context, int thread) {
    const BackwardJob &job = *static_cast<const BackwardJob *>(context);
    job.shares.run(thread, [&](const Share &share) {
      BackwardImage<T>(job.plan, job.arrays, job.tables, share, job.arrays.workspace,
                       job.scratch() + thread * job.plan.backward_scratch(), job.sums(0))
          .run();
    });
  }

  void store(T *gradient, int64_t first, int64_t count) const {
    const double *const all = sums(0);
    const int64_t stride = plan.sums_stride();
    for (int64_t i = 0; i < count; ++i) {
      double total = 0;
      for (int lane = 0; lane < plan.threads; ++lane) total += all[lane * stride + first + i];
      gradient[i] = static_cast<T>(total);
    }
  }
};

}  // namespace

template <class T>
msd_error backward_pass(const Plan &plan, const BackwardArrays<T> &arrays) {
  const TapTables tables(plan.problem);
  Shares shares(plan, true);
  BackwardJob<T> job{plan, arrays, tables, shares};
  // Here and not by the lanes: some may have nothing to do.
  std::fill(job.sums(0), job.sums(plan.threads), 0.0);
  run_in_parallel(plan.threads, BackwardJob<T>::run, &job);
  const int64_t output_weights = plan.problem.n_classes * plan.maps;
  job.store(arrays.grad_weight, 0, plan.weights);
  job.store(arrays.grad_bias, plan.weights, plan.channels);
  job.store(arrays.grad_output_weight, plan.weights + plan.channels, output_weights);
  job.store(arrays.grad_output_bias, plan.weights + plan.channels + output_weights, plan.problem.n_classes);
  return MSD_OK;
}

template msd_error backward_pass<float>(const Plan &, const BackwardArrays<float> &);
template msd_error backward_pass<double>(const Plan &, const BackwardArrays<double> &);

}  // namespace napari_msd
