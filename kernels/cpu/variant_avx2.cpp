#define MSD_VARIANT avx2
#include "variant.inl"
