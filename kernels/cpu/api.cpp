// The C ABI of the CPU core: checks, then hands over; no exception gets out.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <new>
#include <vector>

#include "check_problem.h"
#include "dispatch.h"
#include "handover.h"
#include "huge_pages.h"
#include "last_error.h"
#include "passes.h"
#include "thread_pool.h"
#include "trace.h"

namespace {

using namespace napari_msd;

msd_error check(const msd_problem *problem) {
  const msd_error wrong = check_problem(problem);
  if (wrong == MSD_OK && problem->map_dtype != MSD_MAPS_AS_DTYPE) return MSD_UNSUPPORTED;
  return wrong;
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

bool any_null(std::initializer_list<const void *> pointers) {
  return std::find(pointers.begin(), pointers.end(), nullptr) != pointers.end();
}

template <class T>
void clear(void *array, int64_t count) {
  std::fill_n(static_cast<T *>(array), count, T(0));
}

void trace(const char *pass, const Plan &plan, LayerBlocks Bands::*way) {
  if (!tracing()) return;
  const LayerBlocks &blocks = (plan.rounds > 0 ? plan.whole : plan.parted).*way;
  std::fprintf(
      stderr,
      "napari_msd: %s (%s), %lld images of %lld rows of %lld: %d lanes with %lld each, then %d by teams of %d; "
      "%d blocks of up to %lld channels, rings of %lld rows\n",
      pass, variant_name(), static_cast<long long>(plan.problem.batch), static_cast<long long>(plan.rows),
      static_cast<long long>(plan.width), plan.threads, static_cast<long long>(plan.rounds), plan.rest, plan.team,
      static_cast<int>(blocks.all.size()), static_cast<long long>(blocks.channels),
      static_cast<long long>(blocks.ring_rows));
}

template <class T>
msd_error backward(const Plan &plan, const BackwardArrays<T> &arrays) {
  if (plan.problem.batch > 0) return backward_pass<T>(plan, arrays);
  clear<T>(arrays.grad_weight, plan.weights);
  clear<T>(arrays.grad_bias, plan.channels);
  clear<T>(arrays.grad_output_weight, plan.problem.n_classes * plan.maps);
  clear<T>(arrays.grad_output_bias, plan.problem.n_classes);
  return MSD_OK;
}

template <class T>
void fma_work(int threads, int64_t rounds, double *flops, void *sink) {
  struct Job {
    int64_t rounds;
    std::vector<double> totals;
    std::atomic<int> next{0};
  } job{rounds, std::vector<double>(static_cast<size_t>(threads)), {}};
  const auto work = [](void *context, int) {
    Job &all = *static_cast<Job *>(context);
    const int n = static_cast<int>(all.totals.size());
    for (int mine = all.next++; mine < n; mine = all.next++) {
      all.totals[static_cast<size_t>(mine)] = kernels<T>().fma_work(all.rounds);
    }
  };
  run_in_parallel(threads, work, &job);
  *flops = static_cast<double>(kernels<T>().fma_flops * rounds) * threads;
  std::memcpy(sink, job.totals.data(), sizeof(double));  // so that no compiler leaves the work out
}

}  // namespace

extern "C" {

int32_t msd_abi_version(void) { return MSD_ABI_VERSION; }
const char *msd_version(void) { return NAPARI_MSD_VERSION; }
const char *msd_kind(void) { return "cpu"; }
const char *msd_variant(void) { return variant_name(); }
const char *msd_error_text(int32_t error) { return error_text(error); }
const char *msd_last_error(void) { return last_error_text; }
int32_t msd_probe(int32_t) { return MSD_OK; }

int32_t msd_memory_needed(const msd_problem *problem, msd_memory *memory) {
  return guarded([&]() -> int32_t {
    const msd_error wrong = check(problem);
    if (wrong != MSD_OK || !memory) return wrong != MSD_OK ? wrong : MSD_BAD_ARGUMENT;
    *memory = Plan(*problem).memory();
    return MSD_OK;
  });
}

int32_t msd_forward(const msd_problem *problem, const void *input, const void *weight, const void *bias,
                    const void *output_weight, const void *output_bias, void *maps, void *logits, void *workspace,
                    void *) {
  return guarded([&]() -> int32_t {
    const msd_error wrong = check(problem);
    if (wrong != MSD_OK || problem->batch == 0) return wrong;
    if (any_null({input, weight, bias, output_weight, output_bias, maps, logits, workspace})) {
      return MSD_BAD_ARGUMENT;
    }
    const Plan plan(*problem);
    trace("forward", plan, &Bands::forward);
    prefer_huge_pages(maps, plan.memory().maps);
    prefer_huge_pages(workspace, plan.memory().forward_workspace);
    const auto run = [&](auto zero) {
      using T = decltype(zero);
      const auto in = [](const void *array) { return static_cast<const T *>(array); };
      return forward_pass<T>(plan, {in(input), in(weight), in(bias), in(output_weight), in(output_bias),
                                    static_cast<T *>(maps), static_cast<T *>(logits), static_cast<T *>(workspace)});
    };
    return problem->dtype == MSD_FLOAT64 ? run(0.0) : run(0.0f);
  });
}

int32_t msd_backward(const msd_problem *problem, const void *grad_logits, const void *maps, const void *weight,
                     const void *output_weight, void *grad_input, void *grad_weight, void *grad_bias,
                     void *grad_output_weight, void *grad_output_bias, void *workspace, void *) {
  return guarded([&]() -> int32_t {
    const msd_error wrong = check(problem);
    if (wrong != MSD_OK) return wrong;
    if (any_null({weight, output_weight, grad_weight, grad_bias, grad_output_weight, grad_output_bias})) {
      return MSD_BAD_ARGUMENT;
    }
    if (problem->batch > 0 && any_null({grad_logits, maps, workspace})) return MSD_BAD_ARGUMENT;
    const Plan plan(*problem);
    trace("backward", plan, &Bands::backward);
    if (problem->batch > 0) prefer_huge_pages(workspace, plan.memory().backward_workspace);
    const auto run = [&](auto zero) {
      using T = decltype(zero);
      const auto in = [](const void *array) { return static_cast<const T *>(array); };
      const auto out = [](void *array) { return static_cast<T *>(array); };
      return backward<T>(plan,
                         {in(grad_logits), in(maps), in(weight), in(output_weight), out(grad_input), out(grad_weight),
                          out(grad_bias), out(grad_output_weight), out(grad_output_bias), out(workspace)});
    };
    return problem->dtype == MSD_FLOAT64 ? run(0.0) : run(0.0f);
  });
}

int32_t msd_check_waits(void *) { return MSD_OK; }

int32_t msd_fma_work(int32_t dtype, int32_t threads, int64_t rounds, double *flops, void *sink, void *) {
  if (threads < 1 || rounds < 0 || !flops || !sink) return MSD_BAD_ARGUMENT;
  return guarded([&]() -> int32_t {
    dtype == MSD_FLOAT64 ? fma_work<double>(threads, rounds, flops, sink)
                         : fma_work<float>(threads, rounds, flops, sink);
    return MSD_OK;
  });
}

int32_t msd_handover(int64_t rounds, double *nanoseconds) {
  if (rounds < 2 || !nanoseconds) return MSD_BAD_ARGUMENT;
  return guarded([&]() -> int32_t {
    *nanoseconds = measure_handover(rounds);
    return MSD_OK;
  });
}

}  // extern "C"
