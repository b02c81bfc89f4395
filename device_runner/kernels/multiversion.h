// Marks a function that is compiled once per generation of x86 CPUs; the loader chooses. Elsewhere once.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SLM_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SLM_MULTIVERSION
#endif
