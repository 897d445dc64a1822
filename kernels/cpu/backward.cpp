// The backward pass: the logits' gradient -> gradients of all parameters and of the input.
//
// G[l] is the gradient of map l. It starts with the 1x1 convolution's part; then, per block of channels from
// the last to the first, on a thread's own rows:
//   1. layer by layer within the block: delta and its shifts along x (shift_gradient), wait for the team,
//      and push to the block's own earlier maps;
//   2. tile by tile for the whole block: the tap gradients Q (collect_rows) are made once in the cache and
//      serve both  G[l] += sum over t of weight[q][l][t] * Q[q][t]  for all maps before the block and
//      grad_weight[q][l][t] += sum over p of Q[q][t](p) * z[l](p)  for all maps that q sees.
// Q is the exact adjoint of gathering taps, so both are plain products of planes, borders included.
//
// Parameter gradients: every thread adds to its own doubles; the calling thread adds those up in the threads'
// order. So a result depends on the number of threads, but not on their timing.
//
// Memory: per image in flight a gradient plane per map plus 3 * block_channels planes.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "boundary.h"
#include "dispatch.h"
#include "passes.h"

namespace napari_msd {
namespace {

template <class T>
class BackwardImage {
 public:
  BackwardImage(const Plan &plan, const BackwardArrays<T> &arrays, const TapTables &tables,
                const Share &share, T *scratch, double *sums)
      : plan_(plan), arrays_(arrays), tables_(tables), share_(share), taps_(scratch), sums_(sums) {
    maps_ = arrays.maps + share.image * plan.maps * plan.plane_stride;
    gradients_ = arrays.workspace + share.slot * (plan.maps + plan.shifted_planes()) * plan.plane_stride;
    shifted_ = gradients_ + plan.maps * plan.plane_stride;
    first_map_ = arrays.grad_input ? 0 : plan.problem.in_channels;
  }

  void run() {
    start_with_logits();
    int parity = 0;
    for (int64_t last = plan_.channels; last > 0;) {
      const int64_t first = std::max<int64_t>(0, last - block_channels);
      T *shifted = shifted_ + parity * block_channels * 3 * plan_.plane_stride;
      resolve_block(first, last, shifted);
      push_block(first, last, shifted);
      parity = (parity + 1) % plan_.parities;
      last = first;
    }
    if (arrays_.grad_input) store_input_gradient();
  }

 private:
  const T *map(int64_t l) const { return maps_ + l * plan_.plane_stride; }
  T *gradient(int64_t l) const { return gradients_ + l * plan_.plane_stride; }

  void start_with_logits() const {
    const int64_t classes = plan_.problem.n_classes;
    double *weight_sums = sums_ + plan_.weights + plan_.channels;
    double *bias_sums = weight_sums + classes * plan_.maps;
    for (int64_t y = share_.first_row; y < share_.last_row; y += plan_.tile_rows) {
      const int64_t n = std::min(plan_.tile_rows, share_.last_row - y);
      const int64_t p = y * plan_.row_stride, count = n * plan_.row_stride;
      for (int64_t k = 0; k < classes; k += class_chunk) {
        const int64_t n_k = std::min<int64_t>(class_chunk, classes - k);
        for (int64_t i = 0; i < n_k; ++i) {
          const T *logits = arrays_.grad_logits + ((share_.image * classes + k + i) * plan_.rows + y) * plan_.width;
          T *tile = taps_ + i * plan_.tile_stride;
          for (int64_t r = 0; r < n; ++r) {
            T *row = tile + r * plan_.row_stride;
            std::memcpy(row, logits + r * plan_.width, static_cast<size_t>(plan_.width) * sizeof(T));
            std::fill(row + plan_.width, row + plan_.row_stride, T(0));
          }
          bias_sums[k + i] += kernels_.sum_plane(tile, count);
        }
        kernels_.combine_planes(taps_, plan_.tile_stride, static_cast<int>(n_k), gradient(first_map_) + p,
                                plan_.plane_stride, static_cast<int>(plan_.maps - first_map_),
                                arrays_.output_weight + k * plan_.maps + first_map_, 1, plan_.maps, nullptr,
                                k > 0, count);
        kernels_.correlate_planes(taps_, plan_.tile_stride, static_cast<int>(n_k), map(0) + p,
                                  plan_.plane_stride, static_cast<int>(plan_.maps), count,
                                  weight_sums + k * plan_.maps, plan_.maps, 1);
      }
    }
  }

  // Fill taps_ with channel q's tap gradients on rows y .. y + n - 1.
  void collect(int64_t q, const T *shifted, int64_t y, int64_t n) const {
    kernels_.collect_rows(tables_.of_channel(q), shifted, plan_.plane_stride, plan_.row_stride, taps_,
                          plan_.tile_stride, y, y + n);
  }

  // G[l] += what channel q's tap gradients (in taps_) give to maps first .. last - 1.
  void push(int64_t q, int64_t first, int64_t last, int64_t y, int64_t n) const {
    if (first >= last) return;
    kernels_.combine_planes(taps_, plan_.tile_stride, static_cast<int>(plan_.taps),
                            gradient(first) + y * plan_.row_stride, plan_.plane_stride,
                            static_cast<int>(last - first),
                            arrays_.weight + plan_.weight_offset(q) + first * plan_.taps, plan_.taps, 1,
                            nullptr, true, n * plan_.row_stride);
  }

  void resolve_block(int64_t first, int64_t last, T *shifted) const {
    const int64_t maps_outside = plan_.maps_before(first);
    for (int64_t end = last; end > first;) {
      const int64_t begin = std::max(first, plan_.layer(end - 1) * plan_.problem.width);
      for (int64_t q = begin; q < end; ++q) {
        const int64_t l = plan_.problem.in_channels + q;
        kernels_.shift_gradient(tables_.of_channel(q), gradient(l), map(l),
                                shifted + (q - first) * 3 * plan_.plane_stride, plan_.plane_stride,
                                plan_.row_stride, share_.first_row, share_.last_row);
      }
      share_.barrier->wait();
      if (plan_.maps_before(begin) > maps_outside) {
        for (int64_t y = share_.first_row; y < share_.last_row; y += plan_.tile_rows) {
          const int64_t n = std::min(plan_.tile_rows, share_.last_row - y);
          for (int64_t q = begin; q < end; ++q) {
            collect(q, shifted + (q - first) * 3 * plan_.plane_stride, y, n);
            push(q, maps_outside, plan_.maps_before(q), y, n);
          }
        }
      }
      end = begin;
    }
  }

  void push_block(int64_t first, int64_t last, const T *shifted) const {
    const int64_t maps_outside = plan_.maps_before(first);
    for (int64_t y = share_.first_row; y < share_.last_row; y += plan_.tile_rows) {
      const int64_t n = std::min(plan_.tile_rows, share_.last_row - y);
      const int64_t p = y * plan_.row_stride, count = n * plan_.row_stride;
      for (int64_t q = first; q < last; ++q) {
        const T *planes = shifted + (q - first) * 3 * plan_.plane_stride;
        collect(q, planes, y, n);
        push(q, first_map_, maps_outside, y, n);
        kernels_.correlate_planes(taps_, plan_.tile_stride, static_cast<int>(plan_.taps), map(0) + p,
                                  plan_.plane_stride, static_cast<int>(plan_.maps_before(q)), count,
                                  sums_ + plan_.weight_offset(q), 1, plan_.taps);
        sums_[plan_.weights + q] += kernels_.sum_plane(planes + plan_.plane_stride + p, count);
      }
    }
  }

  void store_input_gradient() const {
    const int64_t channels = plan_.problem.in_channels;
    for (int64_t c = 0; c < channels; ++c) {
      T *image = arrays_.grad_input + (share_.image * channels + c) * plan_.rows * plan_.width;
      for (int64_t y = share_.first_row; y < share_.last_row; ++y) {
        std::memcpy(image + y * plan_.width, gradient(c) + y * plan_.row_stride,
                    static_cast<size_t>(plan_.width) * sizeof(T));
      }
    }
  }

  const Plan &plan_;
  const BackwardArrays<T> &arrays_;
  const TapTables &tables_;
  const Share share_;
  const KernelTable<T> &kernels_ = kernels<T>();
  const T *maps_;
  T *gradients_, *shifted_, *taps_;
  double *sums_;
  int64_t first_map_;
};

template <class T>
struct BackwardJob {
  const Plan &plan;
  const BackwardArrays<T> &arrays;
  const TapTables &tables;
  Shares &shares;

  T *scratch() const { return arrays.workspace + plan.slots * (plan.maps + plan.shifted_planes()) * plan.plane_stride; }

  double *sums(int thread) const {
    // Tiles are whole cache lines, so this is aligned.
    T *end = scratch() + plan.threads * plan.backward_scratch();
    const int64_t stride = (plan.parameters * 8 + cache_line - 1) / cache_line * (cache_line / 8);
    return reinterpret_cast<double *>(end) + thread * stride;
  }

  static void run(void *context, int thread) {
    const BackwardJob &job = *static_cast<const BackwardJob *>(context);
    double *sums = job.sums(thread);
    std::fill(sums, sums + job.plan.parameters, 0.0);
    job.shares.run(thread, [&](const Share &share) {
      BackwardImage<T>(job.plan, job.arrays, job.tables, share,
                       job.scratch() + thread * job.plan.backward_scratch(), sums)
          .run();
    });
  }

  void store(T *gradient, int64_t first, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      double total = 0;
      for (int t = 0; t < plan.threads; ++t) total += sums(t)[first + i];
      gradient[i] = static_cast<T>(total);
    }
  }
};

}  // namespace

template <class T>
msd_error backward_pass(const Plan &plan, const BackwardArrays<T> &arrays) {
  const TapTables tables(plan.problem);
  Shares shares(plan);
  BackwardJob<T> job{plan, arrays, tables, shares};
  if (!run_in_parallel(plan.threads, BackwardJob<T>::run, &job)) return MSD_OUT_OF_MEMORY;
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
