// Random numbers without a state: each is a function of a key and of a number under it.
//
// So it does not matter which thread grows which tree, and NumPy can draw the same ones (trees/reference.py).
#pragma once

#include <cstdint>

namespace napari_msd {

// The last step of splitmix64 (Steele, Lea & Flood, OOPSLA 2014).
inline uint64_t mixed(uint64_t word) {
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
  return word ^ (word >> 31);
}

inline uint64_t drawn(uint64_t key, uint64_t number) { return mixed(key + 0x9E3779B97F4A7C15u * (number + 1)); }

// 0 .. count - 1.
inline int32_t whole(uint64_t word, int32_t count) {
  return static_cast<int32_t>(((word >> 32) * static_cast<uint64_t>(count)) >> 32);
}

// [0, 1).
inline double uniform(uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

}  // namespace napari_msd
