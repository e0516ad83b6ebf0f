/* heap: what guests made a process take goes back to the system when they end. */
#include "base/base.h"
#include <malloc.h>

enum { FREED_MAX = 8192, KEPT_BYTES = 128 << 10 };

void base_heap_tune(void) {
    mallopt(M_MMAP_THRESHOLD, 256 << 10); /* what is large is mapped by itself, whatever came before it */
    mallopt(M_TRIM_THRESHOLD, 4 << 20);   /* else the pages of each response that is larger than 128 KiB come and go */
    mallopt(M_MXFAST, 0); /* what is small joins its neighbours at once; else it is kept apart, and giving back takes 100 ms */
}

void base_heap_freed(uint32_t blocks) {
    static _Thread_local uint32_t freed;
    freed += blocks;
    if (freed < FREED_MAX) return;
    freed = 0;
    malloc_trim(KEPT_BYTES);
}
