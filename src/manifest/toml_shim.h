/* The C side of toml.cc: what toml++ reads, told depth first. */
#ifndef ORLO_MANIFEST_TOML_SHIM_H
#define ORLO_MANIFEST_TOML_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_type {
    TOML_STRING,
    TOML_INTEGER,
    TOML_FLOAT,
    TOML_BOOL,
    TOML_DATE,
    TOML_ARRAY,
    TOML_TABLE,
    TOML_END /* of the last two */
};
enum { TOML_DEPTH_MAX = 64 }; /* arrays and inline tables within one another */
struct toml_event {
    enum toml_type type;
    const char *key; /* of a table's; NULL */
    size_t key_n;
    uint32_t key_line, key_column, line, column; /* from 1; 0: it stands nowhere, as the table that holds all */
    const char *s;
    size_t n;
    int64_t i; /* and of a bool */
    double f;
};
struct toml_wrong {
    char text[256];
    uint32_t line, column;
};
/* Whether it is TOML. What event is given is borrowed for the call. */
int manifest_toml_shim(const char *text, size_t n, void (*event)(void *arg, const struct toml_event *e), void *arg,
                       struct toml_wrong *wrong);

#ifdef __cplusplus
}
#endif

#endif
