/* wasi:http 0.2 for a small program: one request in, one response out, requests to others. See http.c. */
#ifndef HTTP_H
#define HTTP_H
#include <stddef.h>
#include <stdint.h>

struct request {
    int32_t handle;
    const char *path;  /* decoded */
    const char *query; /* as it came; NULL without one */
};
struct response {
    int32_t outparam;
};

/* The program's own: answers by one call of respond or fetch. */
void handle(struct request *request, struct response *response);

void respond(struct response *response, int status, const char *type, const void *body, size_t n);
/* Answers with what url answers: "http://host:port/path". */
void fetch(struct response *response, const char *url);

#endif
