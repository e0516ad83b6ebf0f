/* plpgsql_fuzz: any text as a body. What is read lies within the text, and what is refused has words and a place in it; memory is in proportion. The canary breaks that. */
#include "plpgsql/plpgsql.h"
#include "base/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    if (plpgsql_parse(mem, (str){data, size}, &tree, &problem)) {
        ENSURE((tree.block && tree.block->kind == PLPGSQL_BLOCK && tree.block->at <= size) != canary);
    } else {
        ENSURE(problem.message[0] && strlen(problem.state) == 5 && problem.at <= size && str_is_utf8(str_c(problem.message)));
    }
    ENSURE(arena_bytes(mem) <= (64u << 10) + 1000 * size); /* in proportion */
    arena_free(mem);
    return 0;
}
