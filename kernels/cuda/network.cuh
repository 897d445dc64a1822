// Sizes of one pass and the launchers of all operations; the host's view of the CUDA core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "geometry.cuh"
#include "napari_msd.h"
#include "storage.cuh"

namespace napari_msd {

struct Network {
  Geometry geometry;
  int32_t in_channels, depth, width, n_classes;
  int32_t taps;  // 9, in 3-D 27

  __host__ __device__ int64_t channels() const { return static_cast<int64_t>(depth) * width; }
  __host__ __device__ int64_t maps() const { return in_channels + channels(); }
  // Maps that layer i sees; also the number of its first map.
  __host__ __device__ int64_t maps_before(int64_t i) const { return in_channels + i * width; }
  // Where the weights of hidden channel q begin.
  __host__ __device__ int64_t weight_offset(int64_t q) const {
    const int64_t i = q / width, w = width;
    return taps * (w * (i * in_channels + w * (i * (i - 1) / 2)) + (q - i * w) * maps_before(i));
  }
  __host__ __device__ int64_t weights() const { return weight_offset(channels()); }
  __host__ __device__ int64_t parameters() const { return weights() + channels() + n_classes * maps() + n_classes; }
};

// Whole layers that are resolved together after one sweep over all maps outside: 8 channels, or one wide layer.
constexpr int block_channels = 8;
// A sweep over fewer maps (or channels) than this costs more than it saves.
constexpr int64_t least_to_sweep = block_channels;
// Packed weights of a block go on to a whole number of chunks of maps, with zeros.
constexpr int map_padding = 16;

struct Block {
  int32_t first_layer, layers;
  int32_t first_channel, channels;
  int64_t maps_outside;  // that all its layers see; also the number of its first map
  int64_t packed_maps;   // that its last layer sees, padded
  // Where its packed weights begin (pack_weights.cu), counted in `packed_channels` x 1 map, and in channels x 8 maps.
  int64_t forward_start, backward_start;

  __host__ __device__ int32_t end_channel() const { return first_channel + channels; }
  // Eights of channels, each with weights of its own.
  __host__ __device__ int32_t groups() const { return (channels + block_channels - 1) / block_channels; }
};

__host__ __device__ inline int32_t eights(int64_t n) {
  return static_cast<int32_t>((n + block_channels - 1) / block_channels);
}

__host__ __device__ inline int32_t layers_per_block(const Network &network) {
  return network.width < block_channels ? block_channels / network.width : 1;
}

__host__ __device__ inline Block block_from(const Network &network, int32_t first_layer, int32_t layers,
                                            int64_t forward_start, int64_t backward_start) {
  if (layers > network.depth - first_layer) layers = network.depth - first_layer;
  Block block;
  block.first_layer = first_layer;
  block.layers = layers;
  block.first_channel = first_layer * network.width;
  block.channels = layers * network.width;
  block.maps_outside = network.maps_before(first_layer);
  block.packed_maps = (network.maps_before(first_layer + layers - 1) + map_padding - 1) / map_padding * map_padding;
  block.forward_start = forward_start;
  block.backward_start = backward_start;
  return block;
}

__host__ __device__ inline Block first_block(const Network &network) {
  // As many layers as make the maps before the next block a whole number of chunks, if any do: one map more costs a
  // sweep as much as eight.
  int32_t layers = layers_per_block(network);
  for (int32_t n = layers; n > 0; --n) {
    if (network.maps_before(n) % block_channels == 0) {
      layers = n;
      break;
    }
  }
  // Backward weights of the image's own maps come first: every channel sends to them.
  return block_from(network, 0, layers, 0, eights(network.in_channels) * network.channels());
}

// What the packed weights of all blocks up to this one take; equally, where the next one's begin.
__host__ __device__ inline int64_t forward_end(const Network &network, const Block &block) {
  return block.forward_start + block.groups() * (network.taps / 9) * block.packed_maps;
}
__host__ __device__ inline int64_t backward_end(const Network &network, const Block &block) {
  return block.backward_start + block.groups() * (network.channels() - block.end_channel());
}

__host__ __device__ inline Block next_block(const Network &network, const Block &block) {
  return block_from(network, block.first_layer + block.layers, layers_per_block(network), forward_end(network, block),
                    backward_end(network, block));
}

// The one before a block that is not the first.
__host__ __device__ inline Block previous_block(const Network &network, const Block &block) {
  const int32_t layers = layers_per_block(network);
  const Block first = first_block(network);
  if (block.first_layer == first.layers) return first;
  Block previous = block_from(network, block.first_layer - layers, layers, 0, 0);
  previous.forward_start = block.forward_start - forward_end(network, previous);
  previous.backward_start = block.backward_start - backward_end(network, previous);
  return previous;
}

// Weights in the order in which kernels read them (pack_weights.cu).
//   forward   for each block, 8 of its channels, plane of the filter and map: 8 channels x 12, of which 9 are taps
//   matrices  the same in 16 bits, per 16 maps: 9 taps x 8 channels x 16 maps
//   backward  for each 8 maps that receive and each channel that sends: taps x 8 maps
template <class S>
struct PackedWeights {
  Compute<S> *forward;
  S *matrices;      // 16-bit maps only
  float *backward;  // for the backward pass only, and not in float64
};
constexpr int packed_channels = 12 * block_channels, packed_matrix = 9 * block_channels;

// One channel's weights for one map, in one plane of the filter.
template <class T>
struct alignas(16) Taps {
  T of[12];  // 9, padded
};

// Dilations of the channels of one launch, as kernel arguments: no thread waits for them.
struct Steps {
  Step of[block_channels];
};
inline Steps steps_of(const Step *first, int32_t n) {
  Steps steps = {};
  for (int32_t j = 0; j < n; ++j) steps.of[j] = first[j];
  return steps;
}

// How pixels are dealt out to blocks that sum over them: runs of pixels of one image, taken in turn. Floats are
// summed over at most one run, runs in double.
constexpr int unit_pixels = 1024;

struct SumPlan {
  int32_t units_per_image;
  int32_t partials;  // blocks per sum, each writing one partial result
  int64_t units;
};

inline SumPlan plan_sums(const Network &network) {
  // Enough blocks to fill the card; fewer where partial results are so large that their traffic would show.
  const int64_t parameters = network.parameters();
  const int64_t most = parameters > (int64_t{1} << 17) ? 64 : parameters > (int64_t{1} << 16) ? 128 : 256;
  SumPlan plan;
  plan.units_per_image = static_cast<int32_t>((network.geometry.plane + unit_pixels - 1) / unit_pixels);
  plan.units = network.geometry.batch * plan.units_per_image;
  plan.partials = static_cast<int32_t>(plan.units < most ? plan.units : most);
  return plan;
}

// The run of pixels of unit number `unit`.
struct Unit {
  int64_t image;
  int32_t first, end;
};
__device__ inline Unit unit_of(const Geometry &g, const SumPlan &plan, int64_t unit) {
  const int64_t image = unit / plan.units_per_image;
  const int64_t first = (unit - image * plan.units_per_image) * unit_pixels;
  const int64_t end = first + unit_pixels < g.plane ? first + unit_pixels : g.plane;
  return {image, static_cast<int32_t>(first), static_cast<int32_t>(end)};
}

// Every launcher is compiled for the maps' storage types S; all other arrays are of the type computed with.
#define NAPARI_MSD_FOR_EACH_STORAGE(DO) DO(double) DO(float) DO(__half) DO(__nv_bfloat16)
#define NAPARI_MSD_FOR_EACH_BLOCKED_STORAGE(DO) DO(float) DO(__half) DO(__nv_bfloat16)

// upload_steps.cu: host values to device memory as kernel arguments; safe in a captured graph. Clears n_flags flags, too.
void upload_steps(const Step *host, int64_t count, Step *device, unsigned *flags, int32_t n_flags, cudaStream_t stream);

// pack_weights.cu: arrays that are null are left out.
template <class S>
void pack_weights(const Network &network, const Compute<S> *weight, const PackedWeights<S> &packed,
                  cudaStream_t stream);

// copy_input.cu
template <class S>
void copy_input(const Network &network, const Compute<S> *input, S *maps, cudaStream_t stream);

// forward_sweep.cu: false where a block's dilations reach too far for its tiles; then rows are not written.
template <class S>
bool forward_sweep(const Network &network, const Block &block, int32_t reach_x, const PackedWeights<S> &weights,
                   const Step *steps, const S *maps, float *rows, cudaStream_t stream);

// forward_layer.cu: rows as the sweep of the layer's block left them, or null: then all maps are read here.
template <class S>
void forward_layer(const Network &network, const Block &block, int32_t layer, const PackedWeights<S> &weights,
                   const Compute<S> *bias, const Step *steps, const float *rows, S *maps, cudaStream_t stream);

// output_layer.cu
template <class S>
void output_layer(const Network &network, const S *maps, const Compute<S> *weight, const Compute<S> *bias,
                  Compute<S> *logits, cudaStream_t stream);

// backward_sweep.cu: gradients of n_maps maps from the logits and the channels from first_channel on; weights: those of
// these maps.
template <class S>
void backward_sweep(const Network &network, int64_t first_map, int32_t n_maps, int64_t first_channel,
                    const float *grad_logits, const float *output_weight, const float *weights, const Step *steps,
                    const S *deltas, float *gradients, cudaStream_t stream);

// backward_layer.cu: layer -1 is the input; gradients as the sweep of the layer's block left them, or null.
template <class S>
void backward_layer(const Network &network, const Block &block, int32_t layer, const Compute<S> *grad_logits,
                    const Compute<S> *output_weight, const PackedWeights<S> &weights, const Step *host_steps,
                    const Step *steps, const S *maps, const float *gradients, S *deltas, Compute<S> *grad_input,
                    cudaStream_t stream);

// backward_weights.cu, and for float64 backward_weights_direct.cu
template <class S>
void backward_weights(const Network &network, const SumPlan &sums, const S *maps, const S *deltas, const Step *steps,
                      double *partials, cudaStream_t stream);

// backward_output_weights.cu
template <class S>
void backward_output_weights(const Network &network, const SumPlan &sums, const S *maps, const Compute<S> *grad_logits,
                             double *partials, cudaStream_t stream);

// Where the gradients of all parameters go, in the order in which partial sums hold them.
template <class T>
struct ParameterGradients {
  T *arrays[4];
  int64_t counts[4];
};

// reduce_partials.cu: `stride` is the number of parameters.
template <class T>
void reduce_partials(const double *partials, int32_t n_partials, int64_t stride, const ParameterGradients<T> &gradients,
                     cudaStream_t stream);

// How bands tell one another how far they are (cooperative.cuh): flags lie on cache lines of their own.
constexpr int32_t flag_stride = 32;

struct Flags {
  unsigned *reached;   // of each band
  unsigned *given_up;  // of the device
  unsigned first_epoch;

  __device__ unsigned *of(int32_t band) const { return reached + flag_stride * band; }
};

// forward_cooperative.cu: how many bands at most, 0 where it cannot run; reach_x: of all blocks.
template <class S>
int32_t most_forward_bands(const Network &network, int32_t reach_x);
template <class S>
void forward_cooperative(const Network &network, int32_t reach_x, int32_t most_bands, const PackedWeights<S> &weights,
                         const Flags &flags, const Step *steps, const Compute<S> *input, const Compute<S> *bias,
                         const Compute<S> *output_weight, const Compute<S> *output_bias, S *maps, float *rows,
                         Compute<S> *logits, cudaStream_t stream);

// backward_cooperative.cu: gradients_per_image: maps that the gradients of an image have room for.
template <class S>
int32_t most_backward_bands(const Network &network);
template <class S>
void backward_cooperative(const Network &network, const Block &last_block, int32_t most_bands,
                          const PackedWeights<S> &weights, const Flags &flags, const Step *steps,
                          const float *grad_logits, const float *output_weight, const S *maps, float *gradients,
                          int64_t gradients_per_image, S *deltas, float *grad_input, cudaStream_t stream);

// together.cu: how many blocks of a kernel the current device runs at the same time, 0 where it has no such launches.
int32_t most_together(const void *kernel, int threads, size_t memory_bytes);
// Where waits say that they gave up, null without a device; and what they said, forgotten by this call.
unsigned *given_up_flag();
cudaError_t take_given_up(bool &was_given_up, cudaStream_t stream);

// find_code.cu
cudaError_t find_code();
// fma_work.cu: returns the number of operations launched.
template <class T>
double fma_work(int64_t rounds, T *sink, cudaStream_t stream);

inline unsigned blocks_for(int64_t threads) {
  return static_cast<unsigned>((threads + block_threads - 1) / block_threads);
}

}  // namespace napari_msd
