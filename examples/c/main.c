#include "http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* text as the inside of a JSON string */
static void json_text(char *to, size_t room, const char *text) {
    size_t n = 0;
    for (; *text && n + 7 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') to[n++] = '\\', to[n++] = (char)c;
        else if (c < ' ') n += (size_t)snprintf(to + n, room - n, "\\u%04x", c);
        else to[n++] = (char)c;
    }
    to[n] = 0;
}

void handle(struct request *request, struct response *response) {
    if (!strncmp(request->path, "/hello/", 7)) {
        char greeting[200], name[400], body[700];
        json_text(greeting, sizeof greeting, getenv("GREETING") ? getenv("GREETING") : "Hello");
        json_text(name, sizeof name, request->path + 7);
        int n = snprintf(body, sizeof body, "{\"greeting\":\"%s\",\"name\":\"%s\"}\n", greeting, name);
        respond(response, 200, "application/json", body, (size_t)n);
    } else if (!strcmp(request->path, "/fetch") && request->query && !strncmp(request->query, "url=", 4)) {
        fetch(response, request->query + 4);
    } else {
        const char *text = "There is /hello/NAME, and /fetch?url=URL.\n";
        respond(response, 404, "text/plain", text, strlen(text));
    }
}
