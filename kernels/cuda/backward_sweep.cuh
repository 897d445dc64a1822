// What the logits and all channels outside a block send to the maps of the block, each delta read once per 8 maps:
//
//   G[l](p) = sum over classes k of output_weight[k][l] * grad_logits[k](p)
//           + sum over channels q >= first_channel and taps t of weight[q][l][t] * Q[q][t](p)
//
// with Q the adjoint of the gather, made in registers: 9 loads serve 9 x 8 multiply-adds. A thread takes 4 pixels (2 where
// rows are short) and 8 maps, so that one read of the weights (from shared memory, by broadcast) serves four; while one
// chunk of channels is summed, the weights of the next are copied.
//
// A block of threads takes a row, or a piece of one. Mostly three rows send to it, near edges others than far from them
// (sending_rows); at the row's ends runs of 32 pixels have up to two readers per tap along x (gather_rows).
//
// Pull, not push: the sums of a block are written once, instead of adding to the gradients of all earlier maps
// after every block. 16-bit deltas are multiplied on the scalar units, too: for the matrix units the gathered taps, 36 per
// thread and channel, would have to go through shared memory first. Not tried.
//
// Writes G as float32 (image, n_maps, pixel): the workspace of backward_layer.cu, or the input's gradient itself.
#pragma once

#include "network.cuh"

namespace napari_msd {

constexpr int maps_together = 8, channels_per_chunk = 8;

template <int nz>
struct alignas(16) BackwardStage {
  float weights[channels_per_chunk][taps_of<nz>][maps_together];
  Step steps[channels_per_chunk];
};

// The weights of no_taps.
struct alignas(16) Zeros {
  float weights[3][maps_together];
};

// What a block of threads keeps in shared memory.
template <int nz>
struct BackwardMemory {
  BackwardStage<nz> stages[2];
  Zeros zeros;
};

// Maps 8 group .. 8 group + 7 of the n_maps, at pixels `columns` of `row`. All threads of a block call it together; `before_reading` is called before anything is read. gradients_per_image: maps that
// the gradients of an image have room for.
template <class S, int nz, int sweep_pixels, class BeforeReading>
__device__ inline void pull_maps(const Network &network, int64_t first_map, int32_t n_maps, int64_t first_channel,
                                 unsigned group, const float *grad_logits, const float *output_weight,
                                 const float *weights, const Step *steps, const S *deltas, float *gradients,
                                 int64_t gradients_per_image, BackwardMemory<nz> &memory, const Row &row,
                                 const Columns &columns, const BeforeReading &before_reading) {
  constexpr int channel_weights = taps_of<nz> * maps_together;
  const Geometry &g = network.geometry;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t channels = network.channels();
  const int first_m = static_cast<int>(group) * maps_together;
  const int n = n_maps - first_m < maps_together ? n_maps - first_m : maps_together;
  const int32_t offset = row.offset(g);

  const float *group_weights = weights + group * (channels - first_channel) * channel_weights;
  const auto fetch = [&](int64_t first, BackwardStage<nz> &stage) {
    const int64_t left = channels - first;
    const int n_channels = static_cast<int>(left < channels_per_chunk ? left : channels_per_chunk);
    const float *from = group_weights + (first - first_channel) * channel_weights;
    for (int e = thread; e < n_channels * channel_weights / 4; e += static_cast<int>(blockDim.x)) {
      copy_16_bytes(&stage.weights[0][0][0] + 4 * e, from + 4 * e);
    }
    if (thread < 3 * n_channels) {
      copy_4_bytes(reinterpret_cast<int32_t *>(stage.steps) + thread,
                   reinterpret_cast<const int32_t *>(steps + first) + thread);
    }
  };
  if (thread < 3 * maps_together) memory.zeros.weights[0][thread] = 0;
  before_reading();
  if (first_channel < channels) fetch(first_channel, memory.stages[0]);

  int32_t x[sweep_pixels];
  float sums[sweep_pixels][maps_together];
#pragma unroll
  for (int i = 0; i < sweep_pixels; ++i) {
    // Beyond the row's end the last pixel once more, which is not written.
    x[i] = min(columns.of_thread(i), g.width - 1);
#pragma unroll
    for (int m = 0; m < maps_together; ++m) sums[i][m] = 0;
  }
  const float *gradient = grad_logits + row.image * network.n_classes * g.plane + offset;
  const float *map_weights = output_weight + first_map + first_m;
  for (int k = 0; k < network.n_classes; ++k, gradient += g.plane, map_weights += network.maps()) {
    float w[maps_together];
#pragma unroll
    for (int m = 0; m < maps_together; ++m) w[m] = m < n ? map_weights[m] : 0.0f;
#pragma unroll
    for (int i = 0; i < sweep_pixels; ++i) {
      const float value = gradient[x[i]];
#pragma unroll
      for (int m = 0; m < maps_together; ++m) sums[i][m] += w[m] * value;
    }
  }

  const S *delta = deltas + (row.image * channels + first_channel) * g.plane;
  int current = 0;
  for (int64_t first = first_channel; first < channels; first += channels_per_chunk, current ^= 1) {
    wait_for_copies();
    __syncthreads();
    if (first + channels_per_chunk < channels) fetch(first + channels_per_chunk, memory.stages[current ^ 1]);
    const BackwardStage<nz> &stage = memory.stages[current];
    const int n_channels =
        static_cast<int>(channels - first < channels_per_chunk ? channels - first : channels_per_chunk);
    for (int q = 0; q < n_channels; ++q, delta += g.plane) {
      const Step step = stage.steps[q];
      const bool far_yz =
          far_from_edges(row.y, row.y, g.height, step.y) && (nz == 1 || far_from_edges(row.z, row.z, g.depth, step.z));
#pragma unroll 1
      for (int a = 0; a < nz; ++a) {
        const Readers planes = readers(row.z, g.depth, nz == 1 ? 0 : (1 - a) * step.z, g.boundary);
#pragma unroll 1
        for (int k = 0; k < (nz == 1 || far_yz ? 1 : 2); ++k) {
          const int32_t from_z = nz == 1 ? 0 : k == 0 ? planes.direct : planes.mirrored;
          if (from_z < 0) continue;
          const SendingRows sending = sending_rows(g, step, from_z, row.y, far_yz);
          int32_t rows[3] = {sending.rows[0][0], sending.rows[0][1], sending.rows[0][2]};
          int32_t taps[3] = {sending.taps[0][0], sending.taps[0][1], sending.taps[0][2]};
          bool last = sending.rows[1][0] < 0;
#pragma unroll 1
          for (;;) {
            float sent[sweep_pixels][9];
            gather_rows(g, rows, columns, step.x, delta, sent);
#pragma unroll
            for (int t = 0; t < 9; ++t) {
              const float (*of_row)[maps_together] =
                  taps[t / 3] == no_taps ? memory.zeros.weights : stage.weights[q] + 9 * a + 3 * taps[t / 3];
              const float4 *w = reinterpret_cast<const float4 *>(of_row[t % 3]);
              const float4 low = w[0], high = w[1];
#pragma unroll
              for (int i = 0; i < sweep_pixels; ++i) {
                sums[i][0] += low.x * sent[i][t];
                sums[i][1] += low.y * sent[i][t];
                sums[i][2] += low.z * sent[i][t];
                sums[i][3] += low.w * sent[i][t];
                sums[i][4] += high.x * sent[i][t];
                sums[i][5] += high.y * sent[i][t];
                sums[i][6] += high.z * sent[i][t];
                sums[i][7] += high.w * sent[i][t];
              }
            }
            if (last) break;
            last = true;
#pragma unroll
            for (int r = 0; r < 3; ++r) {
              rows[r] = sending.rows[1][r];
              taps[r] = sending.taps[1][r];
            }
          }
        }
      }
    }
  }

  float *out = gradients + (row.image * gradients_per_image + first_m) * g.plane + offset;
#pragma unroll
  for (int m = 0; m < maps_together; ++m, out += g.plane) {
#pragma unroll
    for (int i = 0; i < sweep_pixels; ++i) {
      if (m < n && columns.of_thread(i) < g.width) out[x[i]] = sums[i][m];
    }
  }
}

}  // namespace napari_msd
