/* demangle_fuzz: any bytes as a function's name.
 *
 * What must hold: it ends, within its limit, and says either something or nothing at all; the same name says the same. The canary
 * breaks the last of these. */
#include "base/fuzz.h"
#include "node/node_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const prefixes[] = {"", "_R", "_ZN", "_Z"}; /* so that every input is one */
    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        struct buf name = {0}, one = {0}, two = {0};
        buf_puts(&name, str_c(prefixes[i]));
        buf_put(&name, data, size);
        bool known = node_demangle(buf_str(&name), &one);
        ENSURE(known ? one.n && one.n <= 2000 : !one.n);
        ENSURE(node_demangle(buf_str(&name), &two) == known);
        if (canary && known) two.n--;
        ENSURE(str_eq(buf_str(&one), buf_str(&two)));
        buf_free(&name), buf_free(&one), buf_free(&two);
    }
    return 0;
}
