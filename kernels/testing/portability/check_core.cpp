// The CPU core against the formula of napari_msd.h, written down as plainly as can be: for compilers and processors that
// Python and torch are not at hand for (tools/portability.py). Networks and images are small integers, so that no sum
// rounds and all must be equal to the last bit, whatever the order of sums and the width of registers.
//
// check_core [VARIANT]: fails unless this variant runs, and unless all problems agree.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

#include "napari_msd.h"
#include "thread_pool.h"

namespace {

uint32_t next_bits() {
  static uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(state >> 33);
}

int64_t below(int64_t end) { return static_cast<int64_t>(next_bits()) % end; }

// `count` integers from -most to most.
template <class T>
std::vector<T> integers(int64_t count, int most) {
  std::vector<T> numbers(static_cast<size_t>(count));
  for (T &number : numbers) number = static_cast<T>(below(2 * most + 1) - most);
  return numbers;
}

// `some` places of each row hold 1 or -1, the others 0: values grow slowly from layer to layer.
template <class T>
std::vector<T> sparse(int64_t count, int64_t row, int some) {
  std::vector<T> numbers(static_cast<size_t>(count));
  for (int64_t first = 0; first < count; first += row) {
    for (int i = 0; i < some; ++i) numbers[static_cast<size_t>(first + below(row))] = below(2) ? T(1) : T(-1);
  }
  return numbers;
}

// Memory as the ABI asks for it, NaN everywhere: a number that is used before it is written shows up.
template <class T>
class Aligned {
 public:
  explicit Aligned(int64_t bytes)
      : memory_(static_cast<T *>(::operator new(static_cast<size_t>(bytes > 0 ? bytes : 1), std::align_val_t(64)))) {
    for (int64_t i = 0; i < bytes / static_cast<int64_t>(sizeof(T)); ++i)
      memory_[i] = std::numeric_limits<T>::quiet_NaN();
  }
  ~Aligned() { ::operator delete(memory_, std::align_val_t(64)); }
  Aligned(const Aligned &) = delete;
  Aligned &operator=(const Aligned &) = delete;
  T *get() { return memory_; }

 private:
  T *memory_;
};

// Where a position outside stands for one inside; -1: for nothing.
int64_t fold(int64_t at, int64_t size, int32_t boundary) {
  while (at < 0 || at >= size) {
    if (boundary == MSD_ZEROS) return -1;
    if (size == 1) return 0;
    const int64_t edge = boundary == MSD_REFLECT ? 0 : 1;
    at = at < 0 ? -at - edge : 2 * (size - 1) - at + edge;
  }
  return at;
}

template <class T>
struct Network {
  std::vector<T> weight, bias, output_weight, output_bias;
};

template <class T>
struct Gradients {
  std::vector<T> input, weight, bias, output_weight, output_bias;
};

// One image of a problem, formula by formula.
template <class T>
class Plain {
 public:
  Plain(const msd_problem &problem, const Network<T> &network, const T *input)
      : p_(problem), net_(network), pixels_(p_.sizes[0] * p_.sizes[1] * p_.sizes[2]), taps_(p_.ndim == 3 ? 27 : 9),
        n_maps_(p_.in_channels + p_.depth * p_.width), maps_(static_cast<size_t>(n_maps_ * pixels_)) {
    for (int64_t i = 0; i < p_.in_channels * pixels_; ++i) map(0)[i] = static_cast<double>(input[i]);
    for (int64_t q = 0; q < p_.depth * p_.width; ++q) {
      double *z = map(p_.in_channels + q);
      for (int64_t at = 0; at < pixels_; ++at) z[at] = static_cast<double>(net_.bias[static_cast<size_t>(q)]);
      each_tap(q, [&](int64_t weight, int64_t l, int64_t at, int64_t from) { z[at] += w(weight) * map(l)[from]; });
      for (int64_t at = 0; at < pixels_; ++at) z[at] = z[at] <= 0 ? 0 : z[at];  // NaN stays NaN
    }
  }

  double logit(int64_t k, int64_t at) {
    double sum = static_cast<double>(net_.output_bias[static_cast<size_t>(k)]);
    for (int64_t l = 0; l < n_maps_; ++l) sum += static_cast<double>(output_weight(k, l)) * map(l)[at];
    return sum;
  }

  // Adds to the gradients of parameters, writes this image's.
  void backward(const T *grad_logits, Gradients<double> &to, double *grad_input) {
    std::vector<double> grad(static_cast<size_t>(n_maps_ * pixels_));
    for (int64_t k = 0; k < p_.n_classes; ++k) {
      for (int64_t at = 0; at < pixels_; ++at) {
        const double g = static_cast<double>(grad_logits[k * pixels_ + at]);
        to.output_bias[static_cast<size_t>(k)] += g;
        for (int64_t l = 0; l < n_maps_; ++l) {
          to.output_weight[static_cast<size_t>(k * n_maps_ + l)] += g * map(l)[at];
          grad[static_cast<size_t>(l * pixels_ + at)] += g * static_cast<double>(output_weight(k, l));
        }
      }
    }
    for (int64_t q = p_.depth * p_.width - 1; q >= 0; --q) {
      double *delta = grad.data() + (p_.in_channels + q) * pixels_;
      for (int64_t at = 0; at < pixels_; ++at) {
        if (map(p_.in_channels + q)[at] <= 0) delta[at] = 0;
        to.bias[static_cast<size_t>(q)] += delta[at];
      }
      each_tap(q, [&](int64_t weight, int64_t l, int64_t at, int64_t from) {
        to.weight[static_cast<size_t>(weight)] += delta[at] * map(l)[from];
        grad[static_cast<size_t>(l * pixels_ + from)] += w(weight) * delta[at];
      });
    }
    for (int64_t i = 0; i < p_.in_channels * pixels_; ++i) grad_input[i] = grad[static_cast<size_t>(i)];
  }

 private:
  double *map(int64_t l) { return maps_.data() + l * pixels_; }
  double w(int64_t number) const { return static_cast<double>(net_.weight[static_cast<size_t>(number)]); }
  T output_weight(int64_t k, int64_t l) const { return net_.output_weight[static_cast<size_t>(k * n_maps_ + l)]; }

  // Calls visit(weight's number, map, pixel, pixel that the tap reads) for all taps of channel q inside the image.
  template <class Visit>
  void each_tap(int64_t q, Visit &&visit) {
    const int64_t layer = q / p_.width, before = p_.in_channels + layer * p_.width;
    int64_t weight = taps_ * (q % p_.width) * before;
    for (int64_t i = 0; i < layer; ++i) weight += taps_ * p_.width * (p_.in_channels + i * p_.width);
    const int64_t step = p_.dilations[q], step_z = p_.dilations_z ? p_.dilations_z[q] : step;
    for (int64_t l = 0; l < before; ++l) {
      for (int64_t t = 0; t < taps_; ++t, ++weight) {
        const int64_t move_z = p_.ndim == 3 ? (t / 9 - 1) * step_z : 0;
        for (int64_t z = 0, at = 0; z < p_.sizes[0]; ++z) {
          for (int64_t y = 0; y < p_.sizes[1]; ++y) {
            for (int64_t x = 0; x < p_.sizes[2]; ++x, ++at) {
              const int64_t from_z = fold(z + move_z, p_.sizes[0], p_.boundary);
              const int64_t from_y = fold(y + (t / 3 % 3 - 1) * step, p_.sizes[1], p_.boundary);
              const int64_t from_x = fold(x + (t % 3 - 1) * step, p_.sizes[2], p_.boundary);
              if (from_z < 0 || from_y < 0 || from_x < 0) continue;
              visit(weight, l, at, (from_z * p_.sizes[1] + from_y) * p_.sizes[2] + from_x);
            }
          }
        }
      }
    }
  }

  const msd_problem &p_;
  const Network<T> &net_;
  int64_t pixels_, taps_, n_maps_;
  std::vector<double> maps_;
};

template <class T>
bool same(const char *what, const std::vector<T> &found, const std::vector<double> &wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double number = static_cast<double>(found[i]);
    if (number == wanted[i] || (std::isnan(number) && std::isnan(wanted[i]))) continue;
    std::printf("%s: number %d is %.9g, not %.9g\n", what, static_cast<int>(i), number, wanted[i]);
    return false;
  }
  return true;
}

// With `holes`, some pixels are NaN: then only the logits are compared.
template <class T>
bool agrees(msd_problem problem, bool holes) {
  const int64_t channels = problem.depth * problem.width, n_maps = problem.in_channels + channels;
  const int64_t taps = problem.ndim == 3 ? 27 : 9, pixels = problem.sizes[0] * problem.sizes[1] * problem.sizes[2];
  Network<T> network;
  for (int64_t q = 0; q < channels; ++q) {
    const int64_t count = taps * (problem.in_channels + q / problem.width * problem.width);
    const auto filter = sparse<T>(count, count, 3);
    network.weight.insert(network.weight.end(), filter.begin(), filter.end());
  }
  network.bias = integers<T>(channels, 1);
  network.output_weight = sparse<T>(problem.n_classes * n_maps, n_maps, 4);
  network.output_bias = integers<T>(problem.n_classes, 1);
  auto input = integers<T>(problem.batch * problem.in_channels * pixels, 2);
  if (holes) input[input.size() / 2] = std::numeric_limits<T>::quiet_NaN();
  const auto grad_logits = integers<T>(problem.batch * problem.n_classes * pixels, 1);

  std::vector<double> logits, grad_input(input.size());
  Gradients<double> wanted{{},
                           std::vector<double>(network.weight.size()),
                           std::vector<double>(network.bias.size()),
                           std::vector<double>(network.output_weight.size()),
                           std::vector<double>(network.output_bias.size())};
  for (int64_t b = 0; b < problem.batch; ++b) {
    Plain<T> plain(problem, network, input.data() + b * problem.in_channels * pixels);
    for (int64_t k = 0; k < problem.n_classes; ++k) {
      for (int64_t at = 0; at < pixels; ++at) logits.push_back(plain.logit(k, at));
    }
    plain.backward(grad_logits.data() + b * problem.n_classes * pixels, wanted,
                   grad_input.data() + b * problem.in_channels * pixels);
  }

  bool ok = true;
  for (const int keep : {0, 1}) {
    problem.keep_maps = keep;
    msd_memory memory{};
    if (msd_memory_needed(&problem, &memory) != MSD_OK) return false;
    Aligned<T> maps(memory.maps), forward(memory.forward_workspace), backward(memory.backward_workspace);
    std::vector<T> found(logits.size(), std::numeric_limits<T>::quiet_NaN());
    ok = ok &&
         msd_forward(&problem, input.data(), network.weight.data(), network.bias.data(), network.output_weight.data(),
                     network.output_bias.data(), maps.get(), found.data(), forward.get(), nullptr) == MSD_OK;
    ok = ok && same("logits", found, logits);
    if (!keep || holes) continue;
    Gradients<T> grad{std::vector<T>(input.size()), std::vector<T>(network.weight.size()),
                      std::vector<T>(network.bias.size()), std::vector<T>(network.output_weight.size()),
                      std::vector<T>(network.output_bias.size())};
    ok = ok && msd_backward(&problem, grad_logits.data(), maps.get(), network.weight.data(),
                            network.output_weight.data(), grad.input.data(), grad.weight.data(), grad.bias.data(),
                            grad.output_weight.data(), grad.output_bias.data(), backward.get(), nullptr) == MSD_OK;
    ok = ok && same("gradient of the image", grad.input, grad_input) && same("of weights", grad.weight, wanted.weight);
    ok = ok && same("of biases", grad.bias, wanted.bias) && same("of 1x1", grad.output_weight, wanted.output_weight);
    ok = ok && same("of its biases", grad.output_bias, wanted.output_bias);
  }
  return ok;
}

}  // namespace

int main(int count, char **arguments) {
  if (count > 1 && std::strcmp(arguments[1], msd_variant()) != 0) {
    std::printf("%s runs here, not %s\n", msd_variant(), arguments[1]);
    return 1;
  }
  napari_msd::set_up_pool(nullptr, 64);  // as many threads as asked for, however few cores there are
  struct Shape {
    int ndim;
    int64_t sizes[3];
  };
  const Shape shapes[] = {{2, {1, 1, 1}},  {2, {1, 5, 3}}, {2, {1, 9, 33}},
                          {2, {1, 7, 70}}, {3, {3, 4, 5}}, {3, {2, 3, 18}}};
  const int32_t dilations[] = {1, 3, 9, 2, 40, 1, 5, 2, 4}, dilations_z[] = {2, 1, 1, 3, 1, 2, 1, 1, 5};
  int problems = 0;
  for (const Shape &shape : shapes) {
    for (const int32_t boundary : {MSD_REFLECT, MSD_SYMMETRIC, MSD_ZEROS}) {
      for (const int width : {1, 3}) {
        for (const int threads : {1, 3}) {
          msd_problem problem = {};
          problem.batch = threads == 1 ? 2 : 1;
          for (int i = 0; i < 3; ++i) problem.sizes[i] = shape.sizes[i];
          problem.dilations = dilations;
          if (shape.ndim == 3 && width == 3) problem.dilations_z = dilations_z;
          problem.in_channels = width == 1 ? 1 : 2;
          problem.depth = width == 1 ? 9 : 3;
          problem.width = width;
          problem.n_classes = width == 1 ? 2 : 10;
          problem.ndim = shape.ndim;
          problem.boundary = boundary;
          problem.threads = threads;
          for (const int32_t dtype : {MSD_FLOAT32, MSD_FLOAT64}) {
            for (const bool holes : {false, true}) {
              problem.dtype = dtype;
              if (!(dtype == MSD_FLOAT64 ? agrees<double>(problem, holes) : agrees<float>(problem, holes))) {
                std::printf("failed: %d x %d x %d, boundary %d, width %d, threads %d, dtype %d, holes %d\n",
                            static_cast<int>(shape.sizes[0]), static_cast<int>(shape.sizes[1]),
                            static_cast<int>(shape.sizes[2]), boundary, width, threads, dtype, holes);
                return 1;
              }
              ++problems;
            }
          }
        }
      }
    }
  }
  // The caller's numbers are treated as before a pass: what is smaller than the least normal number is not zero.
  const volatile float small = std::numeric_limits<float>::min();
  if (!(small / 2 > 0)) {
    std::printf("subnormal numbers are flushed after a pass\n");
    return 1;
  }
  std::printf("%s: %d problems\n", msd_variant(), problems);
  return 0;
}
