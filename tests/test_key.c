/* SPDX-License-Identifier: Apache-2.0 */
/* What enters a key, and what does not. Needs no compiler: the toolchain is made up. */
#include <blake2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "key/digest.h"
#include "key_help.h"
#include "util/utf8.h"

/* ---- BLAKE2b ----------------------------------------------------------------------------- */

static size_t from_hex(const char *hex, unsigned char *bytes) {
    size_t size = 0;

    if (strcmp(hex, "-") == 0)
        return 0;
    for (; hex[2 * size]; size++)
        sscanf(hex + 2 * size, "%2hhx", &bytes[size]);
    return size;
}

START_TEST(test_known_answers) {
    FILE *file = fopen(TEST_DATA "/blake2b-kat.txt", "r");
    char line[2048], input[600], key[200], expected[200];
    unsigned char in[256], k[64], want[64], got[64];
    unsigned answers = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        size_t in_size, key_size;

        if (line[0] == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%599s %199s %199s", input, key, expected), 3);
        in_size = from_hex(input, in);
        key_size = from_hex(key, k);
        ck_assert_uint_eq(from_hex(expected, want), 64);
        ck_assert_int_eq(blake2b(got, in, k, 64, in_size, key_size), 0);
        ck_assert_mem_eq(got, want, 64);
        answers++;
    }
    fclose(file);
    ck_assert_uint_gt(answers, 500);
}
END_TEST

START_TEST(test_digest_is_personalised) {
    /* From Python's hashlib: blake2b(b"abc", digest_size=32, person=b"cubby key v1") and without */
    static const char PERSONAL[] =
        "f98695ee51524b91bb8c8091baaf9f97a83de28682c0bd0cdcbf1b8795b00e5e";
    static const char PLAIN[] = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
    char hex[CUBBY_KEY_HEX_SIZE];
    struct digest digest;
    struct cubby_key key;

    digest_init(&digest, "cubby key v1");
    digest_update(&digest, "abc", 3);
    digest_result(&digest, &key);
    cubby_key_format(&key, hex);
    ck_assert_str_eq(hex, PERSONAL);
    digest_bytes("abc", 3, &key);
    cubby_key_format(&key, hex);
    ck_assert_str_eq(hex, PLAIN);
}
END_TEST

START_TEST(test_hex) {
    struct cubby_key key = key_of(3), back;
    struct cubby_error error = CUBBY_ERROR_INIT;
    char hex[CUBBY_KEY_HEX_SIZE];

    cubby_key_format(&key, hex);
    ck_ok(cubby_key_parse(hex, &back, &error), &error);
    ck_assert(same(key, back));
    hex[0] = 'x';
    ck_assert_int_eq(cubby_key_parse(hex, &back, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "64 hexadecimal digits"));
    ck_assert_int_eq(cubby_key_parse("abc", &back, NULL), CUBBY_ERR_INVALID);
    ck_assert_int_eq(cubby_key_parse(NULL, &back, NULL), CUBBY_ERR_INVALID);
}
END_TEST

/* ---- Fields ------------------------------------------------------------------------------ */

START_TEST(test_every_field_counts) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_header header = {"a.h", "int a;", 6}, other = {"a.h", "int b;", 6},
                              renamed = {"b.h", "int a;", 6};
    const char *names[] = {"k<int>"}, *strings[] = {"-lineinfo"};
    struct cubby_key keys[16];
    size_t count = 0;

    keys[count++] = key_of_cuda(SOURCE, &options);
    keys[count++] = key_of_cuda("__global__ void k(float *x) { *x = 2; }\n", &options);
    options.target = CUBBY_TARGET_PTX;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.target = CUBBY_TARGET_LTOIR;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.target = CUBBY_TARGET_CUBIN;
    options.arch = "sm_90";
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.arch = "sm_80";
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.options = strings;
    options.option_count = 1;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.option_count = 0;
    options.headers = &header;
    options.header_count = 1;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.headers = &other;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.headers = &renamed;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.header_count = 0;
    options.names = names;
    options.name_count = 1;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.name_count = 0;
    options.extra = "x";
    options.extra_size = 1;
    keys[count++] = key_of_cuda(SOURCE, &options);
    options.extra_size = 0;
    keys[count++] = key_of_cuda(SOURCE, &options);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(!same(keys[i], keys[j]), "keys %zu and %zu are the same", i, j);
    }
}
END_TEST

START_TEST(test_fields_do_not_run_together) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *two[] = {"ab", "c"}, *other[] = {"a", "bc"}, *one[] = {"abc"};
    struct cubby_key a, b, c;

    options.names = two;
    options.name_count = 2;
    a = key_of_cuda(SOURCE, &options);
    options.names = other;
    b = key_of_cuda(SOURCE, &options);
    options.names = one;
    options.name_count = 1;
    c = key_of_cuda(SOURCE, &options);
    ck_assert(!same(a, b) && !same(b, c) && !same(a, c));
}
END_TEST

START_TEST(test_vary_equals_new) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *first = cuda_program(SOURCE, NULL), *varied;
    struct cubby_key key;

    options.arch = "sm_90";
    ck_ok(cubby_program_vary(first, &options, &varied, &error), &error);
    cubby_program_unref(first);
    key_derive(varied, &TOOLS, &key);
    ck_assert(same(key, key_of_cuda(SOURCE, &options)));
    cubby_program_unref(varied);
}
END_TEST

/* ---- Sources that cannot be kept --------------------------------------------------------- */

static bool reads_files(const char *text, const struct cubby_program_options *options) {
    struct cubby_program *program = cuda_program(text, options);
    bool reads = program->reaches_files;

    cubby_program_unref(program);
    return reads;
}

static bool is_cacheable(const char *text) {
    struct cubby_program *program = cuda_program(text, NULL);
    bool cacheable = cubby_program_uncacheable(program) == NULL;

    cubby_program_unref(program);
    return cacheable;
}

START_TEST(test_reading_files) {
    static const char *const READ[] = {"#include <a.h>\n",
                                       "  # \t include \"a.h\"",
                                       "#/* x */include <a.h>",
                                       "%:include <a.h>",
                                       "?\?=include <a.h>",
                                       "#inc\\\nlude <a.h>",
                                       "#inc\\\r\nlude <a.h>",
                                       "#inc?\?/\nlude <a.h>",
                                       "#inc\\ \t\nlude <a.h>",
                                       "\\\n#include <a.h>",
                                       "#include HEADER",
                                       "#include_next <a.h>",
                                       "#import <a.h>",
                                       "#embed \"a\"",
                                       "#if __has_include(<a.h>)\n#endif",
                                       "#if 1 && \\\n __has_include(\"a.h\")\n#endif",
                                       "#define H __has_include\n",
                                       "#if __has_include_next(<a.h>)\n#endif",
                                       "#if /*\n*/ __has_include(\"a.h\")\n#endif",
                                       "#if 1 ||\\\n/*\n*/ __has_embed(\"a\")\n#endif",
                                       "int x;\n#include <unterminated\nint y;"};
    static const char *const DO_NOT[] = {"// this does include much\n",
                                         "#define include 1\nint x;",
                                         "#pragma once\n",
                                         "#if 1\n#else\n#endif\n#line 3\n",
                                         "int includes;",
                                         "#",
                                         "a # b",
                                         "#\n",
                                         "#/* include"};

    for (size_t i = 0; i < sizeof(READ) / sizeof(*READ); i++)
        ck_assert_msg(reads_files(READ[i], NULL), "missed: %s", READ[i]);
    for (size_t i = 0; i < sizeof(DO_NOT) / sizeof(*DO_NOT); i++)
        ck_assert_msg(!reads_files(DO_NOT[i], NULL), "wrongly found: %s", DO_NOT[i]);
}
END_TEST

START_TEST(test_memory_headers_are_no_files) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_header plain = {"a.h", "int a;", 6};
    const struct cubby_header deep = {"a.h", "#include <vector>\n", 18};
    const struct cubby_header probe = {"a.h", "#define HAS(x) __has_include(x)\n", 32};

    options.headers = &plain;
    options.header_count = 1;
    ck_assert(!reads_files("#include \"a.h\"\n#include <a.h>\n", &options));
    ck_assert(reads_files("#include \"./a.h\"\n", &options)); /* only the exact spelling */
    options.headers = &deep;
    ck_assert(reads_files("#include \"a.h\"\n", &options));
    options.headers = &probe; /* the source then asks for files without a word of it */
    ck_assert(reads_files("#include \"a.h\"\n#if HAS(<b.h>)\n#endif\n", &options));
}
END_TEST

START_TEST(test_pre_include) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_header header = {"a.h", "int a;", 6};
    const char *strings[] = {"-include", "a.h"};

    options.options = strings;
    options.option_count = 2;
    ck_assert(reads_files(SOURCE, &options));
    options.headers = &header;
    options.header_count = 1;
    ck_assert(!reads_files(SOURCE, &options));
}
END_TEST

START_TEST(test_date_and_time) {
    ck_assert(!is_cacheable("const char *d = __DATE__;"));
    ck_assert(!is_cacheable("const char *d = __TI\\\nME__;"));
    ck_assert(is_cacheable("int __TIMESTAMP__x;"));
}
END_TEST

START_TEST(test_pasted_words) {
    static const char *const MADE[] = {
        "#define P(a, b) a##b\nP(__TI, ME__)",
        "#define P(a, b, c) a %:%: b %:%: c\nP(_, _DATE_, _)",
        "#define P(a, b) a ?\?=?\?= b\nP(__DA\\\nT, E__)",
        "#define P(a) __##a##__\nP(TIME)",
        "#define P(a, b) a#\\\n#b\nP(__has_, embed)",
        "#define P(a, b) a##b\n#if P(__has_, include)(\"a.h\")",
    };
    static const char *const NOT_MADE[] = {"#define P(a, b) a##b\nP(__TI, MER__)",
                                           "#define P(a) k_##a\nint P(DATE), __x, x__;",
                                           "__TI ME__ __has_ include"};

    for (size_t i = 0; i < sizeof(MADE) / sizeof(*MADE); i++)
        ck_assert_msg(!is_cacheable(MADE[i]), "missed: %s", MADE[i]);
    for (size_t i = 0; i < sizeof(NOT_MADE) / sizeof(*NOT_MADE); i++)
        ck_assert_msg(is_cacheable(NOT_MADE[i]), "wrongly found: %s", NOT_MADE[i]);
}
END_TEST

/* True if a program of this text, option and name expression is kept. */
static bool is_kept(const char *text, const char *option, const char *name) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program;
    bool kept;

    options.options = &option;
    options.option_count = option != NULL;
    options.names = &name;
    options.name_count = name != NULL;
    program = cuda_program(text, &options);
    kept = cubby_program_uncacheable(program) == NULL;
    cubby_program_unref(program);
    return kept;
}

START_TEST(test_words_in_options_and_names) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *probe = "-DX=__has_include(<a.h>)";

    ck_assert(is_kept(SOURCE, "-DX=1", "k"));
    ck_assert(!is_kept(SOURCE, "-DX=__TIME__", NULL));
    options.options = &probe;
    options.option_count = 1;
    ck_assert(reads_files(SOURCE, &options));
    ck_assert(!is_kept(SOURCE, NULL, "k<__DATE__[0]>"));
    ck_assert(!is_kept("#define P(a, b) a##b\nP(__TI, X)", "-DX=ME__", NULL));
    ck_assert(!is_kept("P(__TI, ME__)", "-DP(a,b)=a##b", NULL));
    ck_assert(!is_kept("#define P(a, b) a##b\n", NULL, "k<P(__TI,ME__)[0]>"));
}
END_TEST

/* What an option or a name expression asks for counts as what the text asks for. */
START_TEST(test_file_name_in_options_and_names) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *define = "-DX=__FILE__", *name = "k<sizeof(__FILE__)>";
    struct cubby_key one, other;

    options.options = &define;
    options.option_count = 1;
    options.name = "a/k.cu";
    one = key_of_cuda(SOURCE, &options);
    options.name = "b/k.cu";
    ck_assert(!same(one, key_of_cuda(SOURCE, &options)));
    options.option_count = 0;
    one = key_of_cuda(SOURCE, &options);
    options.name = "a/k.cu";
    ck_assert(same(one, key_of_cuda(SOURCE, &options)));
    options.names = &name;
    options.name_count = 1;
    one = key_of_cuda(SOURCE, &options);
    options.name = "longer/k.cu";
    other = key_of_cuda(SOURCE, &options);
    ck_assert(!same(one, other));
}
END_TEST

/* ---- Bad input --------------------------------------------------------------------------- */

START_TEST(test_bad_input) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_header twice[] = {{"a.h", "", 0}, {"a.h", "", 0}};
    const struct cubby_header no_name = {NULL, "", 0}, nul = {"a.h", "a\0b", 3};
    const char *newline = "k\nint x", *empty = "", *null = NULL;
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(refusal(&options, "a\0b", 3, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "NUL byte at offset 1"));
    ck_assert_int_eq(refusal(&options, NULL, 3, NULL), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refusal(&options, NULL, 0, NULL), 0);
    options.names = &newline;
    options.name_count = 1;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.names = &empty;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.name_count = 0;
    options.headers = twice;
    options.header_count = 2;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.headers = &no_name;
    options.header_count = 1;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.headers = &nul;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.header_count = 0;
    options.options = &null;
    options.option_count = 1;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.option_count = 0;
    options.arch = "sm 90";
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.arch = "";
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.arch = NULL;
    options.target = (enum cubby_target)9;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.target = CUBBY_TARGET_CUBIN;
    options.source = (enum cubby_source)9;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    options.source = CUBBY_SOURCE_CUDA;
    options.version = 3;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), CUBBY_ERR_INVALID);
    /* What version 1 does not have is not looked at. */
    options.version = 1;
    options.use_libdevice = true;
    ck_assert_int_eq(refusal(&options, "", 0, NULL), 0);
}
END_TEST

START_TEST(test_utf8) {
    static const struct {
        const char *text;
        bool valid;
    } TEXTS[] = {{"abc", true},
                 {"\xc3\xa4", true},
                 {"\xe2\x82\xac", true},
                 {"\xf0\x9f\x98\x80", true},
                 {"\x80", false},
                 {"\xc0\x80", false},
                 {"\xe0\x80\x80", false},
                 {"\xed\xa0\x80", false},
                 {"\xf4\x90\x80\x80", false},
                 {"\xf5\x80\x80\x80", false},
                 {"ab\xe2\x82", false},
                 {"\xc3", false}};
    size_t offset;

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(*TEXTS); i++)
        ck_assert_int_eq(utf8_is_valid(TEXTS[i].text, strlen(TEXTS[i].text), &offset),
                         TEXTS[i].valid);
    ck_assert(!utf8_is_valid("ab\xff", 3, &offset));
    ck_assert_uint_eq(offset, 2);
}
END_TEST

START_TEST(test_user_keys) {
    struct cubby_key_builder *builder = cubby_key_builder_new("mine");
    struct cubby_key_builder *other = cubby_key_builder_new("yours");
    struct cubby_key a, b, c;

    cubby_key_builder_add(builder, "name", "value", 5);
    cubby_key_builder_add(other, "name", "value", 5);
    cubby_key_builder_finish(builder, &a);
    cubby_key_builder_finish(builder, &b);
    ck_assert(same(a, b));
    cubby_key_builder_finish(other, &c);
    ck_assert(!same(a, c));
    cubby_key_builder_add(builder, "", "", 0);
    cubby_key_builder_finish(builder, &b);
    ck_assert(!same(a, b));
    cubby_key_builder_free(builder);
    cubby_key_builder_free(other);
    cubby_key_builder_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("key");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, test_known_answers);
    tcase_add_test(tcase, test_digest_is_personalised);
    tcase_add_test(tcase, test_hex);
    tcase_add_test(tcase, test_every_field_counts);
    tcase_add_test(tcase, test_fields_do_not_run_together);
    tcase_add_test(tcase, test_vary_equals_new);
    tcase_add_test(tcase, test_reading_files);
    tcase_add_test(tcase, test_memory_headers_are_no_files);
    tcase_add_test(tcase, test_pre_include);
    tcase_add_test(tcase, test_date_and_time);
    tcase_add_test(tcase, test_pasted_words);
    tcase_add_test(tcase, test_words_in_options_and_names);
    tcase_add_test(tcase, test_file_name_in_options_and_names);
    tcase_add_test(tcase, test_bad_input);
    tcase_add_test(tcase, test_utf8);
    tcase_add_test(tcase, test_user_keys);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
