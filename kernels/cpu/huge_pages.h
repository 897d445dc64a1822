// Ask the system for huge pages where large arrays lie: a pass walks through hundreds of megabytes, and each page of
// 4 KiB costs a fault when it is new and an address translation whenever it is met again. A hint only.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace napari_msd {

inline void prefer_huge_pages(void *array, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = uintptr_t{2} << 20;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(array) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(array) + static_cast<uintptr_t>(bytes)) / page * page;
  if (begin < end) (void)madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)array;
  (void)bytes;
#endif
}

}  // namespace napari_msd
