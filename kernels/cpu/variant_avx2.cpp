// Empty for other processors: one build may be for several (macOS, universal2).
#if defined(__x86_64__) || defined(_M_X64)
#define MSD_VARIANT avx2
#include "variant.inl"
#endif
