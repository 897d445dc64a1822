// Sizes of one pass and the launchers of all operations; the host's view of the CUDA core.
#pragma once

#include <cstddef>
#include <cstdint>

#include "geometry.cuh"
#include "napari_msd.h"

namespace napari_msd {

constexpr unsigned block_threads = 128;
constexpr int max_partials = 64;

struct Network {
  Geometry geometry;
  int32_t in_channels, depth, width, n_classes;
  int32_t taps;  // 9, in 3-D 27

  __host__ __device__ int64_t channels() const { return static_cast<int64_t>(depth) * width; }
  __host__ __device__ int64_t maps() const { return in_channels + channels(); }
  // Maps that layer i sees; also the number of its first map.
  __host__ __device__ int64_t maps_before(int64_t i) const { return in_channels + i * width; }
  // Where the packed weights of hidden channel q begin.
  __host__ __device__ int64_t weight_offset(int64_t q) const {
    const int64_t i = q / width, w = width;
    return taps * (w * (i * in_channels + w * (i * (i - 1) / 2)) + (q - i * w) * maps_before(i));
  }
  int64_t weights() const { return weight_offset(channels()); }
  int64_t parameters() const { return weights() + channels() + n_classes * maps() + n_classes; }
};

// How pixels are dealt out to blocks that sum over them: row chunks of images, taken in turn.
struct SumPlan {
  int32_t rows_per_unit, units_per_image;
  int32_t partials;  // blocks per sum, each writing one partial result
  int64_t units;
};

SumPlan plan_sums(const Geometry &geometry);

// upload_steps.cu: host values to device memory as kernel arguments; safe in a captured graph.
void upload_steps(const Step *host, int64_t count, Step *device, cudaStream_t stream);

// forward_layer.cu
template <class T>
void forward_layer(const Network &network, int32_t layer, const T *weight, const T *bias, const Step *steps,
                   T *maps, cudaStream_t stream);

// output_layer.cu
template <class T>
void output_layer(const Network &network, const T *maps, const T *weight, const T *bias, T *logits,
                  cudaStream_t stream);

// backward_data.cu: layer -1 is the input.
template <class T>
void backward_data(const Network &network, int32_t layer, const T *grad_logits, const T *output_weight,
                   const T *weight, const Step *steps, const T *maps, T *deltas, T *grad_input,
                   cudaStream_t stream);

// backward_weights.cu
template <class T>
void backward_weights(const Network &network, const SumPlan &sums, const T *maps, const T *deltas,
                      const Step *steps, double *partials, cudaStream_t stream);
template <class T>
void backward_output_weights(const Network &network, const SumPlan &sums, const T *maps, const T *grad_logits,
                             double *partials, cudaStream_t stream);

// reduce_partials.cu
template <class T>
void reduce_partials(const double *partials, int32_t n_partials, int64_t stride, int64_t first, int64_t count,
                     T *gradient, cudaStream_t stream);

// fma_work.cu: returns the number of operations launched.
template <class T>
double fma_work(int64_t rounds, T *sink, cudaStream_t stream);

inline unsigned blocks_for(int64_t threads) {
  return static_cast<unsigned>((threads + block_threads - 1) / block_threads);
}

}  // namespace napari_msd
