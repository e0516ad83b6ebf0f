/* image_write: lays chunks out in sections and writes them, signed, without gathering them in memory first.
 *
 * 1. Chunks and sections ascend by offset; virtual addresses are file offsets.
 * 2. What lies between chunks is zero.
 */
#include "abi/image_int.h"
#include <errno.h>
#include <unistd.h>

/* ---- layout ---- */

void abi_image_writer_init(struct abi_image_writer *w, arena *scratch) {
    *w = (struct abi_image_writer){.arena = scratch, .end = ABI_IMAGE_HEAD + sizeof(struct abi_image_head)};
    w->head.machine = ABI_MACHINE;
    *vec_add(w->arena, &w->sections) = (struct abi_image_section){.name = ""};
    *vec_add(w->arena, &w->sections) = (struct abi_image_section){.name = ".note.orlo",
                                                                  .type = SHT_NOTE,
                                                                  .flags = SHF_ALLOC,
                                                                  .align = 4,
                                                                  .offset = ABI_IMAGE_NOTE,
                                                                  .bytes = w->end - ABI_IMAGE_NOTE};
}

static struct abi_image_section *begin(struct abi_image_writer *w, struct abi_image_section s) {
    w->end = align_up(w->end, s.align);
    w->sparse = false;
    s.offset = w->end;
    struct abi_image_section *at = vec_add(w->arena, &w->sections);
    *at = s;
    return at;
}

void abi_image_begin(struct abi_image_writer *w, enum abi_section kind, const char *name) {
    static const uint32_t flags[] = {SHF_ALLOC | SHF_EXECINSTR, SHF_ALLOC | SHF_WRITE, SHF_ALLOC, SHF_ALLOC};
    begin(w, (struct abi_image_section){.name = name, .type = SHT_PROGBITS, .flags = flags[kind], .align = ABI_PAGE});
    w->sparse = kind == ABI_SECTION_MAPPED;
}

struct abi_span abi_image_add(struct abi_image_writer *w, const void *p, uint64_t count, size_t size, size_t align) {
    struct abi_image_section *s = &w->sections.p[w->sections.n - 1];
    w->end = align_up(w->end, align);
    struct abi_span span = {w->end, count};
    if (count)
        vec_push(w->arena, &w->chunks,
                 ((struct abi_image_chunk){.p = p, .offset = w->end, .bytes = count * size, .sparse = w->sparse}));
    w->end += count * size;
    s->bytes = w->end - s->offset;
    return span;
}

static uint32_t section_index(const struct abi_image_writer *w, const char *name) {
    for (uint32_t i = 1; i < w->sections.n; i++)
        if (str_eqc(str_c(w->sections.p[i].name), name)) return i;
    return 0;
}

void abi_image_add_symbols(struct abi_image_writer *w, const struct abi_image_code *codes, const str *names, uint64_t n) {
    Elf64_Sym *syms = arena_array(w->arena, Elf64_Sym, n + 1);
    uint64_t strings_max = 1;
    for (uint64_t i = 0; i < n; i++) strings_max += names[i].n + 32;
    char *strings = arena_alloc(w->arena, strings_max, 1);
    uint64_t at = 1;
    uint16_t text = (uint16_t)section_index(w, ".text");
    uint64_t text_offset = text ? w->sections.p[text].offset : 0;
    for (uint64_t i = 0; i < n; i++) {
        const struct abi_image_code *c = &codes[i];
        syms[i + 1] = (Elf64_Sym){.st_name = (Elf64_Word)at,
                                  .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
                                  .st_shndx = text,
                                  .st_value = text_offset + c->start,
                                  .st_size = c->size};
        int k = names[i].n ? snprintf(strings + at, strings_max - at, "wasm[%u]::" STR_FMT, c->instance, STR_ARG(names[i]))
                           : snprintf(strings + at, strings_max - at, "wasm[%u]::func[%u]", c->instance, c->func_index);
        at += (uint64_t)k + 1;
    }
    begin(w, (struct abi_image_section){.name = ".symtab",
                                        .type = SHT_SYMTAB,
                                        .align = 8,
                                        .link = w->sections.n + 1,
                                        .info = (uint32_t)n + 1,
                                        .entry_bytes = sizeof(Elf64_Sym)});
    abi_image_add(w, syms, n + 1, sizeof *syms, 8);
    begin(w, (struct abi_image_section){.name = ".strtab", .type = SHT_STRTAB, .align = 1});
    abi_image_add(w, strings, at, 1, 1);
}

/* ---- headers ---- */

/* Adds section names and headers; gives the offset of the headers. */
static uint64_t add_section_headers(struct abi_image_writer *w) {
    begin(w, (struct abi_image_section){.name = ".shstrtab", .type = SHT_STRTAB, .align = 1});
    size_t names_max = 0;
    for (uint32_t i = 0; i < w->sections.n; i++) names_max += strlen(w->sections.p[i].name) + 1;
    char *names = arena_alloc(w->arena, names_max, 1);
    abi_image_add(w, names, names_max, 1, 1);
    Elf64_Shdr *headers = arena_array(w->arena, Elf64_Shdr, w->sections.n);
    size_t at = 0;
    for (uint32_t i = 0; i < w->sections.n; i++) {
        const struct abi_image_section *s = &w->sections.p[i];
        size_t n = strlen(s->name) + 1;
        memcpy(names + at, s->name, n);
        headers[i] = (Elf64_Shdr){.sh_name = (Elf64_Word)at,
                                  .sh_type = s->type,
                                  .sh_flags = s->flags,
                                  .sh_addr = s->flags & SHF_ALLOC ? s->offset : 0,
                                  .sh_offset = s->offset,
                                  .sh_size = s->bytes,
                                  .sh_link = s->link,
                                  .sh_info = s->info,
                                  .sh_addralign = s->align,
                                  .sh_entsize = s->entry_bytes};
        at += n;
    }
    w->end = align_up(w->end, 8);
    uint64_t offset = w->end;
    vec_push(w->arena, &w->chunks,
             ((struct abi_image_chunk){.p = headers, .offset = offset, .bytes = w->sections.n * sizeof *headers}));
    w->end += w->sections.n * sizeof *headers;
    return offset;
}

static Elf64_Phdr load(uint32_t flags, uint64_t from, uint64_t to) {
    return (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_flags = flags,
                        .p_offset = from,
                        .p_vaddr = from,
                        .p_paddr = from,
                        .p_filesz = to - from,
                        .p_memsz = to - from,
                        .p_align = ABI_PAGE};
}

/* The bytes before the first section: ELF header, program headers, note. */
static uint8_t *make_front(struct abi_image_writer *w, uint64_t headers_offset, uint64_t load_end) {
    uint8_t *front = arena_alloc(w->arena, ABI_IMAGE_HEAD + sizeof w->head, 16);
    Elf64_Ehdr *eh = (Elf64_Ehdr *)(void *)front;
    memcpy(eh->e_ident, ELFMAG, SELFMAG);
    eh->e_ident[EI_CLASS] = ELFCLASS64;
    eh->e_ident[EI_DATA] = ELFDATA2LSB;
    eh->e_ident[EI_VERSION] = EV_CURRENT;
    eh->e_type = ET_DYN;
    eh->e_machine = (Elf64_Half)w->head.machine;
    eh->e_version = EV_CURRENT;
    eh->e_phoff = sizeof *eh;
    eh->e_shoff = headers_offset;
    eh->e_ehsize = sizeof *eh;
    eh->e_phentsize = sizeof(Elf64_Phdr);
    eh->e_phnum = ABI_IMAGE_PHDRS;
    eh->e_shentsize = sizeof(Elf64_Shdr);
    eh->e_shnum = (Elf64_Half)w->sections.n;
    eh->e_shstrndx = (Elf64_Half)(w->sections.n - 1);

    Elf64_Phdr *ph = (Elf64_Phdr *)(void *)(front + sizeof *eh);
    uint64_t text = w->head.text.offset, text_end = align_up(text + w->head.text.count, ABI_PAGE);
    uint64_t funcs_end = align_up(text_end + w->head.funcs.count * sizeof(struct abi_func), ABI_PAGE);
    funcs_end = MIN(funcs_end, load_end);
    ph[0] = load(PF_R, 0, text);
    ph[1] = load(PF_R | PF_X, text, text_end);
    ph[2] = load(PF_R | PF_W, text_end, MAX(text_end, funcs_end));
    ph[3] = load(PF_R, MAX(text_end, funcs_end), MAX(load_end, MAX(text_end, funcs_end)));
    ph[4] = load(PF_R, ABI_IMAGE_NOTE, ABI_IMAGE_HEAD + sizeof w->head);
    ph[4].p_type = PT_NOTE;
    ph[4].p_align = 4;

    Elf64_Nhdr *note = (Elf64_Nhdr *)(void *)(front + ABI_IMAGE_NOTE);
    *note = (Elf64_Nhdr){.n_namesz = 5, .n_descsz = sizeof w->head, .n_type = ABI_IMAGE_VERSION};
    memcpy(note + 1, "orlo", 5);
    memcpy(front + ABI_IMAGE_HEAD, &w->head, sizeof w->head);
    return front;
}

/* ---- writing ---- */

struct sink {
    int fd;
    uint64_t at;                       /* of what has been put */
    uint64_t pending;                  /* bytes in buffer, not yet written */
    struct crypto_sha256_stream *hash; /* NULL: none */
    int error;                         /* errno of the first failure */
    uint8_t buffer[64 << 10];          /* gathers what is small */
};

static void file_write(struct sink *s, const uint8_t *p, uint64_t n, uint64_t at) {
    while (n && !s->error) {
        ssize_t k = pwrite(s->fd, p, MIN(n, (uint64_t)1 << 30), (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            s->error = k ? errno : EIO;
            return;
        }
        p += k, n -= (uint64_t)k, at += (uint64_t)k;
    }
}

static void sink_write(struct sink *s, const uint8_t *p, uint64_t n, uint64_t at) {
    if (s->hash) crypto_sha256_add(s->hash, (str){p, n});
    file_write(s, p, n, at);
}

static void sink_flush(struct sink *s) {
    sink_write(s, s->buffer, s->pending, s->at - s->pending);
    s->pending = 0;
}

static void sink_put(struct sink *s, const void *p, uint64_t n) {
    if (s->pending + n > sizeof s->buffer) sink_flush(s);
    if (n > sizeof s->buffer / 2) {
        sink_flush(s);
        sink_write(s, p, n, s->at);
    } else if (n) {
        memcpy(s->buffer + s->pending, p, n);
        s->pending += n;
    }
    s->at += n;
}

/* Steps over what is in the file already. */
static void sink_skip(struct sink *s, const void *p, uint64_t n) {
    sink_flush(s);
    if (s->hash) crypto_sha256_add(s->hash, (str){p, n});
    s->at += n;
}

static bool page_is_zero(const uint8_t *p, uint64_t n) {
    static const uint8_t zero[ABI_PAGE];
    return memcmp(p, zero, MIN(n, sizeof zero)) == 0;
}

/* Leaves out pages of zeroes: what lies behind the text in the file was cut off before. */
static void sink_put_sparse(struct sink *s, const uint8_t *p, uint64_t n) {
    sink_flush(s);
    if (s->hash) crypto_sha256_add(s->hash, (str){p, n});
    for (uint64_t at = 0; at < n;) {
        uint64_t from = at;
        while (at < n && !page_is_zero(p + at, n - at)) at += ABI_PAGE;
        if (at > from) file_write(s, p + from, MIN(at, n) - from, s->at + from);
        while (at < n && page_is_zero(p + at, n - at)) at += ABI_PAGE;
    }
    s->at += n;
}

static void sink_zero_to(struct sink *s, uint64_t offset) {
    static const uint8_t zero[ABI_PAGE];
    while (s->at < offset && !s->error) sink_put(s, zero, MIN(offset - s->at, sizeof zero));
}

err abi_image_write(struct abi_image_writer *w, int fd, const struct crypto_ed25519 *key, struct diag *d) {
    uint64_t load_end = align_up(w->end, ABI_PAGE);
    for (uint32_t i = 0; i < w->sections.n; i++)
        if (w->sections.p[i].type == SHT_SYMTAB) load_end = w->sections.p[i].offset;
    uint64_t headers = add_section_headers(w);
    load_end = MIN(load_end, w->end);
    memcpy(w->head.magic, ABI_IMAGE_MAGIC, sizeof w->head.magic);
    w->head.version = ABI_IMAGE_VERSION;
    w->head.file_bytes = w->end + ABI_IMAGE_SIGNATURE;

    uint64_t text_end = w->head.funcs.offset + w->head.funcs.count * sizeof(struct abi_func);
    struct sink s = {.fd = fd, .hash = key ? crypto_sha256_begin() : NULL};
    if (ftruncate(fd, w->text_written ? (off_t)text_end : 0) < 0) s.error = errno;
    sink_put(&s, make_front(w, headers, load_end), ABI_IMAGE_HEAD + sizeof w->head);
    for (uint32_t i = 0; i < w->chunks.n; i++) {
        const struct abi_image_chunk *c = &w->chunks.p[i];
        sink_zero_to(&s, c->offset);
        if (w->text_written && c->offset < text_end) sink_skip(&s, c->p, c->bytes);
        else if (c->sparse) sink_put_sparse(&s, c->p, c->bytes);
        else sink_put(&s, c->p, c->bytes);
    }
    uint8_t signature[ABI_IMAGE_SIGNATURE] = {0};
    sink_flush(&s);
    if (key) {
        struct abi_image_signed m = {.purpose = ABI_IMAGE_PURPOSE};
        crypto_sha256_end(s.hash, m.digest);
        s.hash = NULL;
        crypto_ed25519_sign(key, (str){(const uint8_t *)&m, sizeof m}, signature);
    }
    sink_put(&s, signature, sizeof signature);
    sink_flush(&s);
    if (!s.error && ftruncate(fd, (off_t)w->head.file_bytes) < 0) s.error = errno;
    return s.error ? diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot write the image: %s", strerror(s.error)) : ERR_OK;
}
