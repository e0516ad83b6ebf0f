/* catalog_fuzz: any text as a catalogue, and as what a text of EXECUTE was made into. What is read is written, read again and written as the same text. The canary breaks that. */
#include "catalog/catalog.h"
#include "base/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    struct diag d = DIAG_INIT;
    struct catalog *c, *again;
    if (catalog_read(mem, (str){data, size}, &c, &d) == ERR_OK) {
        struct buf first = {0}, second = {0};
        catalog_write(&first, c);
        ENSURE(catalog_read(mem, buf_str(&first), &again, &d) == ERR_OK);
        catalog_write(&second, again);
        ENSURE(str_eq(buf_str(&first), buf_str(&second)) != canary);
        buf_free(&first), buf_free(&second);
    }
    struct catalog_text_answer answer, same;
    if (catalog_text_answer_read(mem, (str){data, size}, &answer, &d) == ERR_OK) {
        struct buf first = {0}, second = {0};
        catalog_text_answer_write(&first, &answer);
        ENSURE(catalog_text_answer_read(mem, buf_str(&first), &same, &d) == ERR_OK);
        catalog_text_answer_write(&second, &same);
        ENSURE(str_eq(buf_str(&first), buf_str(&second)));
        buf_free(&first), buf_free(&second);
    }
    arena_free(mem);
    return 0;
}
