// Gradients of the maps of one layer, resolved, in gather form: every thread sums what later channels send to its
// pixels, so nothing is added to memory twice and no order is left to chance.
//
//   G[l](p) = gradients[l](p)                                    (backward_sweep.cu: the logits, channels outside)
//           + sum over channels q of the block after this layer and taps t of weight[q][l][t] * Q[q][t](p)
//   delta[l] = G[l] where z[l] > 0, else 0
//
// with Q the adjoint of the gather. Without gradients (null) all later channels and the logits are summed here: the
// direct form, and that of the input (layer -1), whose G is written as it is.
//
// A block of threads takes a row, or a piece of one, as in forward_layer.cuh: which rows send to it is the same for all
// its threads. Far from the edges that are 9 pixels per channel; near them each tap has up to two readers per axis.
#pragma once

#include "network.cuh"

namespace napari_msd {

// Map l of the layer at pixels `columns` of `row`, sent_pixels to a thread. direct: without gradients. `before_reading` is
// called before anything is read.
template <class S, int nz, int sent_pixels, bool direct, class BeforeReading>
__device__ inline void pull_layer(const Network &network, int32_t end_channel, const Block &block, int32_t layer,
                                  int64_t l, const Compute<S> *grad_logits, const Compute<S> *output_weight,
                                  const Compute<S> *weights, const Steps &block_steps, const Step *steps, const S *maps,
                                  const float *gradients, int64_t gradients_per_image, S *deltas,
                                  Compute<S> *grad_input, const Row &row, const Columns &columns,
                                  const BeforeReading &before_reading) {
  using T = Compute<S>;
  const Geometry &g = network.geometry;
  const int64_t channels = network.channels(), n_maps = network.maps();
  const int32_t offset = row.offset(g);
  // Beyond the row's end the last pixel once more, which is not written.
  const auto x = [&](int i) { return min(columns.of_thread(i), g.width - 1); };
  T sums[sent_pixels];
#pragma unroll
  for (int i = 0; i < sent_pixels; ++i) sums[i] = T(0);
  before_reading();
  if constexpr (!direct) {
    const int64_t j = l - network.in_channels - block.first_channel;
    const float *gradient = gradients + (row.image * gradients_per_image + j) * g.plane + offset;
#pragma unroll
    for (int i = 0; i < sent_pixels; ++i) sums[i] = static_cast<T>(gradient[x(i)]);
  } else {
    const T *gradient = grad_logits + row.image * network.n_classes * g.plane + offset;
    for (int k = 0; k < network.n_classes; ++k, gradient += g.plane) {
#pragma unroll
      for (int i = 0; i < sent_pixels; ++i) sums[i] += output_weight[k * n_maps + l] * gradient[x(i)];
    }
  }

  int32_t q = (layer + 1) * network.width;
  const S *delta = deltas + (row.image * channels + q) * g.plane;
  // Weights: those of 8 channels lie beside one another.
  const T *w = nullptr;
  int64_t plane_weights = block.packed_maps * packed_channels;
  Block sender;
  int32_t group_end = 0;
  if constexpr (direct) {
    sender = block;
  } else {
    w = weights + (block.forward_start + l) * packed_channels + (q - block.first_channel) * 12;
  }
#pragma unroll 1
  for (; q < end_channel; ++q, delta += g.plane, w += 12) {
    Step step;
    if constexpr (direct) {
      if (q >= group_end) {
        while (q >= sender.end_channel()) sender = next_block(network, sender);
        const int32_t j = q - sender.first_channel, first_j = j / block_channels * block_channels;
        const int64_t first_row = sender.forward_start + first_j / block_channels * nz * sender.packed_maps + l;
        w = weights + first_row * packed_channels + (j - first_j) * 12;
        group_end = min(sender.first_channel + first_j + block_channels, sender.end_channel());
        plane_weights = sender.packed_maps * packed_channels;
      }
      step = steps[q];
    } else {
      step = block_steps.of[(q - block.first_channel) % block_channels];
    }
    const bool far_yz =
        far_from_edges(row.y, row.y, g.height, step.y) && (nz == 1 || far_from_edges(row.z, row.z, g.depth, step.z));
    if (far_yz && far_from_edges(columns.first, columns.last, g.width, step.x)) {
#pragma unroll
      for (int a = 0; a < nz; ++a) {
        const Taps<T> taps = *reinterpret_cast<const Taps<T> *>(w + a * plane_weights);
        const S *centre = delta + (nz / 2 - a) * step.z * g.height * g.width + offset;
#pragma unroll
        for (int i = 0; i < sent_pixels; ++i) {
          S sent[9];
          copy_taps(g, step, centre + columns.of_thread(i), sent);
#pragma unroll
          for (int t = 0; t < 9; ++t) sums[i] += taps.of[t] * load(&sent[t]);
        }
      }
      continue;
    }

#pragma unroll 1
    for (int a = 0; a < nz; ++a) {
      const Readers planes = readers(row.z, g.depth, (nz / 2 - a) * step.z, g.boundary);
#pragma unroll 1
      for (int k = 0; k < (nz == 1 ? 1 : 2); ++k) {
        const int32_t from_z = nz == 1 ? 0 : k == 0 ? planes.direct : planes.mirrored;
        if (from_z < 0) continue;
        const SendingRows sending = sending_rows(g, step, from_z, row.y, far_yz);
#pragma unroll 1
        for (int batch = 0; batch < 2; ++batch) {
          int32_t rows[3];
          T taps[9];
#pragma unroll
          for (int r = 0; r < 3; ++r) {
            rows[r] = batch == 0 ? sending.rows[0][r] : sending.rows[1][r];
            const int32_t b = batch == 0 ? sending.taps[0][r] : sending.taps[1][r];
            const T *of_row = w + a * plane_weights + 3 * b;
#pragma unroll
            for (int c = 0; c < 3; ++c) taps[3 * r + c] = b == no_taps ? T(0) : of_row[c];
          }
          if (rows[0] < 0) break;
          T sent[sent_pixels][9];
          gather_rows(g, rows, columns, step.x, delta, sent);
#pragma unroll
          for (int i = 0; i < sent_pixels; ++i) {
#pragma unroll
            for (int t = 0; t < 9; ++t) sums[i] += taps[t] * sent[i][t];
          }
        }
      }
    }
  }

#pragma unroll
  for (int i = 0; i < sent_pixels; ++i) {
    if (columns.of_thread(i) >= g.width) continue;
    const int32_t pixel = offset + columns.of_thread(i);
    if (layer < 0) {
      grad_input[(row.image * network.in_channels + l) * g.plane + pixel] = sums[i];
    } else {
      const T value = load(maps + (row.image * n_maps + l) * g.plane + pixel);
      store(deltas + (row.image * channels + l - network.in_channels) * g.plane + pixel,
            value <= T(0) ? T(0) : sums[i]);
    }
  }
}

}  // namespace napari_msd
