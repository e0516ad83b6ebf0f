/* machine: the machine the engine is built for. */
#ifndef ORLO_ENGINE_MACHINE_H
#define ORLO_ENGINE_MACHINE_H

#if defined(__x86_64__)
#include "engine/x64.h"
#elif defined(__aarch64__)
#include "engine/arm64.h"
#else
#error "x86-64 or aarch64"
#endif

#endif
