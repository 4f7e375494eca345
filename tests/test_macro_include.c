/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an include through macros can mean: by hand, and at random against the compiler, which says
 * in its refusal which file it did not find. CUBBY_TEST_SEED and CUBBY_TEST_STEPS repeat or
 * lengthen that.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deps/macro_readings.h"
#include "harness.h"

#define STEPS 400

/* ---- One operand ------------------------------------------------------------------------- */

static struct {
    int code;
    char names[8192]; /* with a blank behind each */
    struct names list;
    struct names words;
    char why[MACRO_READINGS_WHY_SIZE];
} run;

static void forget(void) {
    names_free(&run.list);
    names_free(&run.words);
    memset(&run, 0, sizeof(run));
}

static void keep_operand(const struct scan_reference *reference, void *context) {
    struct macro_text *operand = context;

    operand->start = reference->operand;
    operand->end = reference->operand + reference->operand_length;
}

/* Reads the last include of a text; define: an option, or NULL. */
static void read_operand(const char *text, const char *define) {
    struct option option = {.text = (char *)(uintptr_t)define};
    struct options options = {&option, define ? 1 : 0};
    struct macros macros = MACROS_INIT;
    struct macro_text operand = {text, text};
    struct scan_text scan;

    forget();
    ck_assert_int_eq(scan_open(text, strlen(text), &scan), 0);
    macros_add_text(&macros, &scan);
    macros_add_options(&macros, &options);
    macros_sort(&macros);
    scan_includes(&scan, keep_operand, &operand);
    run.code = macro_readings(&macros, &operand, &run.list, &run.words, run.why);
    for (size_t i = 0; i < run.list.count; i++)
        snprintf(run.names + strlen(run.names), sizeof(run.names) - strlen(run.names), "%s ",
                 run.list.items[i]);
    macros_free(&macros);
    scan_close(&scan);
}

static void expect(const char *text, const char *names) {
    read_operand(text, NULL);
    ck_assert_msg(run.code == 0, "%s: %s", text, run.why);
    ck_assert_msg(strcmp(run.names, names) == 0, "%s: %s", text, run.names);
}

static void expect_refusal(const char *text, const char *why) {
    read_operand(text, NULL);
    ck_assert_msg(run.code == CUBBY_ERR_UNSUPPORTED, "%s: %s", text, run.names);
    ck_assert_msg(strcmp(run.why, why) == 0, "%s: %s", text, run.why);
}

START_TEST(test_objects) {
    expect("#define H <a.h>\n#include H", "<a.h> ");
    expect("#define H \"d/a.h\" // so\n#include H /* this */ // one", "\"d/a.h\" ");
    expect("#define G H\n#define H <a.h>\n#include G", "<a.h> ");
    expect("#define ROOT lib/v2.0\n#define H <ROOT/a-b.h>\n#include H",
           "<ROOT/a-b.h> <lib/v2.0/a-b.h> ");
    expect("#def\\\nine H <a\\\n.h>\n#include H", "<a.h> ");
    expect("%: define H <a.h>\n#include H", "<a.h> ");
    expect("# /* over\n lines */ define H <a.h>\n#include H", "<a.h> ");
}
END_TEST

/* Every definition counts, and that there is none at the place. */
START_TEST(test_all_definitions) {
    expect("#ifdef A\n#define H <a.h>\n#else\n#define H <b.h>\n#endif\n#include H", "<a.h> <b.h> ");
    expect("#define H <S/S.h>\n#define S x\n#undef S\n#define S y\n#include H",
           "<S/S.h> <x/x.h> <y/y.h> ");
    expect("#define H <a.h>\n#define H <a.h>\n#include H", "<a.h> ");
}
END_TEST

/* The compiler refuses it where nothing that begins a name comes out. */
START_TEST(test_no_name) {
    expect("#include guards are not what this is about, aren't they", "");
    expect("#define H\n#include H", "");
    expect("#define H(x) <x>\n#include H", "");
    expect("#define H <a.h\n#include H", "");
    expect("#include", "");
    expect("#include /* a\n comment */", "");
}
END_TEST

START_TEST(test_functions) {
    expect("#define H(x) <lib/x.h>\n#include H(a)", "<lib/a.h> ");
    expect("#define H(x, y) <x/y>\n#define A b\n#include H( A , c.h ) ", "<A/c.h> <b/c.h> ");
    expect("#define S_(x) #x\n#define S(x) S_(x)\n#define A b\n#include S(A/c.h)",
           "\"A/c.h\" \"b/c.h\" ");
    expect("#define C(x, y) x ## y\n#define AB <a.h>\n#include C(A, B)", "<a.h> ");
    expect("#define C(x, y) x##y\n#define H <C(,a)C(b,)C(,).h>\n#include H",
           "<C(,a)C(b,)C(,).h> <ab.h> ");
    expect("#define G() <a.h>\n#define F G\n#include F ()", "<a.h> ");
    expect("#define C(x) <x>\n#define D(x) x\n#include C(D(D(a.h)))", "<D(D(a.h))> <a.h> ");
}
END_TEST

START_TEST(test_options) {
    static const struct {
        const char *define;
        const char *names;
    } CASES[] = {
        {"-D=H=<a.h>", "<a.h> "},
        {"-D=H=\"a.h\"", "\"a.h\" "},
        {"-D=H", ""},
        {"-D=H=", ""},
        {"-D=H(x)=<x.h>", "<k.h> "},
        {"-U=H", ""},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        bool function = strchr(CASES[i].define, '(');

        read_operand(function ? "#include H(k)" : "#include H", CASES[i].define);
        ck_assert_int_eq(run.code, 0);
        ck_assert_str_eq(run.names, CASES[i].names);
    }
}
END_TEST

/* All words that the names come from are told, so that the compiler can be asked for them. */
START_TEST(test_words) {
    static const char *const WORDS[] = {"H", "S", "lib", "a", "h"};

    read_operand("#define S lib\n#define H <S/a.h>\n#include H", NULL);
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++)
        ck_assert_msg(names_has(&run.words, WORDS[i]), "%s", WORDS[i]);
    ck_assert_uint_eq(run.words.count, 5);
}
END_TEST

START_TEST(test_refusals) {
    expect_refusal("#define H <a.h> b\n#include H", "\"b\" follows the name");
    expect_refusal("#define H \"a\" \"b\"\n#include H", "\"\"b\"\" follows the name");
    expect_refusal("#define H <H/a.h>\n#include H", "\"H\" stands for itself");
    expect_refusal("#define A B\n#define B A\n#include A", "\"A\" stands for itself");
    expect_refusal("#define H <a__LINE__/__FOO/a.h>\n#include H",
                   "\"__FOO\" is defined by no text");
    expect_refusal("#define H <__has_include/a.h>\n#include H",
                   "\"__has_include\" has a meaning of its own to the compiler");
    expect_refusal("#define H _Pragma(\"once\") <a.h>\n#include H",
                   "\"_Pragma\" has a meaning of its own to the compiler");
    expect_refusal("#define H(...) <__VA_ARGS__>\n#include H(a)",
                   "\"H\" takes arguments that are not plain");
    expect_refusal("#define H(x) <x>\n#include H(a, b)", "\"H\" is not given what it takes");
    expect_refusal("#define H(x) <x>\n#include H(a", "\"H\" is not given what it takes");
    expect_refusal("#define H(x) <x##/a>\n#include H(a)", "\"H\" pastes what is no word");
    expect_refusal("#define H(x) #x\n#include H(\"a\")",
                   "\"H\" makes a string of what is not plain");
    expect_refusal("#define H \"a\\b\"\n#include H", "\"\"a\\b\"\" makes a name that is not plain");
    expect_refusal("#define H <a$b>\n#include H", "\"$\" makes a name that is not plain");
    expect_refusal("#define H <a->\n#include H", "\"-\" makes a name that is not plain");
    expect_refusal("#define H <a.h> /* goes\n on */ b\n#include H",
                   "\" /* goes\" follows the name");
    expect_refusal("#include L\"a.h\"", "\"L\" makes a name that is not plain");
}
END_TEST

/* Text that would take for ever is given up in time. */
START_TEST(test_bounds) {
    char *text = calloc(1, 1 << 20), *at = text;

    for (int i = 0; i < 40; i++)
        at += sprintf(at, "#define D%d D%d/D%d\n", i, i + 1, i + 1);
    sprintf(at, "#define H <D0>\n#include H");
    read_operand(text, NULL);
    ck_assert_int_eq(run.code, CUBBY_ERR_UNSUPPORTED);
    at = text;
    for (int i = 0; i < 20; i++)
        at += sprintf(at, "#define D%d a\n#define D%d b\n", i, i);
    at += sprintf(at, "#define H <");
    for (int i = 0; i < 20; i++)
        at += sprintf(at, "D%d/", i);
    sprintf(at, ">\n#include H");
    read_operand(text, NULL);
    ck_assert_int_eq(run.code, CUBBY_ERR_UNSUPPORTED);
    ck_assert_str_eq(run.why, "its macros have too many definitions");
    at = text + sprintf(text, "#define F(x) x\n#include ");
    for (int i = 0; i < 100000; i++)
        at += sprintf(at, "F(");
    read_operand(text, NULL);
    ck_assert_int_eq(run.code, CUBBY_ERR_UNSUPPORTED);
    free(text);
}
END_TEST

/* ---- At random against the compiler ------------------------------------------------------ */

static uint64_t state;

static unsigned dice(unsigned sides) {
    state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (unsigned)((state >> 33) % sides);
}

static void add(char text[4096], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char text[4096], const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + strlen(text), 4096 - strlen(text), format, arguments);
    va_end(arguments);
}

/* Tokens with a bias to what names are made of; x and y are parameters, the others macros or not.
 */
static void add_tokens(char text[4096], unsigned count, bool function) {
    static const char *const TOKENS[] = {"a",  "b",    "P", "Q", "R",      "F(P)", "G(Q, c)",  "/",
                                         "/",  ".",    "h", "2", "F( d )", "-",    "G(P,R/e)", "F",
                                         "G(", "x##y", ")", "E", "E",      "F()",  "1.0a"};
    static const char *const OF_FUNCTION[] = {"x",  "y",    "x##y", "x ## _",
                                              "#x", "x##1", "k##x", "y"};
    static const char *const BLANKS[] = {"", "", "", "", "", " ", "  ", "/**/", "\t"};

    while (count-- > 0) {
        if (function && dice(3) == 0)
            add(text, "%s", OF_FUNCTION[dice(8)]);
        else
            add(text, "%s", TOKENS[dice(sizeof(TOKENS) / sizeof(*TOKENS))]);
        add(text, "%s", BLANKS[dice(9)]);
    }
}

/* Definitions in an order in which none stands for itself most of the time. */
static void make_program(char text[4096]) {
    static const char *const OBJECTS[] = {"P", "Q", "R"};

    text[0] = '\0';
    add(text, "#define E\n");
    for (size_t i = 0; i < 3; i++) {
        if (dice(4) == 0)
            continue;
        add(text, "#define %s ", OBJECTS[i]);
        add_tokens(text, 1 + dice(3), false);
        add(text, "\n");
    }
    add(text, "#define F(x) ");
    add_tokens(text, 1 + dice(4), dice(8) > 0);
    add(text, "\n#define G(x, y) ");
    add_tokens(text, 1 + dice(4), true);
    add(text, "\n#define S(x) #x\n#define T(x) S(x)\n#define H %s", dice(8) ? "<" : "T(");
    if (dice(2))
        add(text, "z");
    add_tokens(text, 1 + dice(4), false);
    add(text, "%s\n#include %s", strstr(text, "H T(") ? ")" : ">", dice(8) ? "H" : "E H");
}

/* The file that the compiler did not find, new; NULL where it complains of something else. */
static char *missed_file(const char *text) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    struct cubby_program *program;
    char *name = NULL;
    const char *found;

    options.target = CUBBY_TARGET_PTX;
    options.arch = "sm_90";
    ck_ok(cubby_program_new(text, strlen(text), &options, &program, &error), &error);
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error), CUBBY_ERR_COMPILE);
    found = strstr(error.log, "open source file \"");
    if (found) {
        found = strchr(found, '"') + 1;
        name = strndup(found, strcspn(found, "\n"));
        *strrchr(name, '"') = '\0';
    }
    cubby_error_clear(&error);
    cubby_program_unref(program);
    return name;
}

static bool is_told(const char *name) {
    for (size_t i = 0; i < run.list.count; i++) {
        const char *item = run.list.items[i];

        if (strlen(item) == strlen(name) + 2 && strncmp(item + 1, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static unsigned from_environment(const char *name, unsigned otherwise) {
    const char *value = getenv(name);

    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

START_TEST(test_against_the_compiler) {
    unsigned steps = from_environment("CUBBY_TEST_STEPS", STEPS), told = 0, missed = 0;

    state = from_environment("CUBBY_TEST_SEED", 1);
    for (unsigned i = 0; i < steps; i++) {
        char text[4096], *name;

        make_program(text);
        name = missed_file(text);
        read_operand(text, NULL);
        if (name && run.code == 0)
            ck_assert_msg(is_told(name), "%s\nopens \"%s\", not one of %s", text, name, run.names);
        missed += name != NULL;
        told += name && run.code == 0;
        free(name);
    }
    printf("%u programs, %u name a file, %u of these are told\n", steps, missed, told);
    ck_assert_uint_gt(missed, steps / 4);
    ck_assert_uint_gt(told, steps / 8);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("macro_include");
    TCase *tcase = tcase_create("all");
    struct cubby_toolchain toolchain;

    tcase_add_checked_fixture(tcase, NULL, forget);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_objects);
    tcase_add_test(tcase, test_all_definitions);
    tcase_add_test(tcase, test_no_name);
    tcase_add_test(tcase, test_functions);
    tcase_add_test(tcase, test_options);
    tcase_add_test(tcase, test_words);
    tcase_add_test(tcase, test_refusals);
    tcase_add_test(tcase, test_bounds);
    if (cubby_toolchain_find(NULL, &toolchain, NULL) == 0) {
        cubby_toolchain_clear(&toolchain);
        tcase_add_test(tcase, test_against_the_compiler);
    }
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
