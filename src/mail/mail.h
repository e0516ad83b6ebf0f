/* mail: what is sent to an address: messages (RFC 5322, MIME), and how a relay is told of them (SMTP, RFC 5321). No I/O: bytes go in, bytes come out.
 *
 *   message.c   who, whom, about what, in words and perhaps in HTML ──> a message
 *   smtp.c      a relay's replies ──> what it is told next
 *
 * 1. No line of a message's head or of a relay's dialogue can be made by what somebody chose: addresses have a grammar without spaces, brackets, quotes and
 *    control characters; words that are not plain ASCII letters, digits and spaces are encoded (RFC 2047), bodies too (quoted-printable), with no
 *    dot and no dash at a line's beginning.
 * 2. What a relay says is bounded: a line, a reply, all of a dialogue. A password goes over TLS alone, where it is not said that there is none.
 */
#ifndef ORLO_MAIL_H
#define ORLO_MAIL_H

#include "base/base.h"

enum { MAIL_ADDRESS_MAX = 255, MAIL_WORDS_MAX = 512, MAIL_HOST_MAX = 253, MAIL_USER_MAX = 320, MAIL_PASSWORD_MAX = 1024 };

/* "ann@shop.example": letters, digits and .!#$%&'*+-/=?^_`{|}~ before the last @, a name of the DNS behind it. */
bool mail_address_ok(str address);

struct mail_message {
    str from_name, from, to; /* from_name: empty: none; any UTF-8 */
    str subject;             /* any UTF-8; what is no text of it becomes a space */
    str text, html;          /* one of them may be empty */
    str id;                  /* what makes it this one, whenever it is sent: letters, digits, '-' */
    int64_t at_s;            /* since 1970 */
};
/* False: an address or the id is none. Lines end with CRLF. */
[[nodiscard]] bool mail_message_write(struct buf *to, const struct mail_message *m);

/* ---- templates ----
 *
 * Go's notation, as far as GoTrue's templates need it: {{ .Name }}, {{ .Data.name.of }}, {{ if }} {{ else if }} {{ else }} {{ end }}, {{- -}}, comments; eq, ne, and, or, not,
 * index, urlquery, parentheses, words in quotes, numbers. All else (range, with, variables, pipes, other functions) is refused, with its line.
 *
 * Of HTML, what stands for a value is escaped by where it stands, as html/template does: text, attribute in quotes, URL (a scheme that runs something is none), its query.
 * In a script, a style, the name of an attribute, or a value without quotes, there is no safe way: it is refused. Branches end where they began. */
struct mail_value {
    enum { MAIL_NOTHING, MAIL_TEXT, MAIL_BOOL, MAIL_MANY /* an object, an array */ } kind;
    str text;     /* of a number, too */
    bool is_true; /* as Go's `if` has it */
    bool trusted; /* of a URL: it was looked at before, whatever its scheme */
};
struct mail_fault {
    uint32_t line; /* from 1; 0: none */
    char text[160];
};
struct mail_template {
    bool html;
    const char *const *names; /* that there are, "SiteURL"; NULL ends them */
    /* path: "Data", "name"; what is not there is nothing. NULL: it is only looked at. */
    void (*find)(void *arg, const str *path, uint32_t n, struct mail_value *value);
    void *arg;
};
enum {
    MAIL_TEMPLATE_BYTES_MAX = 128 << 10,
    MAIL_FILLED_BYTES_MAX = 256 << 10 /* a value stands there as often as it is named */
};
/* All of it is looked at, branches that are not taken, too. False: fault says what is wrong. */
[[nodiscard]] bool mail_template_fill(struct buf *to, str text, const struct mail_template *t, struct mail_fault *fault);
/* A message to a telephone: {{ .Code }}. words empty: "Your code is {{ .Code }}". */
[[nodiscard]] bool mail_sms_words(str words, str code, struct buf *to, struct mail_fault *fault);

void mail_put_base64(struct buf *to, str s); /* RFC 4648 §4 */

/* ---- SMTP ---- */

struct mail_smtp_config {
    str hello;      /* our name */
    str user, pass; /* empty: nobody is signed in */
    bool secure;    /* it is TLS already */
    bool starttls;  /* or becomes it before anything is said */
};
enum mail_smtp_event {
    MAIL_SMTP_MORE,    /* feed it what the relay says; what is in `out` is to be sent */
    MAIL_SMTP_SECURE,  /* TLS is to begin now; then mail_smtp_secured */
    MAIL_SMTP_READY,   /* a message may be given */
    MAIL_SMTP_SENT,    /* the relay has it; and READY is next */
    MAIL_SMTP_REFUSED, /* it does not take this one, and will not another time; READY is next */
    MAIL_SMTP_LATER,   /* it does not take this one now; READY is next */
    MAIL_SMTP_FAILED,  /* nothing can be sent over this connection any more; `why` says for what reason */
};
struct mail_smtp {
    struct mail_smtp_config c; /* borrows its strings */
    int state;
    struct buf out, in; /* to be sent; of a reply, what has come */
    uint32_t replied;   /* bytes that it has said to one command */
    unsigned code;      /* of the reply */
    bool can_starttls, can_plain, can_login;
    str from, to, data; /* of the message; borrowed */
    enum mail_smtp_event outcome;
    char why[256];
};
void mail_smtp_begin(struct mail_smtp *s, const struct mail_smtp_config *config);
/* Takes all that was received. One event at a time: call it again, with nothing, until it says MORE. */
enum mail_smtp_event mail_smtp_feed(struct mail_smtp *s, str received);
void mail_smtp_secured(struct mail_smtp *s);
/* After READY. data: as mail_message_write has it; all is borrowed until the next event that is not MORE. */
void mail_smtp_send(struct mail_smtp *s, str from, str to, str data);
void mail_smtp_quit(struct mail_smtp *s); /* after READY: goodbye is in out */
void mail_smtp_end(struct mail_smtp *s);  /* frees what it holds */

#endif
