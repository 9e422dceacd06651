#pragma once

/// Marks a function of plain loops to be compiled twice, for AVX2 and for any x86-64; which one runs is chosen when the program starts.
/// Values are the same to the last bit in both: floating point is neither contracted nor reassociated (cmake/ChoanaTargets.cmake), so
/// a sum is wide only where its loop says so. Sanitizers cannot see through the choice: they get the plain one.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CHOANA_VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define CHOANA_VECTORISED
#endif
