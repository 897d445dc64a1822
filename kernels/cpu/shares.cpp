#include "shares.h"

namespace napari_msd {

Shares::Shares(const Plan &plan)
    : plan_(plan),
      rounds_(plan.problem.batch / plan.threads),
      rest_(static_cast<int>(plan.problem.batch % plan.threads)),
      team_size_(rest_ > 0 ? plan.threads / rest_ : 1),
      lanes_done_(rounds_ > 0 ? static_cast<size_t>(plan.threads) : 0) {
  for (int i = 0; i < rest_; ++i) teams_.emplace_back(team_size_);
}

}  // namespace napari_msd
