// The C ABI of the CUDA core: checks, memory plan, and the order of launches. Nothing here waits for the GPU.
//
// Memory: maps (batch, all maps, plane) in their storage type; without a backward pass only as many images' maps
// as fill the card. Forward workspace: the packed weights and the rows of one block of layers. Backward workspace: the
// packed weights, the table of dilations, the partial sums of parameter gradients, the gradients of one block's
// maps, and as many deltas as there are hidden maps.
#include <cstddef>
#include <exception>
#include <new>
#include <type_traits>
#include <vector>

#include "check_problem.h"
#include "last_error.h"
#include "network.cuh"

namespace {

using namespace napari_msd;

constexpr int64_t alignment = 256;
constexpr int64_t max_grid_x = 0x7fffffff, max_grid_yz = 0xffff;

int64_t aligned(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// Images computed together when no maps are kept: enough pixels to fill any card.
constexpr int64_t pixels_together = int64_t{1} << 20;

struct Pass {
  Network network;
  SumPlan sums;
  bool blocked;
  int64_t images_together;
  int32_t most_channels = 0;  // of a block
  std::vector<Block> blocks;
  // Packed weights, in both passes, and of 16-bit maps forward, and backward.
  int64_t forward_bytes, matrices_bytes, backward_bytes;
  int64_t steps_bytes, rows_bytes, partials_bytes, gradients_bytes, deltas_bytes, maps_bytes;
  std::vector<Step> steps;
  // Cooperative passes only: 0 otherwise.
  int32_t most_forward_bands = 0, most_backward_bands = 0;
  int64_t flags_bytes = 0;

  // The largest |dilation| along x in a block.
  int32_t reach_x(const Block &block) const {
    int32_t reach = 0;
    for (int32_t q = block.first_channel; q < block.end_channel(); ++q) {
      const int32_t x = steps[static_cast<size_t>(q)].x;
      if ((x < 0 ? -x : x) > reach) reach = x < 0 ? -x : x;
    }
    return reach;
  }
  // The largest of all blocks.
  int32_t reach_x() const {
    int32_t reach = 0;
    for (const Block &block : blocks) reach = reach_x(block) > reach ? reach_x(block) : reach;
    return reach;
  }
};

// Of the current card: 7 has no bfloat16 matrix units, from 9 on launches overlap. Where there is none, a later call says so.
int compute_capability() {
  int device = 0, major = 0;
  const bool known = cudaGetDevice(&device) == cudaSuccess &&
                     cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess;
  return known ? major : 8;
}

template <class S>
struct Storage {
  using type = S;
};

// call(Storage<S>) for the type that the problem's maps are stored in.
template <class Call>
int32_t with_storage(const msd_problem &problem, Call &&call) {
  if (problem.dtype == MSD_FLOAT64) return call(Storage<double>{});
  if (problem.map_dtype == MSD_MAPS_BFLOAT16) return call(Storage<__nv_bfloat16>{});
  if (problem.map_dtype == MSD_MAPS_FLOAT16) return call(Storage<__half>{});
  return call(Storage<float>{});
}

// How many bands cooperative passes can have; 0 where they cannot run.
void find_most_bands(const msd_problem &problem, Pass &pass) {
  with_storage(problem, [&](auto storage) -> int32_t {
    using S = typename decltype(storage)::type;
    if constexpr (!std::is_same_v<S, double>) {
      pass.most_forward_bands = most_forward_bands<S>(pass.network, pass.reach_x());
      pass.most_backward_bands = most_backward_bands<S>(pass.network);
    }
    return MSD_OK;
  });
}

msd_error plan_pass(const msd_problem *problem, Pass &pass) {
  const msd_error wrong = check_problem(problem);
  if (wrong != MSD_OK) return wrong;
  if (problem->map_dtype == MSD_MAPS_BFLOAT16 && compute_capability() < 8) return MSD_UNSUPPORTED;
  Network &network = pass.network;
  network.in_channels = problem->in_channels;
  network.depth = problem->depth;
  network.width = problem->width;
  network.n_classes = problem->n_classes;
  Geometry &g = network.geometry;
  network.taps = problem->ndim == 3 ? 27 : 9;
  g.plane = problem->sizes[0] * problem->sizes[1] * problem->sizes[2];
  g.batch = problem->batch;
  // 32-bit offsets within a plane, with room for one mirror image on either side.
  if (g.plane > max_grid_x / 4 || g.batch * g.plane / block_threads >= max_grid_x) return MSD_UNSUPPORTED;
  if (network.maps() > (problem->ndim == 3 ? max_grid_yz : 4 * max_grid_yz) || problem->n_classes > max_grid_yz ||
      problem->width > max_grid_yz || problem->in_channels > max_grid_yz) {
    return MSD_UNSUPPORTED;
  }
  // copy_input.cu has a thread for each number of the images; both factors are below 2^40 here.
  if (g.batch * g.plane / block_threads >= max_grid_x / problem->in_channels) return MSD_UNSUPPORTED;
  g.depth = static_cast<int32_t>(problem->sizes[0]);
  g.height = static_cast<int32_t>(problem->sizes[1]);
  g.width = static_cast<int32_t>(problem->sizes[2]);
  g.boundary = problem->boundary;
  // Blocks of threads for each row, and for pieces of it.
  if (g.batch * g.depth * g.height > max_grid_x || g.width > max_grid_yz * warp_pixels) return MSD_UNSUPPORTED;
  g.by_depth = Divisor(g.depth);
  g.by_height = Divisor(g.height);
  g.by_width = Divisor(g.width);
  for (int64_t q = 0; q < network.channels(); ++q) {
    const Step step = {problem->ndim == 3 ? reduced_dilation(dilation_along_z(*problem, q), g.depth, g.boundary) : 0,
                       reduced_dilation(problem->dilations[q], g.height, g.boundary),
                       reduced_dilation(problem->dilations[q], g.width, g.boundary)};
    pass.steps.push_back(step);
  }
  const bool wide = problem->dtype == MSD_FLOAT64;
  const int64_t item = wide ? 8 : problem->map_dtype == MSD_MAPS_AS_DTYPE ? 4 : 2;
  pass.blocked = !wide;
  const int64_t fit = pixels_together / g.plane > 1 ? pixels_together / g.plane : 1;
  pass.images_together = problem->keep_maps || g.batch < fit ? g.batch : fit;
  pass.sums = plan_sums(network);
  pass.blocks.push_back(first_block(network));
  while (pass.blocks.back().first_layer + pass.blocks.back().layers < network.depth) {
    pass.blocks.push_back(next_block(network, pass.blocks.back()));
  }
  for (const Block &block : pass.blocks) {
    if (block.channels > pass.most_channels) pass.most_channels = block.channels;
  }
  const int64_t forward_rows = forward_end(network, pass.blocks.back());
  const int64_t backward_rows = pass.blocked ? backward_end(network, pass.blocks.back()) : 0;
  if (forward_rows + backward_rows > max_grid_x) return MSD_UNSUPPORTED;
  pass.forward_bytes = aligned(forward_rows * packed_channels * (wide ? 8 : 4));
  pass.matrices_bytes = item == 2 ? aligned(forward_rows * packed_matrix * item) : 0;
  pass.backward_bytes = aligned(backward_rows * network.taps * block_channels * 4);
  const int64_t block_plane = pass.blocked ? pass.most_channels * g.plane * 4 : 0;
  pass.steps_bytes = aligned(network.channels() * static_cast<int64_t>(sizeof(Step)));
  pass.rows_bytes = 0;
  if (pass.blocked && pass.blocks.size() > 1) {
    pass.rows_bytes = aligned(product({pass.images_together, network.taps / 3, block_plane}));
  }
  if (problem->schedule == MSD_COOPERATIVE) {
    find_most_bands(*problem, pass);
    if (pass.most_forward_bands == 0 || pass.most_backward_bands == 0) return MSD_UNSUPPORTED;
    const int64_t most =
        pass.most_forward_bands > pass.most_backward_bands ? pass.most_forward_bands : pass.most_backward_bands;
    pass.flags_bytes = aligned(most * flag_stride * static_cast<int64_t>(sizeof(unsigned)));
  }
  pass.maps_bytes = product({pass.images_together, network.maps(), g.plane, item});
  pass.partials_bytes = aligned(product({pass.sums.partials, network.parameters(), 8}));
  pass.gradients_bytes = aligned(product({g.batch, block_plane}));
  pass.deltas_bytes = product({g.batch, network.channels(), g.plane, item});
  return MSD_OK;
}

template <class Call>
int32_t guarded(Call &&call) {
  keep_last_error("");
  try {
    return call();
  } catch (const std::bad_alloc &) {
    return MSD_OUT_OF_MEMORY;
  } catch (const std::exception &error) {
    keep_last_error(error.what());
    return MSD_INTERNAL;
  } catch (...) {
    return MSD_INTERNAL;
  }
}

// The code for what CUDA answered; its name is kept.
int32_t named(cudaError_t result, int32_t code) {
  if (result != cudaSuccess) keep_last_error(cudaGetErrorName(result));
  return code;
}

int32_t launch_result() {
  const cudaError_t result = cudaGetLastError();
  return named(result, result == cudaSuccess ? MSD_OK : MSD_DEVICE_FAILED);
}

// Images that are computed together, and the number of the first, group by group.
template <class Call>
void for_each_group(const Pass &pass, Call &&call) {
  const int64_t batch = pass.network.geometry.batch;
  for (int64_t image = 0; image < batch; image += pass.images_together) {
    Network network = pass.network;
    network.geometry.batch = batch - image < pass.images_together ? batch - image : pass.images_together;
    call(network, image);
  }
}

template <class S>
int32_t forward(const Pass &pass, const Compute<S> *input, const Compute<S> *weight, const Compute<S> *bias,
                const Compute<S> *output_weight, const Compute<S> *output_bias, S *maps, Compute<S> *logits,
                void *workspace, cudaStream_t stream) {
  char *memory = static_cast<char *>(workspace);
  PackedWeights<S> weights = {};
  weights.forward = reinterpret_cast<Compute<S> *>(memory);
  memory += pass.forward_bytes;
  if (pass.matrices_bytes) weights.matrices = reinterpret_cast<S *>(memory);
  float *rows = reinterpret_cast<float *>(memory + pass.matrices_bytes);
  const Step *steps = pass.steps.data();
  if constexpr (!std::is_same_v<S, double>) {
    if (pass.most_forward_bands > 0) {
      memory += pass.matrices_bytes + pass.rows_bytes;
      Step *on_device = reinterpret_cast<Step *>(memory);
      Flags flags = {reinterpret_cast<unsigned *>(memory + pass.steps_bytes), given_up_flag(), 0};
      if (!flags.given_up) return named(cudaGetLastError(), MSD_DEVICE_FAILED);
      pack_weights(pass.network, weight, weights, stream);
      upload_steps(steps, pass.network.channels(), on_device, flags.reached, pass.most_forward_bands, stream);
      for_each_group(pass, [&](const Network &network, int64_t image) {
        const int64_t plane = network.geometry.plane;
        forward_cooperative(network, pass.reach_x(), pass.most_forward_bands, weights, flags, on_device,
                            input + image * network.in_channels * plane, bias, output_weight, output_bias, maps, rows,
                            logits + image * network.n_classes * plane, stream);
        // As many as a pass has phases, or more.
        flags.first_epoch += static_cast<unsigned>(2 * network.depth + 1);
      });
      return launch_result();
    }
  }
  pack_weights(pass.network, weight, weights, stream);
  for_each_group(pass, [&](const Network &network, int64_t image) {
    const Geometry &g = network.geometry;
    copy_input(network, input + image * network.in_channels * g.plane, maps, stream);
    for (const Block &block : pass.blocks) {
      bool swept = false;
      if constexpr (!std::is_same_v<S, double>) {
        swept = block.first_layer > 0 && block.maps_outside >= least_to_sweep &&
                forward_sweep(network, block, pass.reach_x(block), weights, steps, maps, rows, stream);
      }
      for (int32_t layer = block.first_layer; layer < block.first_layer + block.layers; ++layer) {
        forward_layer(network, block, layer, weights, bias, steps, swept ? rows : nullptr, maps, stream);
      }
    }
    output_layer(network, maps, output_weight, output_bias, logits + image * network.n_classes * g.plane, stream);
  });
  return launch_result();
}

template <class S>
int32_t backward(const Pass &pass, const Compute<S> *grad_logits, const S *maps, const Compute<S> *weight,
                 const Compute<S> *output_weight, Compute<S> *grad_input, Compute<S> *grad_weight,
                 Compute<S> *grad_bias, Compute<S> *grad_output_weight, Compute<S> *grad_output_bias, void *workspace,
                 cudaStream_t stream) {
  const Network &network = pass.network;
  const int64_t channels = network.channels();
  char *memory = static_cast<char *>(workspace);
  PackedWeights<S> weights_packed = {};
  weights_packed.forward = reinterpret_cast<Compute<S> *>(memory);
  memory += pass.forward_bytes;
  if (pass.blocked) weights_packed.backward = reinterpret_cast<float *>(memory);
  Step *steps = reinterpret_cast<Step *>(memory += pass.backward_bytes);
  double *partials = reinterpret_cast<double *>(memory += pass.steps_bytes);
  float *gradients = reinterpret_cast<float *>(memory += pass.partials_bytes);
  S *deltas = reinterpret_cast<S *>(memory += pass.gradients_bytes);
  if (network.geometry.batch > 0) {
    Flags flags = {reinterpret_cast<unsigned *>(memory + aligned(pass.deltas_bytes)), nullptr, 0};
    upload_steps(pass.steps.data(), channels, steps, flags.reached, pass.most_backward_bands, stream);
    pack_weights(network, weight, weights_packed, stream);
    // Gradients of n maps from everything at and behind `channel`, if that is anything.
    const auto sweep = [&](int64_t first_map, int32_t n, int64_t channel, int64_t start, auto *into) {
      if constexpr (!std::is_same_v<S, double>) {
        if (channel == channels) return false;
        const float *packed = weights_packed.backward + start * network.taps * block_channels;
        backward_sweep(network, first_map, n, channel, grad_logits, output_weight, packed, steps, deltas, into, stream);
        return true;
      }
      return false;
    };
    bool staged = true;
    if constexpr (!std::is_same_v<S, double>) {
      if (pass.most_backward_bands > 0) {
        flags.given_up = given_up_flag();
        if (!flags.given_up) return named(cudaGetLastError(), MSD_DEVICE_FAILED);
        const int64_t per_image = pass.most_channels;
        backward_cooperative(network, pass.blocks.back(), pass.most_backward_bands, weights_packed, flags, steps,
                             grad_logits, output_weight, maps, gradients, per_image, deltas, grad_input, stream);
        staged = false;
      }
    }
    for (size_t i = staged ? pass.blocks.size() : 0; i-- > 0;) {
      const Block &block = pass.blocks[i];
      const bool swept =
          sweep(block.maps_outside, block.channels, block.end_channel(), block.backward_start, gradients);
      for (int32_t layer = block.first_layer + block.layers - 1; layer >= block.first_layer; --layer) {
        backward_layer(network, block, layer, grad_logits, output_weight, weights_packed, pass.steps.data(), steps,
                       maps, swept ? gradients : nullptr, deltas, grad_input, stream);
      }
    }
    if (staged && grad_input && !sweep(0, network.in_channels, 0, 0, grad_input)) {
      backward_layer(network, pass.blocks.front(), -1, grad_logits, output_weight, weights_packed, pass.steps.data(),
                     steps, maps, static_cast<const float *>(nullptr), deltas, grad_input, stream);
    }
    backward_weights(network, pass.sums, maps, static_cast<const S *>(deltas), steps, partials, stream);
    backward_output_weights(network, pass.sums, maps, grad_logits, partials, stream);
  }
  const ParameterGradients<Compute<S>> gradients_of_parameters = {
      {grad_weight, grad_bias, grad_output_weight, grad_output_bias},
      {network.weights(), channels, network.n_classes * network.maps(), network.n_classes}};
  reduce_partials(static_cast<const double *>(partials), pass.sums.partials, network.parameters(),
                  gradients_of_parameters, stream);
  return launch_result();
}

}  // namespace

extern "C" {

int32_t msd_abi_version(void) { return MSD_ABI_VERSION; }
const char *msd_version(void) { return NAPARI_MSD_VERSION; }
const char *msd_kind(void) { return NAPARI_MSD_KIND; }
const char *msd_variant(void) { return NAPARI_MSD_TARGETS; }
const char *msd_error_text(int32_t error) {
  if (error == MSD_OLD_DRIVER) {
    return CUDART_VERSION >= 13000 ? "the NVIDIA driver is too old: version 580 or newer is needed"
                                   : "the NVIDIA driver is too old: version 525 or newer is needed";
  }
  if (error == MSD_OLD_DEVICE)
    return "it has no code for this GPU; compute capability 7.5 (Turing, 2018) or newer is needed";
  return error_text(error);
}
const char *msd_last_error(void) { return last_error_text; }

int32_t msd_probe(int32_t device) {
  keep_last_error("");
  int driver = 0, devices = 0, current = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return MSD_NO_DEVICE;
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted == cudaErrorInsufficientDriver) return MSD_OLD_DRIVER;
  if (counted != cudaSuccess || device < 0 || device >= devices) return MSD_NO_DEVICE;
  cudaError_t result = cudaGetDevice(&current);
  if (result == cudaSuccess) result = cudaSetDevice(device);
  if (result != cudaSuccess) return named(result, MSD_DEVICE_FAILED);
  // The driver also lists GPUs that this library was not compiled for.
  const cudaError_t code = find_code();
  result = cudaSetDevice(current);
  (void)cudaGetLastError();  // so that no later pass takes this failure for its own
  if (code == cudaErrorNoKernelImageForDevice || code == cudaErrorInvalidDeviceFunction) return MSD_OLD_DEVICE;
  if (code != cudaSuccess) result = code;
  return named(result, result == cudaSuccess ? MSD_OK : MSD_DEVICE_FAILED);
}

int32_t msd_check_waits(void *stream) {
  keep_last_error("");
  bool given_up = false;
  const cudaError_t result = take_given_up(given_up, static_cast<cudaStream_t>(stream));
  if (result == cudaSuccess && given_up) {
    keep_last_error("blocks of threads gave up waiting for one another");
    return MSD_DEVICE_FAILED;
  }
  return named(result, result == cudaSuccess ? MSD_OK : MSD_DEVICE_FAILED);
}

int32_t msd_memory_needed(const msd_problem *problem, msd_memory *memory) {
  return guarded([&]() -> int32_t {
    Pass pass;
    const msd_error wrong = plan_pass(problem, pass);
    if (wrong != MSD_OK || !memory) return wrong != MSD_OK ? wrong : MSD_BAD_ARGUMENT;
    memory->maps = pass.maps_bytes;
    memory->forward_workspace = pass.forward_bytes + pass.matrices_bytes + pass.rows_bytes +
                                (problem->schedule == MSD_COOPERATIVE ? pass.steps_bytes + pass.flags_bytes : 0);
    memory->backward_workspace = problem->keep_maps ? pass.forward_bytes + pass.backward_bytes + pass.steps_bytes +
                                                          pass.partials_bytes + pass.gradients_bytes +
                                                          aligned(pass.deltas_bytes) + pass.flags_bytes
                                                    : 0;
    return MSD_OK;
  });
}

int32_t msd_forward(const msd_problem *problem, const void *input, const void *weight, const void *bias,
                    const void *output_weight, const void *output_bias, void *maps, void *logits, void *workspace,
                    void *stream) {
  return guarded([&]() -> int32_t {
    Pass pass;
    const msd_error wrong = plan_pass(problem, pass);
    launches_overlap = compute_capability() >= 9;
    if (wrong != MSD_OK || problem->batch == 0) return wrong;
    if (!input || !weight || !bias || !output_weight || !output_bias || !maps || !logits || !workspace) {
      return MSD_BAD_ARGUMENT;
    }
    return with_storage(*problem, [&](auto storage) {
      using S = typename decltype(storage)::type;
      const auto in = [](const void *array) { return static_cast<const Compute<S> *>(array); };
      return forward<S>(pass, in(input), in(weight), in(bias), in(output_weight), in(output_bias),
                        static_cast<S *>(maps), static_cast<Compute<S> *>(logits), workspace,
                        static_cast<cudaStream_t>(stream));
    });
  });
}

int32_t msd_backward(const msd_problem *problem, const void *grad_logits, const void *maps, const void *weight,
                     const void *output_weight, void *grad_input, void *grad_weight, void *grad_bias,
                     void *grad_output_weight, void *grad_output_bias, void *workspace, void *stream) {
  return guarded([&]() -> int32_t {
    Pass pass;
    const msd_error wrong = plan_pass(problem, pass);
    launches_overlap = compute_capability() >= 9;
    if (wrong != MSD_OK) return wrong;
    if (!weight || !output_weight || !grad_weight || !grad_bias || !grad_output_weight || !grad_output_bias ||
        !workspace || (problem->batch > 0 && (!grad_logits || !maps))) {
      return MSD_BAD_ARGUMENT;
    }
    return with_storage(*problem, [&](auto storage) {
      using S = typename decltype(storage)::type;
      const auto in = [](const void *array) { return static_cast<const Compute<S> *>(array); };
      const auto out = [](void *array) { return static_cast<Compute<S> *>(array); };
      return backward<S>(pass, in(grad_logits), static_cast<const S *>(maps), in(weight), in(output_weight),
                         out(grad_input), out(grad_weight), out(grad_bias), out(grad_output_weight),
                         out(grad_output_bias), workspace, static_cast<cudaStream_t>(stream));
    });
  });
}

int32_t msd_fma_work(int32_t dtype, int32_t, int64_t rounds, double *flops, void *sink, void *stream) {
  keep_last_error("");
  if (rounds < 0 || !flops || !sink) return MSD_BAD_ARGUMENT;
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  *flops = dtype == MSD_FLOAT64 ? fma_work(rounds, static_cast<double *>(sink), on)
                                : fma_work(rounds, static_cast<float *>(sink), on);
  return launch_result();
}

int32_t msd_handover(int64_t, double *) { return MSD_UNSUPPORTED; }

}  // extern "C"
