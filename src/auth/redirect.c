/* redirect: where a link may lead: nobody's but the app's own pages, what it names, and who is at this machine. */
#include "auth/auth_int.h"

struct place {
    str scheme, host, port;
};

/* What is no URL that all read alike leads nowhere: a backslash is a slash to some, a user's name hides the host. */
static bool read_place(str url, struct place *p) {
    size_t colon = str_find(url, ':'), end;
    if (url.n > 2048 || colon + 2 >= url.n || url.p[colon + 1] != '/' || url.p[colon + 2] != '/') return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] == 0x7f || url.p[i] == '\\') return false;
    for (size_t i = 0; i < colon; i++) {
        uint8_t ch = url.p[i] | 32;
        if (!((ch >= 'a' && ch <= 'z') ||
              (i && ((ch >= '0' && ch <= '9') || url.p[i] == '+' || url.p[i] == '-' || url.p[i] == '.'))))
            return false;
    }
    p->scheme = str_sub(url, 0, colon);
    str rest = str_sub(url, colon + 3, url.n);
    for (end = 0; end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#';) end++;
    str authority = str_sub(rest, 0, end);
    if (str_find(authority, '@') < authority.n) return false;
    if (authority.n && authority.p[0] == '[') {
        size_t close = str_find(authority, ']');
        if (close == authority.n) return false;
        p->host = str_sub(authority, 0, close + 1);
        authority = str_sub(authority, close + 1, authority.n);
        if (authority.n && authority.p[0] != ':') return false;
        p->port = str_sub(authority, 1, authority.n);
    } else {
        str_cut(authority, ':', &p->host, &p->port);
    }
    for (size_t i = 0; i < p->port.n; i++)
        if (p->port.p[i] < '0' || p->port.p[i] > '9') return false;
    return colon > 0;
}

static bool is_loopback(str host) {
    bool four = str_starts(host, STR("127."));
    for (size_t i = 4; i < host.n && four; i++) four = (host.p[i] >= '0' && host.p[i] <= '9') || host.p[i] == '.';
    return four || str_eqc(host, "[::1]");
}

static bool is_usual(str host) {
    bool ok = host.n;
    for (size_t i = 0; i < host.n && ok; i++) {
        uint8_t ch = host.p[i] | 32;
        ok = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || host.p[i] == '-' || host.p[i] == '.';
    }
    return ok;
}

/* Whose last label is a number is an address, whatever it looks like: "0x08080808", "1.2.0x304". */
static bool is_number(str host) {
    size_t at = host.n && host.p[host.n - 1] == '.' ? --host.n : host.n;
    while (at && host.p[at - 1] != '.') at--;
    str last = str_sub(host, at, host.n);
    bool hex = last.n > 1 && last.p[0] == '0' && (last.p[1] | 32) == 'x', ok = last.n;
    for (size_t i = hex ? 2 : 0; i < last.n && ok; i++) {
        uint8_t ch = last.p[i] | 32;
        ok = (last.p[i] >= '0' && last.p[i] <= '9') || (hex && ch >= 'a' && ch <= 'f');
    }
    return ok;
}

/* *: anything up to . or /, or the host's end where more of the glob follows; **: anything; ?: one character that is none of those. Where a star failed, the last one takes one more: what bounds it is that a URL and a glob
 * have 2048 bytes each. */
static bool matches(str glob, str text) {
    size_t g = 0, t = 0, star = SIZE_MAX, at = 0, deep = SIZE_MAX, deep_at = 0, end = str_find(text, ':') + 3;
    while (end < text.n && text.p[end] != '/' && text.p[end] != '?') end++;
    bool of_host = false; /* the last double star is followed by more of a host: it goes no further than that */
    while (t < text.n) {
        bool separator = text.p[t] == '.' || text.p[t] == '/' || t == end;
        if (g + 1 < glob.n && glob.p[g] == '*' && glob.p[g + 1] == '*') {
            deep = g += 2, deep_at = t, star = SIZE_MAX;
            of_host = t < end && g < glob.n && glob.p[g] != '/';
        } else if (g < glob.n && glob.p[g] == '*') star = ++g, at = t;
        else if (g < glob.n && ((glob.p[g] == '?' && !separator) || glob.p[g] == text.p[t])) g++, t++;
        else if (star != SIZE_MAX && text.p[at] != '.' && text.p[at] != '/' && (at != end || star == glob.n)) g = star, t = ++at;
        else if (deep != SIZE_MAX && !(of_host && deep_at == end)) g = deep, t = ++deep_at, star = SIZE_MAX;
        else return false;
    }
    while (g < glob.n && glob.p[g] == '*') g++;
    return g == glob.n;
}

bool auth_may_lead_to(const struct app_auth *config, str site, str url) {
    struct place own = {0}, p = {0};
    if (!read_place(url, &p)) return false;
    bool same = read_place(site, &own) && str_eq_nocase(own.scheme, p.scheme) && str_eq_nocase(own.host, p.host);
    bool here = str_eq_nocase(p.host, STR("localhost")) || is_loopback(p.host);
    if (same && (str_eq(own.port, p.port) || here)) return true;
    bool http = str_eq_nocase(p.scheme, STR("http")) || str_eq_nocase(p.scheme, STR("https"));
    if (!http && (str_eq_nocase(p.scheme, STR("javascript")) || str_eq_nocase(p.scheme, STR("data")) ||
                  str_eq_nocase(p.scheme, STR("vbscript"))))
        return false;
    if (is_number(p.host) || (p.host.n && p.host.p[0] == '[')) return is_loopback(p.host);
    if (http && !is_usual(p.host)) return false;
    str whole = str_sub(url, 0, str_find(url, '#'));
    for (uint32_t i = 0; i < config->redirects.n; i++)
        if (matches(config->redirects.p[i], whole)) return true;
    return false;
}

str auth_site(struct auth_call *c) { return c->config->site_url.n ? c->config->site_url : c->rq->url; }

/* Where the node's own pages go on, whatever the site's address is. */
static bool is_own_page(struct auth_call *c, str url) {
    struct place p;
    str own = arena_fmt(c->mem, STR_FMT "/auth/v1/pages/callback", STR_ARG(c->rq->url));
    bool at = str_starts(url, own) && (url.n == own.n || url.p[own.n] == '?');
    return at && read_place(url, &p);
}

str auth_redirect(struct auth_call *c) {
    if (c->redirect.n) return c->redirect;
    const str asked[] = {auth_param(c, "redirect_to"), auth_header(c, "redirect_to"), auth_text(c, "redirect_to"),
                         auth_header(c, "referer")};
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++)
        if (asked[i].n && (auth_may_lead_to(c->config, auth_site(c), asked[i]) || is_own_page(c, asked[i]))) return asked[i];
    return auth_site(c);
}
