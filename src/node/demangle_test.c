/* Names as compilers made them, names that mean harm, and names that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "node/node_int.h"

static const struct {
    const char *mangled, *source; /* NULL: left as it is */
} names[] = {
    /* Rust, v0: the examples of RFC 2603, and names that rustc made */
    {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
    {"_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"},
    {"_RINvNtC3std3mem8align_ofjdE", "std::mem::align_of::<usize, f64>"},
    {"_RNvMCs4fqI2P2rA04_7mycrateNtB2_3Foo3new", "<mycrate::Foo>::new"},
    {"_RNvXCs4fqI2P2rA04_7mycrateNtB2_3FooNtNtCs1_4core3fmt5Debug3fmt", "<mycrate::Foo as core::fmt::Debug>::fmt"},
    {"_RINvC1a4sortRShE", "a::sort::<&[u8]>"},
    {"_RINvC1a1fAtj8_E", "a::f::<[u16; 8]>"},
    {"_RINvC1a1fTlmEE", "a::f::<(i32, u32)>"},
    {"_RINvC1a1fTlEE", "a::f::<(i32,)>"},
    {"_RINvC1a1fFEuE", "a::f::<fn()>"},
    {"_RINvC1a1fDNtC1b4Iterp4ItemhEL_E", "a::f::<dyn b::Iter<Item = u8>>"},
    {"_RINvC1a1fKb1_Kin5_E", "a::f::<true, -5>"},
    {"_RINvC1a1fINtC1v3VechEB7_E", "a::f::<v::Vec<u8>, v::Vec<u8>>"},
    {"_RINvC1a1fhB5_E", NULL}, /* refers to no rule's place */
    {"_RNvC1a1f.llvm.1234", "a::f"},
    {"_RNvC1au8gdel_5qa", "a::punycode{gdel_5qa}"},
    {"_RNvC1a", NULL},
    {"_RB_", NULL},
    {"_RNvB_1a", NULL},
    {"_R1NvC1a1f", NULL},
    /* Rust, before */
    {"_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"},
    {"_ZN4demo4main28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "demo::main::{{closure}}"},
    {"_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Debug$GT$3fmt17hfedcba9876543210E",
     "<alloc::string::String as core::fmt::Debug>::fmt"},
    /* C++ */
    {"_Z3foov", "foo"},
    {"_ZN4demo3App6handleERKNS_7RequestE", "demo::App::handle"},
    {"_ZNK4demo3App3getEv", "demo::App::get"},
    {"_ZN4demo3AppC2Ev", "demo::App::App"},
    {"_ZN4demo3AppD0Ev", "demo::App::~App"},
    {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int>>::push_back"},
    {"_ZNSt6vectorIiSaIiEEC1Ev", "std::vector<int, std::allocator<int>>::vector"},
    {"_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc", "std::operator<<<std::char_traits<char>>"},
    {"_ZN12_GLOBAL__N_14boomEi", "(anonymous namespace)::boom"},
    {"_ZZ4mainENKUlvE_clEv", "main::{lambda}::operator()"},
    {"_ZN3abcILi5ELb1EE1fEv", "abc<5, true>::f"},
    {"_ZN3abcILj5ELin3EE1fEv", "abc<5u, -3>::f"},
    {"_ZN1AcvbEv", "A::operator bool"},
    {"_ZThn16_N3Foo3barEv", "thunk to Foo::bar"},
    {"_Z1fI1AIJicEEEvT_", "f<A<int, char>>"},
    {"_ZN1a1bB5cxx11Ev", "a::b[abi:cxx11]"},
    {"_Zli2_xy", "operator\"\" _x"},
    {"_ZN1aIFviEPFivEA3_cM1bKiE1fEv", "a<void (int), int ()*, char [3], b::*int const>::f"},
    {"_ZN1aC1Ev.part.0", "a::a"},
    /* none */
    {"main", NULL},
    {"", NULL},
    {"_Z", NULL},
    {"_ZN", NULL},
    {"_ZN1a", NULL},
    {"_ZN99999999999a1bE", NULL},
    {"_ZS_", NULL},
    {"_ZTV3foo", NULL}, /* no function */
    {"_ZN1aIXadL_Z1fvEEE1gEv", NULL},
};

static void test_names(void **state) {
    int failed = 0;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct buf b = {0};
        bool known = node_demangle(str_c(names[i].mangled), &b);
        if (known != (names[i].source != NULL) || (known && !str_eqc(buf_str(&b), names[i].source)))
            failed++, print_error("%s: %.*s, not %s\n", names[i].mangled, STR_ARG(buf_str(&b)),
                                  names[i].source ? names[i].source : "left as it is");
        buf_free(&b);
    }
    assert_int_equal(failed, 0);
}

static void ends(struct buf *name) {
    struct buf b = {0};
    (void)node_demangle(buf_str(name), &b);
    assert_true(b.n <= 2000);
    buf_free(&b);
    name->n = 0;
}

/* Names that repeat themselves by references, nest, or go on: each ends within the counted steps, and says no more than it may. */
static void test_hostile(void **state) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct buf name = {0}, b = {0};
    buf_puts(&name, STR("_RINvC1a1f"));
    size_t last = name.n - 2;
    buf_puts(&name, STR("ThhE"));
    for (int i = 0; i < 30; i++) { /* each a tuple of two of the one before: 2^n */
        size_t here = name.n - 2;
        char ref[] = {'B', digits[(last - 1) / 62], digits[(last - 1) % 62], '_', 0};
        buf_printf(&name, "T%s%sE", ref, ref);
        last = here;
    }
    buf_puts(&name, STR("E"));
    ends(&name);
    buf_puts(&name, STR("_Z1fI1aIii")); /* the same in C++: an argument is the one before, twice */
    for (int i = 0; i < 30; i++)
        buf_printf(&name, "1aIS%c_S%c_E", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i], "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i]);
    buf_puts(&name, STR("EEvv"));
    ends(&name);
    static const char *const deep[][2] = {{"_Z1f", "P"}, {"_Z1fI", "1aI"},  {"_RINvC1a1f", "R"},   {"_RINvC1a1f", "T"},
                                          {"_R", "Nv"},  {"_Z", "ZN1a1bE"}, {"_RINvC1a1f", "FK1a"}};
    for (size_t i = 0; i < ARRAY_COUNT(deep); i++) {
        buf_puts(&name, str_c(deep[i][0]));
        while (name.n < 3900) buf_puts(&name, str_c(deep[i][1]));
        ends(&name);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) /* every beginning */
        for (size_t n = strlen(names[i].mangled); n--;) {
            uint8_t *exact = malloc(n ? n : 1);
            memcpy(exact, names[i].mangled, n);
            (void)node_demangle((str){exact, n}, &b);
            free(exact);
            b.n = 0;
        }
    buf_free(&b);
    buf_free(&name);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
