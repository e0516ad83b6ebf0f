/* fuzz: what every NAME_fuzz.c shares; included once, by it alone.
 *
 * The file defines LLVMFuzzerTestOneInput, and breaks one of its own properties when `canary` is true, so that
 * a run that does not abort then has checked nothing. Built with -DORLO_LIBFUZZER -fsanitize=fuzzer it is a
 * fuzz target (the canary: ORLO_FUZZ_CANARY in the environment). Built without, it is a program of its own:
 *
 *   NAME_fuzz [--canary] FOLDER      replays every file of a corpus
 */
#ifndef ORLO_FUZZ_H
#define ORLO_FUZZ_H

#include "base/base.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static bool canary;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef ORLO_LIBFUZZER
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    canary = getenv("ORLO_FUZZ_CANARY") != NULL;
    return 0;
}
#else
static unsigned fuzz_replay(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    static uint8_t bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees the first byte too many */
    memcpy(exact, bytes, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

int main(int argc, char **argv) {
    const char *self = argv[0];
    if (argc > 1 && !strcmp(argv[1], "--canary")) canary = true, argc--, argv++;
    struct dirent **entries;
    int n = argc > 1 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    if (n < 0) {
        fprintf(stderr, "usage: %s [--canary] FOLDER\n", self);
        return 64;
    }
    unsigned replayed = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') replayed += fuzz_replay(argv[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    printf("%u files replayed\n", replayed);
    return replayed == 0;
}
#endif

#endif
