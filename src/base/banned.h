/* Functions that have hurt too many people: using one does not compile. */
#ifndef ORLO_BASE_BANNED_H
#define ORLO_BASE_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#undef sprintf /* a macro where clang reads fortified headers */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#endif
