// The forward pass: input and weights -> all maps and the logits.
//
// Per block of channels, on a thread's own rows:
//   1. tap products from all maps before the block, tile by tile:
//      products[q][t](p) = sum over l of weight[q][l][t] * z[l](p);
//   2. layer by layer within the block: add the products of the block's own earlier maps, wait for the team,
//      and gather the products along the taps into the new map (gather_taps).
// One barrier per layer: gathering reads other threads' products, but all other reads are of own rows. A
// thread ahead may already write the next block's products, hence two sets of them (Plan::parities).
//
// Memory: per image in flight `block_channels` x taps planes of products; maps are written once.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "boundary.h"
#include "dispatch.h"
#include "passes.h"

namespace napari_msd {
namespace {

template <class T>
class ForwardImage {
 public:
  ForwardImage(const Plan &plan, const ForwardArrays<T> &arrays, const TapTables &tables, const Share &share,
               int thread)
      : plan_(plan), arrays_(arrays), tables_(tables), share_(share) {
    const int64_t place = plan.problem.keep_maps ? share.image : share.slot;
    maps_ = arrays.maps + place * plan.maps * plan.plane_stride;
    products_ = arrays.workspace + share.slot * plan.product_planes() * plan.plane_stride;
    scratch_ = arrays.workspace + plan.slots * plan.product_planes() * plan.plane_stride +
               thread * plan.forward_scratch();
  }

  void run() {
    load_input();
    int parity = 0;
    for (int64_t first = 0; first < plan_.channels; first += block_channels) {
      const int64_t last = std::min(first + block_channels, plan_.channels);
      compute_block(first, last, products_ + parity * block_channels * plan_.taps * plan_.plane_stride);
      parity = (parity + 1) % plan_.parities;
    }
    compute_logits();
  }

 private:
  T *map(int64_t l) const { return maps_ + l * plan_.plane_stride; }

  void load_input() const {
    const int64_t channels = plan_.problem.in_channels;
    for (int64_t c = 0; c < channels; ++c) {
      const T *image = arrays_.input + (share_.image * channels + c) * plan_.rows * plan_.width;
      for (int64_t y = share_.first_row; y < share_.last_row; ++y) {
        T *row = map(c) + y * plan_.row_stride;
        std::memcpy(row, image + y * plan_.width, static_cast<size_t>(plan_.width) * sizeof(T));
        std::fill(row + plan_.width, row + plan_.row_stride, T(0));
      }
    }
  }

  // products (+)= what maps first_map .. last_map - 1 contribute to channel q, on rows y .. y + n - 1.
  void add_products(int64_t q, int64_t first_map, int64_t last_map, T *products, int64_t y, int64_t n) const {
    const int64_t p = y * plan_.row_stride;
    const T *weight = arrays_.weight + plan_.weight_offset(q) + first_map * plan_.taps;
    kernels_.combine_planes(map(first_map) + p, plan_.plane_stride, static_cast<int>(last_map - first_map),
                            products + p, plan_.plane_stride, static_cast<int>(plan_.taps), weight, 1,
                            plan_.taps, nullptr, first_map > 0, n * plan_.row_stride);
  }

  void compute_block(int64_t first, int64_t last, T *products) const {
    const int64_t maps_outside = plan_.maps_before(first), channel_stride = plan_.taps * plan_.plane_stride;
    for (int64_t y = share_.first_row; y < share_.last_row; y += plan_.tile_rows) {
      const int64_t n = std::min(plan_.tile_rows, share_.last_row - y);
      for (int64_t q = first; q < last; ++q) {
        add_products(q, 0, maps_outside, products + (q - first) * channel_stride, y, n);
      }
    }
    for (int64_t q = first; q < last;) {
      const int64_t layer_end = std::min(last, (plan_.layer(q) + 1) * plan_.problem.width);
      if (plan_.maps_before(q) > maps_outside) {
        for (int64_t y = share_.first_row; y < share_.last_row; y += plan_.tile_rows) {
          const int64_t n = std::min(plan_.tile_rows, share_.last_row - y);
          for (int64_t r = q; r < layer_end; ++r) {
            add_products(r, maps_outside, plan_.maps_before(r), products + (r - first) * channel_stride, y, n);
          }
        }
      }
      share_.barrier->wait();
      for (; q < layer_end; ++q) {
        kernels_.gather_taps(tables_.of_channel(q), products + (q - first) * channel_stride,
                             plan_.plane_stride, plan_.row_stride, arrays_.bias[q],
                             map(plan_.problem.in_channels + q), share_.first_row, share_.last_row, scratch_);
      }
    }
  }

  void compute_logits() const {
    const int64_t classes = plan_.problem.n_classes;
    for (int64_t y = share_.first_row; y < share_.last_row; y += plan_.tile_rows) {
      const int64_t n = std::min(plan_.tile_rows, share_.last_row - y);
      for (int64_t k = 0; k < classes; k += class_chunk) {
        const int64_t n_k = std::min<int64_t>(class_chunk, classes - k);
        kernels_.combine_planes(map(0) + y * plan_.row_stride, plan_.plane_stride,
                                static_cast<int>(plan_.maps), scratch_, plan_.tile_stride,
                                static_cast<int>(n_k), arrays_.output_weight + k * plan_.maps, plan_.maps, 1,
                                arrays_.output_bias + k, false, n * plan_.row_stride);
        for (int64_t i = 0; i < n_k; ++i) {
          T *logits = arrays_.logits + ((share_.image * classes + k + i) * plan_.rows + y) * plan_.width;
          for (int64_t r = 0; r < n; ++r) {
            std::memcpy(logits + r * plan_.width, scratch_ + i * plan_.tile_stride + r * plan_.row_stride,
                        static_cast<size_t>(plan_.width) * sizeof(T));
          }
        }
      }
    }
  }

  const Plan &plan_;
  const ForwardArrays<T> &arrays_;
  const TapTables &tables_;
  const Share share_;
  const KernelTable<T> &kernels_ = kernels<T>();
  T *maps_, *products_, *scratch_;
};

template <class T>
struct ForwardJob {
  const Plan &plan;
  const ForwardArrays<T> &arrays;
  const TapTables &tables;
  Shares &shares;

  static void run(void *context, int thread) {
    const ForwardJob &job = *static_cast<const ForwardJob *>(context);
    job.shares.run(thread, [&](const Share &share) {
      ForwardImage<T>(job.plan, job.arrays, job.tables, share, thread).run();
    });
  }
};

}  // namespace

template <class T>
msd_error forward_pass(const Plan &plan, const ForwardArrays<T> &arrays) {
  const TapTables tables(plan.problem);
  Shares shares(plan);
  ForwardJob<T> job{plan, arrays, tables, shares};
  return run_in_parallel(plan.threads, ForwardJob<T>::run, &job) ? MSD_OK : MSD_OUT_OF_MEMORY;
}

template msd_error forward_pass<float>(const Plan &, const ForwardArrays<float> &);
template msd_error forward_pass<double>(const Plan &, const ForwardArrays<double> &);

}  // namespace napari_msd
