/* image: what is written is read back; what was changed or cut is refused; nothing is writable and
 * executable. */
#include "abi/image_int.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

/* mov eax, 42; ret … mov eax, 7; ret */
static const uint8_t text[32] = {0xb8, 42, 0, 0, 0, 0xc3, [16] = 0xb8, 7, 0, 0, 0, 0xc3};
static const uint8_t memory[5000] = {1, 2, 3, [4999] = 9};
static struct crypto_ed25519 key;

static int write_image(const struct crypto_ed25519 *k, void (*change)(struct abi_image_head *)) {
    arena *a = arena_new(0);
    struct abi_image_writer w;
    abi_image_writer_init(&w, a);
    const struct abi_image_code codes[] = {{.start = 0, .size = 6, .instance = 0, .func_index = 3},
                                           {.start = 16, .size = 6, .instance = 1, .func_index = 0}};
    abi_image_begin(&w, ABI_SECTION_TEXT, ".text");
    w.head.text = abi_image_add(&w, text, sizeof text, 1, 16);
    abi_image_begin(&w, ABI_SECTION_RELRO, ".data.rel.ro");
    uint64_t at = w.head.text.offset;
    const struct abi_func funcs[] = {
        {.code = (void *)(uintptr_t)at, .instance = 0, .func_index = 3},
        {.code = (void *)(uintptr_t)(at + 16), .entry = (void *)(uintptr_t)at, .instance = 1, .func_index = 0}};
    w.head.funcs = abi_image_add(&w, funcs, 2, sizeof funcs[0], 8);
    abi_image_begin(&w, ABI_SECTION_TABLES, ".rodata");
    w.head.codes = abi_image_add(&w, codes, 2, sizeof codes[0], 8);
    struct abi_image_group group = {.has_memory = true, .memory_bytes = 65536};
    w.head.groups = abi_image_add(&w, &group, 1, sizeof group, 8);
    abi_image_begin(&w, ABI_SECTION_MAPPED, ".memory.0");
    group.memory = abi_image_add(&w, memory, sizeof memory, 1, 1);
    abi_image_add_symbols(&w, codes, (const str[]){STR_INIT("first"), {0}}, 2);
    if (change) change(&w.head);
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_int_equal(abi_image_write(&w, fd, k, NULL), ERR_OK);
    arena_free(a);
    return fd;
}

static struct abi_key_public public_key(void) {
    struct abi_key_public p;
    memcpy(p.bytes, key.public, sizeof p.bytes);
    return p;
}

static void test_round_trip(void **state) {
    struct abi_image im;
    struct diag d = DIAG_INIT;
    struct abi_key_public pub = public_key();
    assert_int_equal(abi_image_open(write_image(&key, NULL), &pub, &im, &d), ERR_OK);
    const struct abi_func *f = abi_image_func(&im, 0, 3), *g = abi_image_func(&im, 1, 0);
    assert_non_null(f);
    assert_non_null(g);
    assert_null(abi_image_func(&im, 0, 0));
    assert_null(abi_image_func(&im, 2, 0));
    assert_int_equal(((int (*)(void))f->code)(), 42);
    assert_int_equal(((int (*)(void))g->code)(), 7);
    assert_ptr_equal(g->entry, f->code);
    assert_null(f->entry);
    const struct abi_image_code *c = abi_image_find(&im, (uint8_t *)g->code + 5);
    assert_non_null(c);
    assert_int_equal(c->instance, 1);
    assert_null(abi_image_find(&im, (uint8_t *)g->code + 6));
    assert_null(abi_image_find(&im, (uint8_t *)g->code - 1));
    assert_null(abi_image_find(&im, im.base));
    const struct abi_image_group *group = abi_image_at(&im, im.head->groups, struct abi_image_group);
    assert_int_equal(group->memory.offset % ABI_PAGE, 0);
    assert_memory_equal(im.base + group->memory.offset, memory, sizeof memory);
    abi_image_close(&im);
}

/* perf, gdb and objdump find sections and symbols where the ELF header says. */
static void test_is_elf(void **state) {
    struct abi_image im;
    assert_int_equal(abi_image_open(write_image(NULL, NULL), NULL, &im, NULL), ERR_OK);
    const Elf64_Ehdr *eh = (const void *)im.base;
    const Elf64_Shdr *sh = (const void *)(im.base + eh->e_shoff);
    const char *names = (const char *)im.base + sh[eh->e_shstrndx].sh_offset;
    bool seen = false;
    for (int i = 1; i < eh->e_shnum; i++) {
        assert_true(sh[i].sh_offset + sh[i].sh_size <= im.size);
        if (!str_eqc(str_c(names + sh[i].sh_name), ".symtab")) continue;
        const Elf64_Sym *syms = (const void *)(im.base + sh[i].sh_offset);
        const char *strings = (const char *)im.base + sh[sh[i].sh_link].sh_offset;
        assert_int_equal(sh[i].sh_size / sizeof *syms, 3);
        assert_string_equal(strings + syms[1].st_name, "wasm[0]::first");
        assert_string_equal(strings + syms[2].st_name, "wasm[1]::func[0]");
        assert_string_equal(names + sh[syms[2].st_shndx].sh_name, ".text");
        assert_int_equal(syms[2].st_value, im.head->text.offset + 16);
        seen = true;
    }
    assert_true(seen);
    const Elf64_Phdr *ph = (const void *)(im.base + eh->e_phoff);
    for (int i = 0; i < eh->e_phnum; i++) assert_false((ph[i].p_flags & PF_W) && (ph[i].p_flags & PF_X));
    abi_image_close(&im);
}

static void test_any_changed_byte_is_refused(void **state) {
    struct abi_key_public pub = public_key();
    int fd = write_image(&key, NULL);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 0; at < size; at += at < 1024 || size - at <= 128 ? 1 : 61) {
        uint8_t b;
        assert_int_equal(pread(fd, &b, 1, at), 1);
        uint8_t changed = b ^ (uint8_t)(1 << at % 8);
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        struct abi_image im;
        assert_int_equal(abi_image_open(dup(fd), &pub, &im, NULL), ERR_SIGNATURE);
        assert_int_equal(pwrite(fd, &b, 1, at), 1);
    }
    struct abi_image im;
    assert_int_equal(abi_image_open(fd, &pub, &im, NULL), ERR_OK);
    abi_image_close(&im);
}

static void test_cut_or_extended_is_refused(void **state) {
    struct abi_key_public pub = public_key();
    int fd = write_image(&key, NULL);
    off_t size = lseek(fd, 0, SEEK_END);
    struct abi_image im;
    assert_int_equal(ftruncate(fd, size + 1), 0);
    assert_int_equal(abi_image_open(dup(fd), &pub, &im, NULL), ERR_SIGNATURE);
    for (off_t n = size - 1; n >= 0; n = n > 200 ? n - 97 : n - 1) {
        assert_int_equal(ftruncate(fd, n), 0);
        struct diag d = DIAG_INIT;
        assert_int_equal(abi_image_open(dup(fd), &pub, &im, &d), ERR_SIGNATURE);
        assert_true(d.text[0]);
    }
    close(fd);
}

static void test_another_key_is_refused(void **state) {
    struct crypto_ed25519 other;
    crypto_ed25519_new(&other);
    struct abi_key_public pub = public_key();
    struct abi_image im;
    assert_int_equal(abi_image_open(write_image(&other, NULL), &pub, &im, NULL), ERR_SIGNATURE);
    assert_int_equal(abi_image_open(write_image(NULL, NULL), &pub, &im, NULL), ERR_SIGNATURE);
}

static err sign_later(int fd) {
    struct abi_image_signed m;
    uint8_t signature[ABI_IMAGE_SIGNATURE];
    TRY(abi_image_to_sign(fd, &m, NULL));
    crypto_ed25519_sign(&key, (str){(const uint8_t *)&m, sizeof m}, signature);
    return abi_image_put_signature(fd, signature, NULL);
}

static void test_sign_later(void **state) {
    struct abi_key_public pub = public_key();
    struct abi_image im;
    int fd = write_image(NULL, NULL);
    assert_int_equal(sign_later(fd), ERR_OK);
    assert_int_equal(abi_image_open(dup(fd), &pub, &im, NULL), ERR_OK);
    abi_image_close(&im);
    assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
    assert_int_equal(sign_later(fd), ERR_MALFORMED);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(sign_later(fd), ERR_MALFORMED);
    close(fd);
}

static void other_machine(struct abi_image_head *h) { h->machine = EM_S390; }
static void other_cpu(struct abi_image_head *h) { h->cpu_features = 1ull << 63; }

static void many_funcs(struct abi_image_head *h) { h->funcs.count = UINT64_MAX / 8; }
static void far_codes(struct abi_image_head *h) { h->codes.offset = 1 << 30; }
static void crooked_text(struct abi_image_head *h) { h->text.offset += 16; }

static void test_tables_lie_in_the_file(void **state) {
    struct abi_image im;
    assert_int_equal(abi_image_open(write_image(NULL, many_funcs), NULL, &im, NULL), ERR_MALFORMED);
    assert_int_equal(abi_image_open(write_image(NULL, far_codes), NULL, &im, NULL), ERR_MALFORMED);
    assert_int_equal(abi_image_open(write_image(NULL, crooked_text), NULL, &im, NULL), ERR_MALFORMED);
}

static void test_unsupported_is_said(void **state) {
    struct abi_key_public pub = public_key();
    struct abi_image im;
    struct diag d = DIAG_INIT, d2 = DIAG_INIT;
    assert_int_equal(abi_image_open(write_image(&key, other_machine), &pub, &im, &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "the image is for "));
    assert_int_equal(abi_image_open(write_image(&key, other_cpu), &pub, &im, &d2), ERR_UNSUPPORTED);
    assert_non_null(strstr(d2.text, "CPU"));
}

static void test_never_writable_and_executable(void **state) {
    struct abi_image im;
    assert_int_equal(abi_image_open(write_image(NULL, NULL), NULL, &im, NULL), ERR_OK);
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    char line[512];
    bool executable = false;
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char mode[8];
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &from, &to, mode), 3);
        if (to <= (uintptr_t)im.base || from >= (uintptr_t)im.base + im.size) continue;
        assert_int_equal(mode[1], '-');
        executable = executable || mode[2] == 'x';
    }
    fclose(maps);
    assert_true(executable);
    abi_image_close(&im);
}

int main(void) {
    crypto_ed25519_new(&key);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_is_elf),
        cmocka_unit_test(test_any_changed_byte_is_refused),
        cmocka_unit_test(test_cut_or_extended_is_refused),
        cmocka_unit_test(test_another_key_is_refused),
        cmocka_unit_test(test_sign_later),
        cmocka_unit_test(test_tables_lie_in_the_file),
        cmocka_unit_test(test_unsupported_is_said),
        cmocka_unit_test(test_never_writable_and_executable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
