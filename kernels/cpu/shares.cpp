#include "shares.h"

namespace napari_msd {

Shares::Shares(const Plan &plan, bool backwards)
    : plan_(plan), backwards_(backwards), lanes_taken_(static_cast<size_t>(plan.threads)),
      lanes_done_(plan.rounds > 0 ? static_cast<size_t>(plan.threads) : 0) {
  for (auto &taken : lanes_taken_) taken = false;  // C++17's atomics begin with any value
  for (int i = 0; i < plan.rest; ++i) teams_.emplace_back(plan.parted, blocks(plan.parted));
}

}  // namespace napari_msd
