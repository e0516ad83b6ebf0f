/* What programs do whose authors try CGI for the first time. */
#include "p1.h"

static const char *path_info(void) {
    static char *variables[100], bytes[8192];
    size_t count, size;
    environ_sizes_get(&count, &size);
    environ_get(variables, bytes);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (variables[i][k] == "PATH_INFO="[k] && "PATH_INFO="[k]) k++;
        if (k == 10) return variables[i] + k;
    }
    return "";
}

__attribute__((export_name("_start"))) void start(void) {
    const char *path = path_info();
    if (same(path, "/exception")) {
        put(2, "Error: no such user\r\n  at handle (app.js:7)\n\n  at main \x1b[2J");
        __builtin_trap();
    } else if (same(path, "/chatter")) {
        for (unsigned i = 0; i < 200; i++) put(2, "line "), put_number(2, i), put(2, "\n");
        put(2, "the end\n");
        proc_exit(3);
    } else if (same(path, "/headless")) put(1, "Hello\n");
    else if (same(path, "/html")) put(1, "<html>\n<title>Hello</title>\n\n</html>\n");
    else if (same(path, "/empty-header")) put(1, "\nHello\n");
    else if (!same(path, "/silent")) put(1, "Content-Type: text/plain\n\nok\n");
}
