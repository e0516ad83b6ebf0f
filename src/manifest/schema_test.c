/* What the tables say of themselves: the generated parts of docs/, the schemas for editors and the fuzzer's words are as the tables are now.
 *
 *   manifest_schema_test ROOT           compares
 *   manifest_schema_test ROOT --write   writes them */
#include "base/json.h"
#include "manifest/manifest_int.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *root;
static bool writes;

static str read_file(arena *mem, const char *path) {
    struct buf b = {0};
    uint8_t piece[4096];
    FILE *f = fopen(path, "rb");
    for (size_t n; f && (n = fread(piece, 1, sizeof piece, f));) buf_put(&b, piece, n);
    if (f) fclose(f);
    str all = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return all;
}

/* The file is this, or becomes it. */
static void file_is(arena *mem, const char *name, str content) {
    const char *path = arena_cstr(mem, arena_fmt(mem, "%s/%s", root, name));
    if (str_eq(read_file(mem, path), content)) return;
    if (!writes) fail_msg("%s is not what the tables say; run: build/tests/manifest_schema_test . --write", name);
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(content.p, 1, content.n, f) == content.n && !fclose(f));
}

/* Of a file, what is between two marks. */
static void part_is(arena *mem, const char *name, const char *mark, str content) {
    struct buf b = {0};
    str all = read_file(mem, arena_cstr(mem, arena_fmt(mem, "%s/%s", root, name)));
    str begin = arena_fmt(mem, "<!-- %s: generated -->\n", mark), end = arena_fmt(mem, "<!-- %s: end -->\n", mark);
    size_t from = 0, to = 0;
    while (from < all.n && !str_starts(str_sub(all, from, all.n), begin)) from++;
    while (to < all.n && !str_starts(str_sub(all, to, all.n), end)) to++;
    if (from >= to || to == all.n) fail_msg("%s has no marks %s", name, mark);
    buf_puts(&b, str_sub(all, 0, from));
    buf_puts(&b, begin);
    buf_putc(&b, '\n');
    buf_puts(&b, content);
    buf_putc(&b, '\n');
    buf_puts(&b, str_sub(all, to, all.n));
    file_is(mem, name, buf_str(&b));
    buf_free(&b);
}

static void test_docs(void **state) {
    static const struct {
        enum manifest_format format;
        const char *file, *mark;
    } parts[] = {{MANIFEST_ORLO, "docs/manifest.md", "orlo.toml"},
                 {MANIFEST_SPIN, "docs/manifest.md", "spin.toml"},
                 {MANIFEST_SUPABASE, "docs/manifest.md", "supabase/config.toml"},
                 {MANIFEST_CONFIG, "docs/configuration.md", "node.toml"}};
    arena *mem = arena_new(0);
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        struct buf b = {0};
        manifest_markdown(&b, parts[i].format);
        part_is(mem, parts[i].file, parts[i].mark, buf_str(&b));
        buf_free(&b);
    }
    arena_free(mem);
}

static void test_schemas(void **state) {
    static const struct {
        enum manifest_format format;
        const char *file;
    } files[] = {{MANIFEST_ORLO, "docs/orlo.schema.json"}, {MANIFEST_CONFIG, "docs/node.schema.json"}};
    arena *mem = arena_new(0);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct buf b = {0};
        manifest_schema(&b, files[i].format);
        file_is(mem, files[i].file, buf_str(&b));
        buf_free(&b);
    }
    arena_free(mem);
}

static void put_words(struct buf *b, const struct manifest_shapes *all) {
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < all->shapes[i].count; k++) buf_printf(b, "\"%s = \"\n", all->shapes[i].keys[k].key);
}

static void test_words(void **state) {
    arena *mem = arena_new(0);
    struct buf b = {0};
    buf_puts(&b, STR("# The keys of all tables, for the fuzzer.\n\"{ \"\n\" "
                     "}\"\n\"[[\"\n\"]]\"\n\"\\\"\"\n\"'''\"\n\"{{\"\n\"}}\"\n\"https://\"\n\"/...\"\n\":id\"\n\"*.\"\n"));
    put_words(&b, &manifest_orlo_shapes);
    put_words(&b, &manifest_spin_shapes);
    put_words(&b, &manifest_supabase_shapes);
    put_words(&b, &manifest_config_shapes);
    for (int id = 0; id < APP_SETTINGS; id++) buf_printf(&b, "\"%s = 1\"\n", app_settings[id].key);
    file_is(mem, "tests/corpus/manifest.dict", buf_str(&b));
    buf_free(&b);
    arena_free(mem);
}

/* A table's default says something where a key may be left out, and each shape that one names is there. */
static void test_tables(void **state) {
    static const struct manifest_shapes *const all[] = {&manifest_orlo_shapes, &manifest_spin_shapes, &manifest_supabase_shapes,
                                                        &manifest_config_shapes};
    for (size_t t = 0; t < ARRAY_COUNT(all); t++)
        for (size_t i = 0; i < all[t]->count; i++)
            for (size_t k = 0; k < all[t]->shapes[i].count; k++) {
                const struct manifest_key *key = &all[t]->shapes[i].keys[k];
                bool found = !strcmp(key->sub, "none");
                for (size_t s = 0; s < all[t]->count && !found; s++) found = !strcmp(key->sub, all[t]->shapes[s].name);
                if (!found) fail_msg("%s: there is no shape %s", key->key, key->sub);
                assert_true(key->help[0]);
            }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_docs), cmocka_unit_test(test_schemas),
                                       cmocka_unit_test(test_words)};
    root = argc > 1 ? argv[1] : ".";
    writes = argc > 2 && !strcmp(argv[2], "--write");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
