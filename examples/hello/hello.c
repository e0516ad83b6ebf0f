/* hello: what `./dev up` serves. A WASI preview 1 program without a C library, answering as CGI (RFC 3875).
 *
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o hello.wasm hello.c
 */
#include <stddef.h>

struct iovec {
    const char *p;
    size_t n;
};
__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write"))) int fd_write(int fd, const struct iovec *v,
                                                                                               size_t count, size_t *done);

static const char answer[] = "Content-Type: text/plain; charset=utf-8\r\n"
                             "\r\n"
                             "Hello from WebAssembly.\n"
                             "This answer was computed in a sandbox made for this one request and gone by now.\n";

__attribute__((export_name("_start"))) void start(void) {
    size_t done;
    struct iovec all = {answer, sizeof answer - 1};
    fd_write(1, &all, 1, &done);
}
