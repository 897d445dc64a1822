#define MSD_VARIANT baseline
#include "variant.inl"
