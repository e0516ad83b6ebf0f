/* disk: whether there is room to write where this process keeps what it keeps: its working directory. Above disk_percent nothing is added any more,
 * so that what is there can still be read, changed back and removed. */
#ifndef ORLO_NODE_DISK_H
#define ORLO_NODE_DISK_H

#include "base/base.h"

void node_disk_limit(uint64_t percent); /* 100: there is none */
/* Looked at once a second at most; from any thread. text: what to say, of NODE_DISK_TEXT bytes; may be NULL. */
enum { NODE_DISK_TEXT = 200 };
bool node_disk_full(char *text);

#endif
