/* message: a mail as RFC 5322 has it: a head of ASCII, and bodies in quoted-printable (RFC 2045), two of them as alternatives (RFC 2046). */
#include "mail/mail.h"
#include <stdio.h>
#include <time.h>

enum { LINE_MAX = 74, WORD_BYTES = 42 /* of an encoded word: 56 digits of base64, and 12 around them */ };

static bool is_alnum(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool mail_address_ok(str a) {
    size_t at = a.n;
    while (at && a.p[at - 1] != '@') at--;
    str local = str_sub(a, 0, at ? at - 1 : 0), host = str_sub(a, at, a.n);
    bool ok = at > 1 && local.n <= 64 && host.n && host.n <= MAIL_HOST_MAX && a.n <= MAIL_ADDRESS_MAX;
    for (size_t i = 0; ok && i < local.n; i++)
        ok = is_alnum(local.p[i]) || (local.p[i] && strchr(".!#$%&'*+-/=?^_`{|}~", local.p[i]));
    for (size_t i = 0; ok && i < host.n; i++) ok = is_alnum(host.p[i]) || host.p[i] == '-' || host.p[i] == '.';
    for (size_t i = 0; ok && i + 1 < a.n; i++) ok = a.p[i] != '.' || a.p[i + 1] != '.';
    return ok && local.p[0] != '.' && local.p[local.n - 1] != '.' && is_alnum(host.p[0]) && is_alnum(host.p[host.n - 1]);
}

/* ---- the head ---- */

static bool is_plain(str s) {
    bool ok = s.n <= 60;
    for (size_t i = 0; ok && i < s.n; i++) ok = is_alnum(s.p[i]) || (s.p[i] && strchr(" .,!'-", s.p[i]));
    return ok && str_trim(s).n == s.n;
}

void mail_put_base64(struct buf *to, str s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)s.p[i] << 16 | (i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0) | (i + 2 < s.n ? s.p[i + 2] : 0);
        for (unsigned k = 0; k < 4; k++) buf_putc(to, i + k > s.n ? '=' : (uint8_t)digits[v >> (18 - 6 * k) & 63]);
    }
}

/* As it is where that is plain, else as encoded words, which end between characters. */
static void put_words(struct buf *to, str s) {
    uint8_t piece[WORD_BYTES];
    if (is_plain(s)) {
        buf_puts(to, s);
        return;
    }
    for (size_t at = 0; at < s.n;) {
        size_t n = 0;
        while (at < s.n && n < WORD_BYTES) {
            size_t one = str_utf8_prefix(str_sub(s, at, 1)) ? 1 : 0;
            for (size_t k = 2; !one && k <= 4 && at + k <= s.n; k++) one = str_utf8_prefix(str_sub(s, at, k)) == k ? k : 0;
            if (n + (one ? one : 1) > WORD_BYTES) break;
            for (size_t k = 0; k < one; k++) piece[n + k] = s.p[at + k] < ' ' || s.p[at + k] == 0x7f ? ' ' : s.p[at + k];
            if (!one) piece[n] = '?';
            n += one ? one : 1, at += one ? one : 1;
        }
        buf_puts(to, STR("=?utf-8?B?"));
        mail_put_base64(to, (str){piece, n});
        buf_puts(to, at < s.n ? STR("?=\r\n ") : STR("?="));
    }
}

static void put_date(struct buf *to, int64_t at_s) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}, *const months[] = {"Jan", "Feb", "Mar",
                                                                                                            "Apr", "May", "Jun",
                                                                                                            "Jul", "Aug", "Sep",
                                                                                                            "Oct", "Nov", "Dec"};
    time_t at = (time_t)at_s;
    struct tm t = {0};
    gmtime_r(&at, &t);
    buf_printf(to, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
               t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* ---- bodies ---- */

static void put_hex(struct buf *to, uint8_t c) { buf_printf(to, "=%02X", c); }

/* Lines end where they do; what would be lost or taken for something else on the way is written as its number. */
static void put_quoted(struct buf *to, str s) {
    size_t column = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool end = c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n');
        if (end) {
            i += c == '\r';
            buf_puts(to, STR("\r\n"));
            column = 0;
            continue;
        }
        bool last = i + 1 == s.n || s.p[i + 1] == '\n' || s.p[i + 1] == '\r';
        if (column >= LINE_MAX - 3) {
            buf_puts(to, STR("=\r\n"));
            column = 0;
        }
        bool plain = (c > ' ' && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !last);
        bool first = !column && (c == '.' || c == '-' || c == 'F');
        if (plain && !first) buf_putc(to, c), column++;
        else put_hex(to, c), column += 3;
    }
    buf_puts(to, STR("\r\n"));
}

static void put_part(struct buf *to, const char *type, str body) {
    buf_printf(to, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", type);
    put_quoted(to, body);
}

static bool id_ok(str id) {
    bool ok = id.n && id.n <= 64;
    for (size_t i = 0; ok && i < id.n; i++) ok = is_alnum(id.p[i]) || id.p[i] == '-';
    return ok;
}

bool mail_message_write(struct buf *to, const struct mail_message *m) {
    if (!mail_address_ok(m->from) || !mail_address_ok(m->to) || !id_ok(m->id)) return false;
    str host = str_sub(m->from, str_find(m->from, '@') + 1, m->from.n);
    put_date(to, m->at_s);
    buf_puts(to, STR("From: "));
    if (m->from_name.n) put_words(to, str_sub(m->from_name, 0, MAIL_WORDS_MAX)), buf_puts(to, STR("\r\n "));
    buf_printf(to, "<" STR_FMT ">\r\nTo: <" STR_FMT ">\r\nSubject: ", STR_ARG(m->from), STR_ARG(m->to));
    put_words(to, str_sub(m->subject, 0, MAIL_WORDS_MAX));
    buf_printf(to, "\r\nMessage-ID: <" STR_FMT "@" STR_FMT ">\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n",
               STR_ARG(m->id), STR_ARG(host));
    if (!m->text.n != !m->html.n) {
        put_part(to, m->html.n ? "html" : "plain", m->html.n ? m->html : m->text);
        return true;
    }
    buf_printf(to, "Content-Type: multipart/alternative; boundary=\"=_" STR_FMT "\"\r\n\r\n", STR_ARG(m->id));
    for (int i = 0; i < 2; i++) {
        buf_printf(to, "--=_" STR_FMT "\r\n", STR_ARG(m->id));
        put_part(to, i ? "html" : "plain", i ? m->html : m->text);
    }
    buf_printf(to, "--=_" STR_FMT "--\r\n", STR_ARG(m->id));
    return true;
}
