/* places: of which cordon an app is: whose workers serve it, and share no process with those of others. */
#ifndef ORLO_NODE_CONTROL_PLACES_H
#define ORLO_NODE_CONTROL_PLACES_H

#include "node/control/control_int.h"

/* Who is in quarantine, as it is kept. */
[[nodiscard]] err node_places_load(struct control *c, struct diag *d);
/* What the operator says; with a revision it is published. False: nonsense. */
bool node_places_hear(struct control *c, const struct node_msg_places *m);
/* An app has killed workers: it is to have one of its own, until it is another version, or let go. */
void node_places_isolate(struct control *c, const struct node_msg_isolate *m);
/* The app's number in snapshots. free: out of quarantine, as it is once what is being published is live. */
uint32_t node_places_of(const struct control *c, uint32_t app, str name, bool free);
uint32_t node_places_revision(const struct control *c); /* for what is published */
/* A bit for each quarantine that has an app, but for one that leaves it. */
uint32_t node_places_quarantines(const struct control *c, uint32_t leaves);
/* False: it was in none. */
bool node_places_lift(struct control *c, uint32_t app);
/* Why it is where it is, and how that ends. NULL: it is in none. In out. */
const char *node_places_note(const struct control *c, arena *out, const struct control_app *app);

#endif
