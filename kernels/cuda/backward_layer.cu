// One launch per layer: see backward_layer.cuh.
#include "backward_layer.cuh"

namespace napari_msd {
namespace {

template <class S, int nz, int sent_pixels, bool direct>
__global__ void __launch_bounds__(block_threads, sizeof(S) == 8    ? 2
                                                        : nz == 3 ? 3
                                                                  : 4)
backward_layer_kernel(Network network, int32_t end_channel, Block block, int32_t layer, const Compute<S> *grad_logits,
                      const Compute<S> *output_weight, const Compute<S> *weights,
                      const __grid_constant__ Steps block_steps, const Step *steps, const S *maps,
                      const float *gradients, S *deltas, Compute<S> *grad_input) {
  const int64_t l = (layer < 0 ? 0 : network.maps_before(layer)) + blockIdx.z;
  pull_layer<S, nz, sent_pixels, direct>(network, end_channel, block, layer, l, grad_logits, output_weight, weights,
                                         block_steps, steps, maps, gradients, block.channels, deltas, grad_input,
                                         row_of(network.geometry, blockIdx.x), columns_of_thread(sent_pixels),
                                         [] { wait_for_earlier_launches(); });
}

}  // namespace

template <class S>
void backward_layer(const Network &network, const Block &block, int32_t layer, const Compute<S> *grad_logits,
                    const Compute<S> *output_weight, const PackedWeights<S> &weights, const Step *host_steps,
                    const Step *steps, const S *maps, const float *gradients, S *deltas, Compute<S> *grad_input,
                    cudaStream_t stream) {
  const bool short_rows = network.geometry.width <= 2 * warp_pixels, flat = network.taps == 9;
  const RowGrid grid = row_grid(network.geometry, short_rows ? 2 : 4, layer < 0 ? network.in_channels : network.width);
  const int32_t end_channel = gradients ? block.end_channel() : static_cast<int32_t>(network.channels());
  const Compute<S> *packed = weights.forward;
  // A block of more than 8 channels is one layer: none of its channels sends to another.
  const int32_t n = block.channels < block_channels ? block.channels : block_channels;
  const auto choose = [&](auto direct) {
    constexpr bool d = decltype(direct)::value;
    return flat ? (short_rows ? backward_layer_kernel<S, 1, 2, d> : backward_layer_kernel<S, 1, 4, d>)
                : (short_rows ? backward_layer_kernel<S, 3, 2, d> : backward_layer_kernel<S, 3, 4, d>);
  };
  auto kernel = choose(std::true_type());
  if constexpr (!std::is_same_v<S, double>) {
    if (gradients) kernel = choose(std::false_type());
  }
  launch(kernel, grid.blocks, grid.threads, stream, network, end_channel, block, layer, grad_logits, output_weight,
         packed, steps_of(host_steps + block.first_channel, n), steps, maps, gradients, deltas, grad_input);
}

#define NAPARI_MSD_INSTANTIATE(S)                                                                                   \
  template void backward_layer(const Network &, const Block &, int32_t, const Compute<S> *, const Compute<S> *,     \
                               const PackedWeights<S> &, const Step *, const Step *, const S *, const float *, S *, \
                               Compute<S> *, cudaStream_t);
NAPARI_MSD_FOR_EACH_STORAGE(NAPARI_MSD_INSTANTIATE)
#undef NAPARI_MSD_INSTANTIATE

}  // namespace napari_msd
