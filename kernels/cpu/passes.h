// The two passes over a whole network.
#pragma once

#include "napari_msd.h"
#include "plan.h"

namespace napari_msd {

template <class T>
struct ForwardArrays {
  const T *input, *weight, *bias, *output_weight, *output_bias;
  T *maps, *logits, *workspace;
};

template <class T>
struct BackwardArrays {
  const T *grad_logits, *maps, *weight, *output_weight;
  T *grad_input, *grad_weight, *grad_bias, *grad_output_weight, *grad_output_bias, *workspace;
};

template <class T>
msd_error forward_pass(const Plan &plan, const ForwardArrays<T> &arrays);
template <class T>
msd_error backward_pass(const Plan &plan, const BackwardArrays<T> &arrays);

}  // namespace napari_msd
