/* cors: which pages of other origins may ask an app, and read its answers (Fetch, §3.2): words alone, as rules and a request's fields make them. */
#ifndef ORLO_NODE_CORS_H
#define ORLO_NODE_CORS_H

#include "app/record.h"
#include "net/http.h"

/* What a request says of it. */
struct node_cors_asked {
    str origin;           /* empty: it comes from no page, or from one of the same origin that says nothing */
    bool preflight;       /* OPTIONS that asks whether */
    str method, headers;  /* what it asks for, as it says it */
    bool private_network; /* of a page of the public one */
};
struct node_cors_asked node_cors_asked(str method, const struct net_field *fields, uint32_t count);

enum { NODE_CORS_FIELDS = 8 };
struct node_cors_fields { /* their values are literals, the request's, or in own */
    struct net_field of[NODE_CORS_FIELDS];
    uint32_t n;
    struct buf own; /* node_cors_free */
};
/* What is to be said to a request, in place of whatever of these the app says itself. False: it is a preflight that the rules do not allow. */
bool node_cors_answer(const struct app_cors *rules, const struct node_cors_asked *asked, struct node_cors_fields *to);
/* The same where an app has no rules, and whoever is asked by Supabase's clients is to be reached by them: anybody may ask for anything, without
 * cookies. */
void node_cors_answer_any(const struct node_cors_asked *asked, struct node_cors_fields *to);
void node_cors_free(struct node_cors_fields *f);
/* It is of a response, and says to whom it may be shown. */
bool node_cors_field(str name);

#endif
