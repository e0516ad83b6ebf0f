/* db_shapes: what there is to read, give and call in a database, as types of a language whose names are words: enums, and shapes with fields. What
 * differs from one such language to the next is how they are written (db_native.c). */
#ifndef ORLO_NODE_COMMAND_DB_SHAPES_H
#define ORLO_NODE_COMMAND_DB_SHAPES_H

#include "catalog/catalog.h"

enum shape_is {
    SHAPE_BOOL,
    SHAPE_INT,
    SHAPE_LONG,
    SHAPE_DOUBLE,
    SHAPE_NUMERIC,
    SHAPE_TEXT,
    SHAPE_JSON,
    SHAPE_ENUM,
    SHAPE_OBJECT,
    SHAPE_NOTHING
};
struct shape_type {
    enum shape_is is;
    bool array;
    str name; /* of an enum or an object */
};
struct shape_field {
    str wire, name; /* as JSON has it; as the language does */
    struct shape_type type;
    bool nullable, left_out; /* left_out: it need not be there */
};
struct shape {
    str name, of; /* of: what it is, for people, in one line */
    bool given;   /* it is sent, and never read */
    VEC(struct shape_field) fields;
};
struct shape_enum {
    str name, of;
    VEC(struct shape_field) labels; /* wire and name alone */
};
struct shape_alias { /* what a function gives */
    str name, of;
    struct shape_type type;
};
struct shapes {
    VEC(struct shape_enum) enums;
    VEC(struct shape) shapes;
    VEC(struct shape_alias) aliases;
};

/* All of a catalogue, in an order of its own. */
void node_db_shapes(arena *out, const struct catalog *c, struct shapes *to);

#endif
