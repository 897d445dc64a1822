// The C ABI of the CUDA core: checks, memory plan, and the order of launches. Nothing here waits for the GPU.
//
// Memory: maps (batch, all maps, plane) as they are; the backward workspace holds as many deltas as there are
// hidden maps, the partial sums of parameter gradients, and the table of dilations.
#include <cstddef>
#include <new>
#include <vector>

#include "check_problem.h"
#include "network.cuh"

namespace {

using namespace napari_msd;

constexpr int64_t alignment = 256;
constexpr int64_t max_grid_x = 0x7fffffff, max_grid_yz = 0xffff;

int64_t aligned(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

struct Pass {
  Network network;
  SumPlan sums;
  int64_t item, steps_bytes, deltas_bytes, partials_bytes;
  std::vector<Step> steps;
};

msd_error plan_pass(const msd_problem *problem, Pass &pass) {
  const msd_error wrong = check_problem(problem);
  if (wrong != MSD_OK) return wrong;
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
  if (network.maps() > (problem->ndim == 3 ? max_grid_yz : 4 * max_grid_yz) || problem->n_classes > max_grid_yz || problem->width > max_grid_yz ||
      problem->in_channels > max_grid_yz) {
    return MSD_UNSUPPORTED;
  }
  g.depth = static_cast<int32_t>(problem->sizes[0]);
  g.height = static_cast<int32_t>(problem->sizes[1]);
  g.width = static_cast<int32_t>(problem->sizes[2]);
  g.boundary = problem->boundary;
  g.reach_z = g.reach_y = g.reach_x = 0;
  for (int64_t q = 0; q < network.channels(); ++q) {
    const Step step = {problem->ndim == 3 ? reduced_dilation(problem->dilations[q], g.depth, g.boundary) : 0,
                       reduced_dilation(problem->dilations[q], g.height, g.boundary),
                       reduced_dilation(problem->dilations[q], g.width, g.boundary)};
    const int32_t reach_y = step.y < 0 ? -step.y : step.y, reach_x = step.x < 0 ? -step.x : step.x;
    const int32_t reach_z = step.z < 0 ? -step.z : step.z;
    if (reach_z > g.reach_z) g.reach_z = reach_z;
    if (reach_y > g.reach_y) g.reach_y = reach_y;
    if (reach_x > g.reach_x) g.reach_x = reach_x;
    pass.steps.push_back(step);
  }
  pass.sums = plan_sums(g);
  pass.item = problem->dtype == MSD_FLOAT64 ? 8 : 4;
  pass.steps_bytes = aligned(network.channels() * static_cast<int64_t>(sizeof(Step)));
  pass.deltas_bytes = aligned(g.batch * network.channels() * g.plane * pass.item);
  pass.partials_bytes = aligned(pass.sums.partials * network.parameters() * 8);
  return MSD_OK;
}

template <class Call>
int32_t guarded(Call &&call) {
  try {
    return call();
  } catch (const std::bad_alloc &) {
    return MSD_OUT_OF_MEMORY;
  } catch (...) {
    return MSD_INTERNAL;
  }
}

int32_t launch_result() { return cudaGetLastError() == cudaSuccess ? MSD_OK : MSD_DEVICE_FAILED; }

template <class T>
int32_t forward(const Pass &pass, const T *input, const T *weight, const T *bias, const T *output_weight,
                const T *output_bias, T *maps, T *logits, void *workspace, cudaStream_t stream) {
  const Network &network = pass.network;
  const int64_t input_bytes = network.in_channels * network.geometry.plane * pass.item;
  const int64_t maps_bytes = network.maps() * network.geometry.plane * pass.item;
  if (cudaMemcpy2DAsync(maps, static_cast<size_t>(maps_bytes), input, static_cast<size_t>(input_bytes),
                        static_cast<size_t>(input_bytes), static_cast<size_t>(network.geometry.batch),
                        cudaMemcpyDeviceToDevice, stream) != cudaSuccess) {
    return MSD_DEVICE_FAILED;
  }
  Step *steps = static_cast<Step *>(workspace);
  upload_steps(pass.steps.data(), network.channels(), steps, stream);
  for (int32_t layer = 0; layer < network.depth; ++layer) {
    forward_layer(network, layer, weight, bias, steps, maps, stream);
  }
  output_layer(network, static_cast<const T *>(maps), output_weight, output_bias, logits, stream);
  return launch_result();
}

template <class T>
int32_t backward(const Pass &pass, const T *grad_logits, const T *maps, const T *weight, const T *output_weight,
                 T *grad_input, T *grad_weight, T *grad_bias, T *grad_output_weight, T *grad_output_bias,
                 void *workspace, cudaStream_t stream) {
  const Network &network = pass.network;
  const int64_t weights = network.weights(), channels = network.channels();
  const int64_t output_weights = network.n_classes * network.maps();
  char *memory = static_cast<char *>(workspace);
  Step *steps = reinterpret_cast<Step *>(memory);
  double *partials = reinterpret_cast<double *>(memory + pass.steps_bytes);
  T *deltas = reinterpret_cast<T *>(memory + pass.steps_bytes + pass.partials_bytes);
  if (network.geometry.batch > 0) {
    upload_steps(pass.steps.data(), channels, steps, stream);
    for (int32_t layer = network.depth - 1; layer >= (grad_input ? -1 : 0); --layer) {
      backward_data(network, layer, grad_logits, output_weight, weight, static_cast<const Step *>(steps), maps,
                    deltas, grad_input, stream);
    }
    backward_weights(network, pass.sums, maps, static_cast<const T *>(deltas), static_cast<const Step *>(steps),
                     partials, stream);
    backward_output_weights(network, pass.sums, maps, grad_logits, partials, stream);
  }
  const auto reduce = [&](int64_t first, int64_t count, T *gradient) {
    reduce_partials(static_cast<const double *>(partials), pass.sums.partials, network.parameters(), first, count,
                    gradient, stream);
  };
  reduce(0, weights, grad_weight);
  reduce(weights, channels, grad_bias);
  reduce(weights + channels, output_weights, grad_output_weight);
  reduce(weights + channels + output_weights, network.n_classes, grad_output_bias);
  return launch_result();
}

}  // namespace

extern "C" {

int32_t msd_abi_version(void) { return MSD_ABI_VERSION; }
const char *msd_version(void) { return NAPARI_MSD_VERSION; }
const char *msd_kind(void) { return NAPARI_MSD_KIND; }
const char *msd_variant(void) { return NAPARI_MSD_TARGETS; }
const char *msd_error_text(int32_t error) { return error_text(error); }

int32_t msd_probe(void) {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0 ? MSD_OK : MSD_NO_DEVICE;
}

int32_t msd_memory_needed(const msd_problem *problem, msd_memory *memory) {
  return guarded([&]() -> int32_t {
    Pass pass;
    const msd_error wrong = plan_pass(problem, pass);
    if (wrong != MSD_OK || !memory) return wrong != MSD_OK ? wrong : MSD_BAD_ARGUMENT;
    memory->maps = problem->batch * pass.network.maps() * pass.network.geometry.plane * pass.item;
    memory->forward_workspace = pass.steps_bytes;
    memory->backward_workspace = pass.steps_bytes + pass.partials_bytes + pass.deltas_bytes;
    return MSD_OK;
  });
}

int32_t msd_forward(const msd_problem *problem, const void *input, const void *weight, const void *bias,
                    const void *output_weight, const void *output_bias, void *maps, void *logits,
                    void *workspace, void *stream) {
  return guarded([&]() -> int32_t {
    Pass pass;
    const msd_error wrong = plan_pass(problem, pass);
    if (wrong != MSD_OK || problem->batch == 0) return wrong;
    if (!input || !weight || !bias || !output_weight || !output_bias || !maps || !logits || !workspace) {
      return MSD_BAD_ARGUMENT;
    }
    const auto run = [&](auto zero) {
      using T = decltype(zero);
      const auto in = [](const void *array) { return static_cast<const T *>(array); };
      return forward<T>(pass, in(input), in(weight), in(bias), in(output_weight), in(output_bias),
                        static_cast<T *>(maps), static_cast<T *>(logits), workspace,
                        static_cast<cudaStream_t>(stream));
    };
    return problem->dtype == MSD_FLOAT64 ? run(0.0) : run(0.0f);
  });
}

int32_t msd_backward(const msd_problem *problem, const void *grad_logits, const void *maps, const void *weight,
                     const void *output_weight, void *grad_input, void *grad_weight, void *grad_bias,
                     void *grad_output_weight, void *grad_output_bias, void *workspace, void *stream) {
  return guarded([&]() -> int32_t {
    Pass pass;
    const msd_error wrong = plan_pass(problem, pass);
    if (wrong != MSD_OK) return wrong;
    if (!weight || !output_weight || !grad_weight || !grad_bias || !grad_output_weight || !grad_output_bias ||
        !workspace || (problem->batch > 0 && (!grad_logits || !maps))) {
      return MSD_BAD_ARGUMENT;
    }
    const auto run = [&](auto zero) {
      using T = decltype(zero);
      const auto in = [](const void *array) { return static_cast<const T *>(array); };
      const auto out = [](void *array) { return static_cast<T *>(array); };
      return backward<T>(pass, in(grad_logits), in(maps), in(weight), in(output_weight), out(grad_input),
                         out(grad_weight), out(grad_bias), out(grad_output_weight), out(grad_output_bias),
                         workspace, static_cast<cudaStream_t>(stream));
    };
    return problem->dtype == MSD_FLOAT64 ? run(0.0) : run(0.0f);
  });
}

int32_t msd_fma_work(int32_t dtype, int32_t, int64_t rounds, double *flops, void *sink, void *stream) {
  if (rounds < 0 || !flops || !sink) return MSD_BAD_ARGUMENT;
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  *flops = dtype == MSD_FLOAT64 ? fma_work(rounds, static_cast<double *>(sink), on)
                                : fma_work(rounds, static_cast<float *>(sink), on);
  return launch_result();
}

}  // extern "C"
