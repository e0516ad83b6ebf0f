#ifndef ORLO_WASM_H
#define ORLO_WASM_H
#include "base/base.h"
struct wasm_module;
#endif
