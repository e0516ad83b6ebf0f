/* The headers that offer.def's rows need. */
#include "wasi/p1/p1_int.h"
#include "wasi_p2.h"
#include "wasi_p3.h"
