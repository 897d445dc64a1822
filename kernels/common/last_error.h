// What this thread's last call failed on, as the machine names it: text for msd_last_error.
#pragma once

#include <cstddef>

namespace napari_msd {

inline thread_local char last_error_text[256] = "";

// Cut off where it is too long; "" forgets the last one.
inline void keep_last_error(const char *text) {
  size_t i = 0;
  for (; text[i] && i + 1 < sizeof last_error_text; ++i) last_error_text[i] = text[i];
  last_error_text[i] = '\0';
}

}  // namespace napari_msd
