/* proxy: see proxy.h. */
#include "net/proxy.h"

enum { V1_BYTES_MAX = 107, V2_HEAD = 16 };
static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n", word[6] = "PROXY ";

static enum net_proxy_result broken(struct net_proxy *out, const char *why) {
    out->why = why;
    return NET_PROXY_ERROR;
}

/* ---- version 1 ---- */

/* Digits alone, and none before the first that counts. */
static bool port_of(str text, uint16_t *port) {
    uint64_t v;
    if (!text.n || text.n > 5 || (text.p[0] == '0' && text.n > 1) || !str_to_u64(text, &v) || v > UINT16_MAX) return false;
    *port = (uint16_t)v;
    return true;
}

static bool address_of(str text, bool v6, struct net_addr *a) {
    bool bracket = text.n && text.p[0] == '[';
    if (bracket || !net_addr_parse(text, a)) return false;
    bool colon = str_find(text, ':') < text.n;
    return colon == v6;
}

static enum net_proxy_result line_of(str line, struct net_proxy *out) {
    str part[5], rest = str_sub(line, sizeof word, line.n);
    if (str_eqc(rest, "UNKNOWN") || str_starts(rest, STR("UNKNOWN "))) return NET_PROXY_DONE;
    for (int i = 0; i < 5; i++)
        if (!str_cut(rest, ' ', &part[i], &rest) != (i == 4)) return broken(out, "a PROXY line has five words behind the first");
    bool v6 = str_eqc(part[0], "TCP6");
    if (!v6 && !str_eqc(part[0], "TCP4")) return broken(out, "a PROXY line says TCP4, TCP6 or UNKNOWN");
    if (!address_of(part[1], v6, &out->peer) || !address_of(part[2], v6, &out->local))
        return broken(out, "an address of a PROXY line is none of its family");
    if (!port_of(part[3], &out->peer.port) || !port_of(part[4], &out->local.port))
        return broken(out, "a port of a PROXY line is none");
    out->known = true;
    return NET_PROXY_DONE;
}

static enum net_proxy_result version_1(const uint8_t *p, size_t n, struct net_proxy *out) {
    str seen = {p, MIN(n, (size_t)V1_BYTES_MAX)};
    size_t end = str_find(seen, '\n');
    if (end == seen.n) return n < V1_BYTES_MAX ? NET_PROXY_MORE : broken(out, "a PROXY line is too long");
    if (p[end - 1] != '\r') return broken(out, "a PROXY line ends with carriage return and line feed");
    out->bytes = end + 1;
    for (size_t i = 0; i + 1 < end; i++)
        if (p[i] < 0x20 || p[i] > 0x7e) return broken(out, "a PROXY line is text");
    return line_of(str_sub(seen, 0, end - 1), out);
}

/* ---- version 2 ---- */

static void put_address(struct net_addr *a, bool v6, const uint8_t *ip, const uint8_t *port) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *a = (struct net_addr){.v6 = v6, .port = (uint16_t)(port[0] << 8 | port[1])};
    bool is_mapped = v6 && !memcmp(ip, mapped, sizeof mapped);
    if (is_mapped) a->v6 = false, ip += sizeof mapped;
    memcpy(a->ip, ip, a->v6 ? 16 : 4);
}

enum { TLV_ALPN = 1, TLV_AUTHORITY = 2, TLV_CRC32C = 3, TLV_SSL = 0x20, CLIENT_SSL = 1, TLV_HEAD = 3 };

static uint32_t crc32c(const uint8_t *p, size_t n, const uint8_t *hole) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p + i >= hole && p + i < hole + 4 ? 0 : p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

/* header: all of it, with its sum. False: it is not that sum. */
static bool is_sum(str header, str value) {
    if (value.n != 4) return false;
    uint32_t said = (uint32_t)value.p[0] << 24 | (uint32_t)value.p[1] << 16 | (uint32_t)value.p[2] << 8 | value.p[3];
    return crc32c(header.p, header.n, value.p) == said;
}

static enum net_proxy_result tlvs(str header, size_t at, struct net_proxy *out) {
    while (at < header.n) {
        const uint8_t *p = header.p + at;
        size_t left = header.n - at, n = left < TLV_HEAD ? 0 : (size_t)p[1] << 8 | p[2];
        if (left < TLV_HEAD || n > left - TLV_HEAD) return broken(out, "a PROXY header ends within what it says besides");
        str value = {p + TLV_HEAD, n};
        if (p[0] == TLV_ALPN) out->alpn = value;
        if (p[0] == TLV_AUTHORITY) out->host = value;
        if (p[0] == TLV_SSL && n < 5) return broken(out, "what a PROXY header says of TLS is too short");
        if (p[0] == TLV_SSL) out->secure = value.p[0] & CLIENT_SSL;
        if (p[0] == TLV_CRC32C && !is_sum(header, value)) return broken(out, "a PROXY header's sum is another");
        at += TLV_HEAD + n;
    }
    return NET_PROXY_DONE;
}

static enum net_proxy_result version_2(const uint8_t *p, size_t n, struct net_proxy *out) {
    enum { LOCAL = 0x20, PROXY = 0x21, TCP4 = 0x11, TCP6 = 0x21 };
    if (n < V2_HEAD) return NET_PROXY_MORE;
    size_t length = (size_t)p[14] << 8 | p[15];
    const uint8_t *a = p + V2_HEAD;
    if (p[12] != LOCAL && p[12] != PROXY) return broken(out, "a PROXY header is of another version, or commands nothing known");
    if (length > NET_PROXY_BYTES_MAX - V2_HEAD) return broken(out, "a PROXY header is too long");
    if (n < V2_HEAD + length) return NET_PROXY_MORE;
    out->bytes = V2_HEAD + length;
    if (p[12] == LOCAL) return NET_PROXY_DONE;
    bool v6 = p[13] == TCP6;
    if (!v6 && p[13] != TCP4) return NET_PROXY_DONE; /* datagrams, sockets of the file system, unspecified */
    size_t each = v6 ? 16 : 4;
    if (length < 2 * each + 4) return broken(out, "a PROXY header is too short for its addresses");
    put_address(&out->peer, v6, a, a + 2 * each);
    put_address(&out->local, v6, a + each, a + 2 * each + 2);
    out->known = true;
    return tlvs((str){p, out->bytes}, V2_HEAD + 2 * each + 4, out);
}

enum net_proxy_result net_proxy_parse(const uint8_t *p, size_t n, struct net_proxy *out) {
    *out = (struct net_proxy){.why = ""};
    if (!memcmp(p, signature, MIN(n, sizeof signature))) return n < sizeof signature ? NET_PROXY_MORE : version_2(p, n, out);
    if (!memcmp(p, word, MIN(n, sizeof word))) return n < sizeof word ? NET_PROXY_MORE : version_1(p, n, out);
    return broken(out, "no PROXY header");
}
