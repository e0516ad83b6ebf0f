/* format: cutting a picture (format.h). */
#include "pg/format.h"
#include <ctype.h>

static bool starts(str s, const char *word) { return str_starts(s, str_c(word)); }

static unsigned prefix(str *s) {
    unsigned flags = 0;
    for (;;) {
        if (starts(*s, "FM") || starts(*s, "fm")) flags |= FORMAT_FILL;
        else if (!starts(*s, "TM") && !starts(*s, "tm")) return flags;
        *s = str_sub(*s, 2, s->n);
    }
}

static unsigned suffix(str *s) {
    unsigned flags = starts(*s, "TH") ? FORMAT_TH_UPPER : starts(*s, "th") ? FORMAT_TH_LOWER : 0;
    bool spelled = starts(*s, "SP");
    if (flags || spelled) *s = str_sub(*s, 2, s->n);
    return flags;
}

static const struct format_word *word_at(str s, const struct format_word *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (starts(s, words[i].text)) return &words[i];
    return NULL;
}

static size_t character(str s) {
    size_t n = 1;
    while (n < s.n && (s.p[n] & 0xc0) == 0x80) n++;
    return n;
}

static void add_text(struct format *f, str s, bool quoted) {
    bool separator = !quoted && !isalnum(s.p[0]) && s.p[0] < 0x80;
    f->nodes[f->count++] = (struct format_node){.keyword = -1, .text = s, .separator = separator};
}

static str cut_quoted(struct format *f, str s) {
    s = str_sub(s, 1, s.n);
    while (s.n && s.p[0] != '"' && f->count < FORMAT_NODES_MAX) {
        if (s.p[0] == '\\' && s.n > 1) s = str_sub(s, 1, s.n);
        size_t n = character(s);
        add_text(f, str_sub(s, 0, n), true);
        s = str_sub(s, n, s.n);
    }
    return str_sub(s, 1, s.n);
}

bool pg_format_cut(struct pg_call *call, str s, const struct format_word *words, size_t count, bool suffixes,
                   struct format *out) {
    *out = (struct format){.nodes = pg_call_alloc(call, FORMAT_NODES_MAX * sizeof *out->nodes)};
    if (!out->nodes) return false;
    while (s.n && out->count < FORMAT_NODES_MAX) {
        unsigned flags = suffixes ? prefix(&s) : 0;
        const struct format_word *word = s.n ? word_at(s, words, count) : NULL;
        if (word) {
            s = str_sub(s, strlen(word->text), s.n);
            if (suffixes) flags |= suffix(&s);
            out->nodes[out->count++] = (struct format_node){.keyword = word->keyword, .flags = flags};
        } else if (s.n && s.p[0] == '"') {
            s = cut_quoted(out, s);
        } else if (s.n) {
            if (s.p[0] == '\\' && s.n > 1 && s.p[1] == '"') s = str_sub(s, 1, s.n);
            size_t n = character(s);
            add_text(out, str_sub(s, 0, n), false);
            s = str_sub(s, n, s.n);
        }
    }
    return !s.n || pg_raise(call, "22023", "a format of more than %d parts is not supported", FORMAT_NODES_MAX);
}

const char *pg_format_ordinal(str number, bool upper) {
    static const char *const ends[2][4] = {{"th", "st", "nd", "rd"}, {"TH", "ST", "ND", "RD"}};
    uint8_t last = number.n ? number.p[number.n - 1] : '0';
    bool teen = number.n > 1 && number.p[number.n - 2] == '1';
    return ends[upper][teen || last < '1' || last > '3' ? 0 : last - '0'];
}
