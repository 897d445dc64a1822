// With NAPARI_MSD_TRACE in the environment a core prints on standard error what it does, for whoever changes it.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace napari_msd {

inline bool tracing() {
  static const bool on = std::getenv("NAPARI_MSD_TRACE") != nullptr;
  return on;
}

}  // namespace napari_msd
