/* The headers that offer.def's rows need. */
#include "wasi/p1_int.h"
