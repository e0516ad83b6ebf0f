/* Fuzzing patterns: a line each of a pattern, a path, and where it leads. A pattern that is one is held against the path as it came and as guests read
 * it, which is the same once more; what is led to is no other host, and may stand in a field. */
#include "app/pattern.h"
#include "base/fuzz.h"

static void lead(str target, const struct app_matched *names) {
    struct buf b = {0};
    app_target_fill(&b, target, names);
    bool host = b.n > 1 && b.p[0] == '/' && (b.p[1] == '/' || b.p[1] == '\\');
    ENSURE(!host != canary);
    for (size_t i = 0; i < b.n; i++) ENSURE(b.p[i] > ' ' && b.p[i] < 0x7f);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str pattern, path, target;
    struct buf once = {0};
    struct app_matched names = {0};
    str_cut((str){data, size}, '\n', &pattern, &path);
    str_cut(path, '\n', &path, &target);
    str normal = app_path_normal(path, &once);
    ENSURE(normal.n <= path.n + 1);
    for (size_t i = 0; i + 1 < normal.n; i++) ENSURE((normal.p[i] != '/' || normal.p[i + 1] != '/') != canary);
    for (size_t i = 0; i < normal.n; i++) ENSURE(normal.p[i] != '\\');
    if (!app_pattern_wrong(pattern)) {
        bool matches = app_pattern_match(pattern, path, &names);
        ENSURE(matches == app_pattern_match(pattern, path, NULL) && names.n <= ARRAY_COUNT(names.of));
        for (uint32_t i = 0; matches && i < names.n; i++) ENSURE(names.of[i].value.n <= path.n);
        bool plain = target.n && target.p[0] == '/' && !str_starts(target, STR("//"));
        for (size_t i = 0; plain && i < target.n; i++) plain = target.p[i] > ' ' && target.p[i] < 0x7f && target.p[i] != '\\';
        if (matches && plain && !app_target_wrong(target, pattern, NULL, 0)) lead(target, &names);
        (void)app_pattern_match(pattern, normal, &names);
    }
    buf_free(&once);
    return 0;
}
