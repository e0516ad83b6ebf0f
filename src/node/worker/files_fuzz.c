/* Fuzzing what a request says of a file: the first bytes are the file's size and whether it is GET, the rest its fields, a line each. Parts are within the
 * file and do not overlap, and there are no more of them than may be. */
#include "base/fuzz.h"
#include "node/worker/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {
        "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "accept-encoding"};
    struct net_field fields[8];
    uint32_t n = 0;
    if (size < 4) return 0;
    struct node_pack_file f = {
        .bytes = (uint64_t)data[0] << (data[1] % 40), .modified = data[2] ? 784111777 : 0, .digest = {0xab, 1}};
    for (str rest = {data + 4, size - 4}, line; rest.n && n < ARRAY_COUNT(fields); n++) {
        str_cut(rest, '\n', &line, &rest);
        fields[n] = (struct net_field){str_c(names[line.n ? line.p[0] % ARRAY_COUNT(names) : 0]), str_sub(line, 1, line.n)};
    }
    struct node_files_part p = node_files_part(&f, data[3] & 1, fields, n);
    ENSURE(p.n <= NODE_FILES_RANGES_MAX && (p.status == 200 || p.status == 206 ? p.n >= 1 : !p.n));
    ENSURE(p.status == 200 || p.status == 206 || p.status == 304 || p.status == 412 || p.status == 416);
    ENSURE(p.status != 206 || (data[3] & 1));
    for (uint32_t i = 0; i < p.n; i++) {
        ENSURE(p.of[i].from <= f.bytes && p.of[i].bytes <= f.bytes - p.of[i].from && (p.of[i].bytes || p.status == 200));
        for (uint32_t k = 0; k < i; k++)
            ENSURE(p.of[i].from >= p.of[k].from + p.of[k].bytes || p.of[k].from >= p.of[i].from + p.of[i].bytes);
    }
    ENSURE(!canary || p.status == 200);
    return 0;
}
