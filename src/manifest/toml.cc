/* C++: a shim over toml++, which has no C interface. Reads TOML and tells what is there; all else is toml.c's. No exception leaves it. */
#include <cstdlib>
#include <cstring>

namespace {
/* What toml++ asserts of itself, and some files make untrue: then they are no TOML. */
struct unsure {};
[[noreturn]] void give_up() { throw unsure{}; }
} // namespace

#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expr) ((expr) ? void(0) : give_up())
#define TOML_ASSERT_ASSUME(expr) TOML_ASSERT(expr)
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_FLOAT_CHARCONV 1 /* else a stringstream, and all of iostreams with it */
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#define TOML_MAX_NESTED_VALUES 64
#include <toml++/toml.h>

#include "manifest/toml_shim.h"

#ifdef ORLO_NO_EXCEPTION_POOL
/* In place of libstdc++'s, which would have every process of a node keep 72 KiB for exceptions, of which one process throws one. What the runtime
 * writes of an exception stands before it. */
extern "C" {
enum { HEAD_BYTES = 256 }; /* at least the runtime's __cxa_refcounted_exception: 128 */
void *__cxa_allocate_exception(size_t n) noexcept {
    void *p = calloc(1, HEAD_BYTES + n);
    if (!p) abort();
    return static_cast<char *>(p) + HEAD_BYTES;
}
void __cxa_free_exception(void *p) noexcept { free(static_cast<char *>(p) - HEAD_BYTES); }
void *__cxa_allocate_dependent_exception() noexcept { abort(); }
void __cxa_free_dependent_exception(void *) noexcept { abort(); }
}
#endif

static_assert(TOML_DEPTH_MAX == TOML_MAX_NESTED_VALUES);

namespace {

struct teller {
    void (*event)(void *arg, const toml_event *e);
    void *arg;

    void tell(const toml::node &node, toml_event e) {
        e.line = node.source().begin.line, e.column = node.source().begin.column;
        switch (node.type()) {
        case toml::node_type::string: {
            const std::string &s = node.as_string()->get();
            e.type = TOML_STRING, e.s = s.data(), e.n = s.size();
            break;
        }
        case toml::node_type::integer: e.type = TOML_INTEGER, e.i = node.as_integer()->get(); break;
        case toml::node_type::floating_point: e.type = TOML_FLOAT, e.f = node.as_floating_point()->get(); break;
        case toml::node_type::boolean: e.type = TOML_BOOL, e.i = node.as_boolean()->get(); break;
        case toml::node_type::array: e.type = TOML_ARRAY; break;
        case toml::node_type::table: e.type = TOML_TABLE; break;
        default: e.type = TOML_DATE; break;
        }
        event(arg, &e);
        if (e.type == TOML_ARRAY)
            for (const toml::node &item : *node.as_array()) tell(item, {});
        if (e.type == TOML_TABLE) tell_entries(*node.as_table());
        toml_event end{};
        end.type = TOML_END;
        if (e.type == TOML_ARRAY || e.type == TOML_TABLE) event(arg, &end);
    }

    void tell_entries(const toml::table &table) {
        for (auto &&[key, value] : table) {
            toml_event e{};
            e.key = key.str().data(), e.key_n = key.str().size();
            e.key_line = key.source().begin.line, e.key_column = key.source().begin.column;
            tell(value, e);
        }
    }
};

int refuse(toml_wrong *wrong, std::string_view text, toml::source_position at) {
    size_t n = text.copy(wrong->text, sizeof wrong->text - 1);
    wrong->text[n] = 0;
    wrong->line = at.line, wrong->column = at.column;
    return 0;
}

bool is_unsure(std::string_view text) try {
    toml::parse_result all = toml::parse(text);
    return false;
} catch (const unsure &) {
    return true;
}

/* The first line that makes it so, by halves. */
uint32_t unsure_line(std::string_view text) {
    uint32_t line = 1;
    size_t sure = 0, end = text.size(); /* text up to sure is none of that kind; up to end, it is */
    for (;;) {
        size_t middle = text.find('\n', sure + (end - sure) / 2);
        if (middle == text.npos || middle + 1 >= end) middle = text.find('\n', sure);
        if (middle == text.npos || middle + 1 >= end) break;
        if (is_unsure(text.substr(0, middle + 1))) end = middle + 1;
        else sure = middle + 1;
    }
    for (size_t i = 0; i < sure; i++) line += text[i] == '\n';
    return line;
}

} // namespace

extern "C" int manifest_toml_shim(const char *text, size_t n, void (*event)(void *arg, const toml_event *e), void *arg,
                                  toml_wrong *wrong) try {
    toml::parse_result all = toml::parse(std::string_view(text, n));
    if (!all) return refuse(wrong, all.error().description(), all.error().source().begin);
    teller{event, arg}.tell(all.table(), {});
    return 1;
} catch (const unsure &) {
    return refuse(wrong, "this is no TOML", {unsure_line(std::string_view(text, n)), 1});
} catch (const std::bad_alloc &) {
    return refuse(wrong, "there is no memory to read it", {});
}
