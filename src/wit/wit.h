/* wit: the WIT text format (component-model design/mvp/WIT.md): parser, name resolution, C bindings. Build
 * time only.
 *
 *   files --wit_parse--> packages of interfaces and worlds --wit_resolve--> every name bound --wit_gen--> C
 *
 * 1. Everything is allocated in the arena of the set and borrows the texts parsed into it.
 * 2. Items gated by @unstable whose feature is not enabled are dropped by the resolver; @since and
 *    @deprecated are kept.
 * 3. A type's meaning is found through wit_type_target: aliases (`type a = b`, `use`) lead to one definition. */
#ifndef ORLO_WIT_H
#define ORLO_WIT_H

#include "base/base.h"
#include "component/component.h"

enum wit_kind {
    WIT_BOOL,
    WIT_S8,
    WIT_U8,
    WIT_S16,
    WIT_U16,
    WIT_S32,
    WIT_U32,
    WIT_S64,
    WIT_U64,
    WIT_F32,
    WIT_F64,
    WIT_CHAR,
    WIT_STRING,
    WIT_LAST_PRIMITIVE = WIT_STRING,
    WIT_ERROR_CONTEXT,
    WIT_LIST,
    WIT_FIXED_LIST,
    WIT_OPTION,
    WIT_RESULT,
    WIT_TUPLE,
    WIT_MAP,
    WIT_STREAM,
    WIT_FUTURE,
    WIT_OWN,
    WIT_BORROW,
    WIT_RECORD,
    WIT_VARIANT,
    WIT_ENUM,
    WIT_FLAGS, /* only as the body of a definition */
    WIT_NAME,  /* a name; resolved: def is set. A resource's bare name becomes WIT_OWN */
};

struct wit_pos {
    str file;
    uint32_t line;
};

struct wit_type { /* a type expression, or the body of a definition */
    enum wit_kind kind;
    struct wit_type *elem;        /* LIST, FIXED_LIST, OPTION, STREAM, FUTURE: element; RESULT: ok; MAP: key. NULL: none */
    struct wit_type *error;       /* RESULT: error; MAP: value. NULL: none */
    uint32_t length;              /* FIXED_LIST */
    VEC(struct wit_field) fields; /* RECORD, TUPLE (no names), VARIANT, ENUM, FLAGS */
    str name;                     /* NAME, OWN, BORROW */
    struct wit_def *def;          /* NAME, OWN, BORROW, after resolution */
    struct wit_pos pos;
};
struct wit_field {
    str name, docs;
    struct wit_type *type; /* NULL: none */
    struct wit_pos pos;
};

struct wit_gate {
    str since, deprecated, unstable; /* version, version, feature; empty: none */
};

struct wit_interface;
struct wit_def { /* a named type or resource */
    str name, docs;
    struct wit_gate gate;
    struct wit_pos pos;
    struct wit_interface *owner;
    enum { WIT_DEF_TYPE, WIT_DEF_RESOURCE, WIT_DEF_USE } kind;
    struct wit_type *type;  /* TYPE */
    struct wit_def *target; /* USE, after resolution */
    str use_name;           /* USE: the name in the other interface */
    struct wit_path *use_path;
    uint8_t mark; /* of the resolver: 1 on the way, 2 done */
};

struct wit_path {                   /* `id`, or `ns:pkg/id@version` */
    str ns, package, name, version; /* ns empty: in this package */
    struct wit_pos pos;
};

struct wit_func {
    str name, docs; /* bare: "append" */
    str full_name;  /* as in components: "[method]fields.append" */
    struct wit_gate gate;
    struct wit_pos pos;
    enum component_func_kind kind;
    struct wit_def *resource; /* of methods, statics and constructors */
    bool is_async;
    VEC(struct wit_field) params; /* methods: self first */
    struct wit_type *result;      /* NULL: none */
};

struct wit_package;
struct wit_interface {
    str name, docs;
    struct wit_gate gate;
    struct wit_pos pos;
    struct wit_package *package;
    bool is_world; /* the types and uses of a world */
    VEC(struct wit_def *) defs;
    VEC(struct wit_func *) funcs;
    str full_name; /* "wasi:http/types@0.2.12"; after resolution */
    uint8_t mark;  /* of the generator */
};

struct wit_item { /* of a world */
    enum { WIT_ITEM_INTERFACE, WIT_ITEM_FUNC } kind;
    bool is_export;
    str name;              /* functions and inline interfaces */
    struct wit_path *path; /* interface by path */
    struct wit_interface *interface;
    struct wit_func *func;
    struct wit_gate gate;
    struct wit_pos pos;
};
struct wit_rename {
    str from, to;
};
struct wit_include {
    struct wit_path *path;
    VEC(struct wit_rename) with;
    struct wit_gate gate;
};
struct wit_world {
    str name, docs;
    struct wit_gate gate;
    struct wit_pos pos;
    struct wit_package *package;
    struct wit_interface *types; /* is_world */
    VEC(struct wit_item) items;  /* after resolution: included worlds' items too, imports implied by uses not */
    VEC(struct wit_include) includes;
    uint8_t mark;
};

struct wit_use { /* a toplevel use: of one file */
    str file, name;
    struct wit_path *path;
};
struct wit_package {
    str ns, name, version, docs;
    VEC(struct wit_interface *) interfaces;
    VEC(struct wit_world *) worlds;
    VEC(struct wit_use) uses;
    struct wit_pos pos;
};

struct wit_set {
    arena *arena;
    VEC(struct wit_package *) packages; /* the root package first */
    VEC(str) features;                  /* enabled for @unstable */
    bool all_features;
    VEC(str) sources; /* what wit_load looked at: files, and the folders whose files it took */
};

/* Parses one file. *package: the package of the files beside it, or NULL; out: this file's (one without a name if
 * neither says any). Borrows text and file. ERR_MALFORMED; the diag starts with "file:line: ". */
[[nodiscard]] err wit_parse(struct wit_set *set, str file, str text, struct wit_package **package, struct diag *d);
/* Binds every name. ERR_INVALID, diag as above. */
[[nodiscard]] err wit_resolve(struct wit_set *set, struct diag *d);
/* A package from a .wit file or a folder of them, with the folder's deps/ (each a .wit file or a folder); then resolves.
 * ERR_IO, ERR_MALFORMED, ERR_INVALID. */
[[nodiscard]] err wit_load(struct wit_set *set, const char *path, struct diag *d);

/* NULL: none. "app" in the root package, or "ns:pkg/app@version". */
struct wit_world *wit_find_world(const struct wit_set *set, str name);
/* Through `use`: the definition itself. */
struct wit_def *wit_def_target(struct wit_def *def);
/* Through aliases: the definition's body, or the type expression itself. A resource: OWN or BORROW with def. */
const struct wit_type *wit_type_target(const struct wit_type *t);

/* ---- C bindings ------------------------------------------------------------------------------- */

struct wit_gen_options {
    str name;                   /* of the files, and of the offer: "wasi_p2" gives wasi_p2.h, wasi_p2_offer */
    str rename_from, rename_to; /* a namespace's C prefix: wasi → wasi3; empty: none */
};
/* The header: C types, prototypes, tables' declarations. ERR_INVALID: two items with one C name. */
[[nodiscard]] err wit_gen_header(struct wit_set *set, struct wit_world *world, const struct wit_gen_options *o, struct buf *out,
                                 struct diag *d);
/* The tables and trampolines of all its interfaces, and NAME_offer: what the world imports. */
void wit_gen_source(struct wit_set *set, struct wit_world *world, const struct wit_gen_options *o, struct buf *out);
/* "wasi_http_types": the interface's C prefix. */
str wit_c_prefix(arena *out, const struct wit_interface *i, const struct wit_gen_options *o);
/* NAME.h and NAME.c into the folder dir. ERR_IO, ERR_INVALID. */
[[nodiscard]] err wit_gen_files(struct wit_set *set, struct wit_world *world, const struct wit_gen_options *o, const char *dir,
                                struct diag *d);

#endif
