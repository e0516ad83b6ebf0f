/* priority: how urgent a response is to who asked for it, and whether a part of it is of use already (RFC 9218). */
#ifndef ORLO_NET_PRIORITY_H
#define ORLO_NET_PRIORITY_H

#include "base/base.h"

struct net_priority {
    uint8_t urgency; /* 0, the most urgent, to 7 */
    bool incremental;
};
#define NET_PRIORITY_DEFAULT ((struct net_priority){.urgency = 3})

/* What a field's value says replaces what *p has: `u` and `i` of a dictionary (RFC 8941 §3.2); others, and those of another type or out of range, are
 * passed over. False: it is no dictionary, and changes nothing. */
bool net_priority_read(str value, struct net_priority *p);

#endif
