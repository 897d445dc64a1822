// Both passes of the CPU core over many small problems, to be compiled with sanitizers (tests/native/
// test_sanitizers.py). Every array is a heap block of exactly the size that the ABI asks for, so a read or write
// beyond it is seen. Checks no numbers but that none is left unwritten; the other tests compare those.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "napari_msd.h"
#include "thread_pool.h"

namespace {

struct Free {
  void *memory;
  ~Free() { std::free(memory); }
};

// NaN everywhere: a number that is used before it is written shows up in the result.
template <class T>
T *aligned(int64_t bytes, std::vector<Free *> &all) {
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, static_cast<size_t>(bytes > 0 ? bytes : 64)) != 0) std::abort();
  all.push_back(new Free{memory});
  for (int64_t i = 0; i < bytes / static_cast<int64_t>(sizeof(T)); ++i) static_cast<T *>(memory)[i] = T(NAN);
  return static_cast<T *>(memory);
}

double next_number() {
  static uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(state >> 40) / (1 << 24) - 0.5;
}

template <class T>
std::vector<T> random_numbers(int64_t count) {
  std::vector<T> numbers(static_cast<size_t>(count));
  for (T &number : numbers) number = static_cast<T>(0.3 * next_number());
  return numbers;
}

template <class T>
bool complete(const std::vector<T> &numbers) {
  for (const T number : numbers) {
    if (std::isnan(number)) return false;
  }
  return true;
}

template <class T>
bool run(msd_problem problem) {
  const int64_t channels = static_cast<int64_t>(problem.depth) * problem.width, maps = problem.in_channels + channels;
  const int64_t taps = problem.ndim == 3 ? 27 : 9;
  int64_t weights = 0;
  for (int64_t q = 0; q < channels; ++q) weights += taps * (problem.in_channels + q / problem.width * problem.width);
  const int64_t pixels = problem.batch * problem.sizes[0] * problem.sizes[1] * problem.sizes[2];
  const auto input = random_numbers<T>(pixels * problem.in_channels), weight = random_numbers<T>(weights);
  const auto bias = random_numbers<T>(channels), output_weight = random_numbers<T>(problem.n_classes * maps);
  const auto output_bias = random_numbers<T>(problem.n_classes), grad = random_numbers<T>(pixels * problem.n_classes);
  const std::vector<T> none;
  std::vector<T> logits(grad.size(), T(NAN)), grad_input(input.size(), T(NAN)), grad_weight(weight.size(), T(NAN));
  std::vector<T> grad_bias(bias.size(), T(NAN)), grad_output_weight(output_weight.size(), T(NAN));
  std::vector<T> grad_output_bias(output_bias.size(), T(NAN));
  std::vector<Free *> all;
  bool ok = true;
  for (const int keep : {0, 1}) {
    problem.keep_maps = keep;
    msd_memory memory;
    ok = ok && msd_memory_needed(&problem, &memory) == MSD_OK;
    T *kept = aligned<T>(memory.maps, all);
    ok = ok && msd_forward(&problem, input.data(), weight.data(), bias.data(), output_weight.data(), output_bias.data(),
                           kept, logits.data(), aligned<T>(memory.forward_workspace, all), nullptr) == MSD_OK;
    if (!keep) continue;
    ok = ok && msd_backward(&problem, grad.data(), kept, weight.data(), output_weight.data(), grad_input.data(),
                            grad_weight.data(), grad_bias.data(), grad_output_weight.data(), grad_output_bias.data(),
                            aligned<T>(memory.backward_workspace, all), nullptr) == MSD_OK;
  }
  for (Free *block : all) delete block;
  return ok && complete(logits) && complete(grad_input) && complete(grad_weight) && complete(grad_bias) &&
         complete(grad_output_weight) && complete(grad_output_bias);
}

}  // namespace

int main() {
  napari_msd::set_up_pool(nullptr, 64);  // as many threads as asked for, however few cores there are
  struct Shape {
    int ndim;
    int64_t sizes[3];
  };
  const Shape shapes[] = {{2, {1, 1, 1}},    {2, {1, 2, 3}}, {2, {1, 17, 15}}, {2, {1, 3, 129}},
                          {2, {1, 129, 16}}, {3, {1, 2, 3}}, {3, {5, 4, 17}},  {2, {1, 40, 65}}};
  const std::vector<int32_t> dilations = {1, 40, 3, 16, 2, 7, 15, 64, 5, 10, 1, 2, 8, 4, 1};
  int problems = 0;
  for (const Shape &shape : shapes) {
    for (const int boundary : {MSD_REFLECT, MSD_SYMMETRIC, MSD_ZEROS}) {
      for (const int width : {1, 3}) {
        for (const int threads : {1, 2, 3}) {
          msd_problem problem = {};
          problem.batch = threads == 2 ? 3 : 1;
          for (int i = 0; i < 3; ++i) problem.sizes[i] = shape.sizes[i];
          problem.dilations = dilations.data();
          problem.in_channels = width;
          problem.depth = width == 1 ? 14 : 4;
          problem.width = width;
          problem.n_classes = 2 * width + 3;
          problem.ndim = shape.ndim;
          problem.boundary = boundary;
          problem.threads = threads;
          // Of some volumes, along z other dilations than along y and x, also beyond the volume.
          if (shape.ndim == 3 && threads > 1) problem.dilations_z = dilations.data() + 1;
          for (const int dtype : {MSD_FLOAT32, MSD_FLOAT64}) {
            problem.dtype = dtype;
            if (!(dtype == MSD_FLOAT64 ? run<double>(problem) : run<float>(problem))) {
              std::printf("failed: %d x %d x %d, boundary %d, width %d, threads %d, dtype %d\n",
                          static_cast<int>(shape.sizes[0]), static_cast<int>(shape.sizes[1]),
                          static_cast<int>(shape.sizes[2]), boundary, width, threads, dtype);
              return 1;
            }
            ++problems;
          }
        }
      }
    }
  }
  // Maps that no cache holds, more than 32 of them before the first layer, and a team of five.
  msd_problem large = {};
  large.batch = large.width = large.n_classes = 1;
  large.sizes[0] = 1;
  large.sizes[1] = 3100;
  large.sizes[2] = 9;
  large.dilations = dilations.data() + 8;
  large.in_channels = 40;
  large.depth = 3;
  large.ndim = 2;
  large.threads = 5;
  if (!run<float>(large)) {
    std::printf("failed: a large image behind 40 channels\n");
    return 1;
  }
  ++problems;
  std::printf("%s: %d problems\n", msd_variant(), problems);
  return 0;
}
