/* chars: UTF-8 as PostgreSQL counts it, and what C.UTF-8 says of characters. Text that is no UTF-8 (a damaged database) is read byte by byte. */
#ifndef ORLO_PG_CHARS_H
#define ORLO_PG_CHARS_H

#include "base/base.h"

static inline bool pg_char_continues(uint8_t c) { return (c & 0xc0) == 0x80; }
/* The character at s[at], at < s.n, and its length in bytes. */
uint32_t pg_char_at(str s, size_t at, size_t *bytes);
static inline size_t pg_char_bytes(str s, size_t at) {
    size_t n = 1;
    while (s.p[at] >= 0xc0 && n < 4 && at + n < s.n && pg_char_continues(s.p[at + n])) n++;
    return n;
}
/* Where the last character before at begins, at > 0. */
size_t pg_char_before(str s, size_t at);
size_t pg_chars_count(str s);
/* The byte at which character number n (from 0) begins; s.n: there are not so many. */
size_t pg_chars_skip(str s, uint64_t n);
size_t pg_char_encode(uint32_t c, uint8_t out[4]); /* c up to 0x10ffff */
uint32_t pg_char_upper(uint32_t c);
uint32_t pg_char_lower(uint32_t c);
bool pg_char_is_word(uint32_t c); /* a letter or digit */
/* Each character changed; appended. */
void pg_chars_lower(struct buf *b, str s);
void pg_chars_upper(struct buf *b, str s);

#endif
