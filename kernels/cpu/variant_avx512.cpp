#define MSD_VARIANT avx512
#include "variant.inl"
