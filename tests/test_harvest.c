/* SPDX-License-Identifier: Apache-2.0 */
/* What a compile is said to have depended on: small trees and made-up traces, no compiler. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deps/harvest.h"
#include "deps_help.h"
#include "harness.h"
#include "os/time.h"

#define SECOND INT64_C(1000000000)

/* ---- One harvest ------------------------------------------------------------------------- */

enum trace_kind { NO_TRACE, PARTIAL, WHOLE };

/* What is given, unset in the beginning of each test, and what came out. */
static struct {
    const char *name; /* of the source */
    const char *options[8];
    struct cubby_header headers[4];
    int64_t started_ns; /* 0: after all that was written */
    bool is_mute;       /* the compiler cannot be asked for its macros */
    const char *macro;  /* that the compiler defines by itself */
    int code;
    char reason[HARVEST_REASON_SIZE];
    char text[4096]; /* "KIND PATH" each, sorted by path, with "; " between them */
} run;

static void list(const struct deps *deps) {
    static const char *const KINDS[] = {"file", "present", "missing", "unusable"};

    run.text[0] = '\0';
    for (size_t i = 0; i < deps->count; i++) {
        size_t length = strlen(run.text);

        snprintf(run.text + length, sizeof(run.text) - length, "%s%s %s", i ? "; " : "",
                 KINDS[deps->items[i].kind], deps->items[i].path);
    }
}

static struct cubby_program *make_program(const char *source) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    options.name = run.name;
    options.options = run.options;
    while (run.options[options.option_count])
        options.option_count++;
    options.headers = run.headers;
    while (run.headers[options.header_count].name)
        options.header_count++;
    ck_ok(cubby_program_new(source, strlen(source), &options, &program, &error), &error);
    return program;
}

static const char *predefined(const struct names *words, void *context) {
    (void)context;
    return run.macro && names_has(words, run.macro) ? run.macro : NULL;
}

/* traced: paths with a blank between them. */
static void reap(const char *source, enum trace_kind kind, const char *traced) {
    struct harvest_trace trace = {.is_there = kind != NO_TRACE,
                                  .is_whole = kind == WHOLE,
                                  .predefined = run.is_mute ? NULL : predefined};
    struct cubby_program *program = make_program(source);
    struct deps deps;

    while (*traced) {
        size_t length = strcspn(traced, " ");

        names_add(&trace.headers, traced, length);
        traced += length + (traced[length] == ' ');
    }
    run.code = harvest(program, &trace, run.started_ns ? run.started_ns : file_clock_ns() + SECOND,
                       &deps, run.reason);
    list(&deps);
    deps_free(&deps);
    names_free(&trace.headers);
    cubby_program_unref(program);
}

/* Asserts what the harvest is: all of it. */
static void expect(const char *text) {
    ck_assert_msg(run.code == 0, "refused: %s", run.reason);
    ck_assert_str_eq(run.text, text);
}

/* Asserts that the dependencies cannot be told, and that the reason says so. */
static void expect_refusal(const char *part, const char *other_part) {
    ck_assert_int_eq(run.code, CUBBY_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(run.reason, part) && strstr(run.reason, other_part), "%s", run.reason);
}

/* A new folder with "one", "two" and "three" to be searched in that order. */
static void setup(void) {
    enter_scratch();
    memset(&run, 0, sizeof(run));
    ck_assert_int_eq(mkdir("one", 0700), 0);
    ck_assert_int_eq(mkdir("two", 0700), 0);
    ck_assert_int_eq(mkdir("three", 0700), 0);
    run.options[0] = "-Ione";
    run.options[1] = "-Itwo";
}

/* ---- What the trace says ----------------------------------------------------------------- */

#define TREE_SOURCE                                                                                \
    "#include <a.h>\n"                                                                             \
    "#ifdef NEVER\n"                                                                               \
    "#include <never.h>\n"                                                                         \
    "#endif\n"

static void make_tree(void) {
    write_text("two/a.h", "#include \"b.h\"\n");
    write_text("two/b.h", "int b;\n");
}

START_TEST(test_whole_trace) {
    make_tree();
    reap(TREE_SOURCE, WHOLE, "two/a.h two/b.h __nv_nvrtc_builtin_header.h");
    /* Nothing of the branch that was not taken. */
    expect("missing one/a.h; file two/a.h; file two/b.h");
}
END_TEST

START_TEST(test_partial_trace) {
    make_tree();
    reap(TREE_SOURCE, PARTIAL, "two/b.h"); /* what the source itself includes is left out */
    expect("missing one/a.h; missing one/never.h; file two/a.h; file two/b.h; "
           "missing two/never.h");
}
END_TEST

START_TEST(test_no_trace) {
    make_tree();
    write_text("two/never.h", "#include <deeper.h>\n"); /* it may have been included */
    reap(TREE_SOURCE, NO_TRACE, "");
    expect("missing one/a.h; missing one/deeper.h; missing one/never.h; file two/a.h; "
           "file two/b.h; missing two/deeper.h; file two/never.h");
}
END_TEST

START_TEST(test_circles_end) {
    write_text("one/a.h", "#pragma once\n#include <b.h>\n");
    write_text("one/b.h", "#pragma once\n#include <a.h>\n#include \"b.h\"\n");
    reap("#include <a.h>\n", NO_TRACE, "");
    expect("file one/a.h; file one/b.h");
}
END_TEST

START_TEST(test_traced_but_not_included) {
    write_text("one/a.h", "");
    reap("int x; // include\n", WHOLE, "one/a.h");
    expect_refusal("one/a.h was read, but no text includes it any more", "changed");
}
END_TEST

/* ---- Changes while the compiler runs ----------------------------------------------------- */

static int64_t clock_then(const char *path) {
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec;
}

START_TEST(test_header_changed_meanwhile) {
    write_text("one/a.h", "");
    run.started_ns = clock_then("one/a.h"); /* in the very tick */
    reap("#include <a.h>\n", WHOLE, "one/a.h");
    expect_refusal("one/a.h", "changed while the program was compiled");
    set_mtime("one/a.h", 1000); /* a time set back hides nothing */
    run.started_ns = clock_then("one/a.h");
    reap("#include <a.h>\n", WHOLE, "one/a.h");
    expect_refusal("one/a.h", "changed while the program was compiled");
    run.started_ns++;
    reap("#include <a.h>\n", WHOLE, "one/a.h");
    expect("file one/a.h");
    set_mtime("one/a.h", 4000000000); /* of a time to come: nothing is known of it */
    reap("#include <a.h>\n", WHOLE, "one/a.h");
    expect_refusal("one/a.h", "changed while the program was compiled");
}
END_TEST

START_TEST(test_probed_file_changed_meanwhile) {
    write_text("one/a.h", "");
    run.started_ns = clock_then("one/a.h");
    reap("#if __has_include(<a.h>)\n#endif\n", WHOLE, "");
    expect_refusal("one/a.h", "changed while the program was compiled");
    run.started_ns++;
    reap("#if __has_include(<a.h>)\n#endif\n", WHOLE, "");
    expect("present one/a.h");
}
END_TEST

START_TEST(test_header_vanished) {
    reap("#include <a.h>\n", WHOLE, "one/a.h");
    expect_refusal("one/a.h", "vanished");
}
END_TEST

/* ---- How headers are asked for ----------------------------------------------------------- */

START_TEST(test_macro_include) {
    write_text("two/a.h", "");
    reap("#include HEADER\n", WHOLE, "two/a.h");
    /* It may have said "a.h", <a.h> or "two/a.h". */
    expect("missing a.h; missing one/a.h; missing one/two; file two/a.h; missing two/two");
    /* Else the definitions tell. */
    reap("#define HEADER <a.h>\n#include HEADER\n", PARTIAL, "");
    expect("missing one/a.h; file two/a.h");
    reap("#define HEADER <a.h>\n#include HEADER\n", NO_TRACE, "");
    expect("missing one/a.h; file two/a.h");
}
END_TEST

static void make_macro_tree(void) {
    ck_assert_int_eq(mkdir("two/lib", 0700), 0);
    write_text("one/root.h", "#ifndef ROOT\n#define ROOT lib\n#endif\n");
    write_text("two/lib/a.h", "#include <new.h>\n#define NEXT \"b.h\"\n");
    write_text("two/lib/b.h", "int b;\n");
    write_text("one/new.h", "#define ROOT other\n#include NEXT\n");
}

/* Headers that are found define macros that lead to others, and change what was found before. */
START_TEST(test_macros_of_headers) {
    make_macro_tree();
    reap("#include <root.h>\n#define H <ROOT/a.h>\n#include H\n", NO_TRACE, "");
    expect("missing one/ROOT; missing one/b.h; missing one/lib; file one/new.h; missing one/other; "
           "file one/root.h; missing two/ROOT; missing two/b.h; file two/lib/a.h; "
           "missing two/other");
    write_text("one/b.h", "");
    reap("#include <root.h>\n#define H <ROOT/a.h>\n#include H\n", NO_TRACE, "");
    expect("missing one/ROOT; file one/b.h; missing one/lib; file one/new.h; missing one/other; "
           "file one/root.h; missing two/ROOT; file two/lib/a.h; missing two/other");
}
END_TEST

START_TEST(test_macros_of_options) {
    write_text("two/a.h", "");
    run.options[2] = "-DH=<a.h>";
    reap("#include H\n", NO_TRACE, "");
    expect("missing one/a.h; file two/a.h");
    run.options[2] = "-DIN(x)=<x.h>";
    reap("#include IN(a)\n", NO_TRACE, "");
    expect("missing one/a.h; file two/a.h");
    write_text("p.h", "#define H <a.h>\n");
    run.options[2] = "-include=p.h";
    reap("#include H\n", NO_TRACE, "");
    expect("missing one/a.h; file p.h; file two/a.h");
    run.options[2] = NULL;
    run.headers[0] = (struct cubby_header){"m.h", "#define H <a.h>\n", 16};
    reap("#include \"m.h\"\n#include H\n", NO_TRACE, "");
    expect("missing one/a.h; file two/a.h");
    run.headers[1] = (struct cubby_header){"a.h", "", 0};
    reap("#include \"m.h\"\n#include H\n", NO_TRACE, "");
    expect("");
}
END_TEST

/* What no text defines is no header, unless the compiler itself defines it. */
START_TEST(test_macros_of_the_compiler) {
    static const char SOURCE[] = "// \\\n\n#ifdef CONFIG\n#include CONFIG\n#endif\n"
                                 "#define H <lib/a.h>\n  #\\\n  include H\n";

    reap(SOURCE, NO_TRACE, "");
    expect("missing one/lib; missing two/lib");
    run.macro = "CONFIG";
    reap(SOURCE, NO_TRACE, "");
    expect_refusal("default_program:4, \"include CONFIG\"", "may define \"CONFIG\" by itself");
    run.macro = "lib";
    reap(SOURCE, NO_TRACE, "");
    expect_refusal("default_program:8, \"include H\"", "may define \"lib\" by itself");
    run.macro = "elsewhere";
    reap(SOURCE, NO_TRACE, "");
    expect("missing one/lib; missing two/lib");
    run.is_mute = true;
    reap(SOURCE, NO_TRACE, "");
    expect_refusal("default_program:4", "cannot be asked for its macros: write its name");
}
END_TEST

START_TEST(test_opaque_macro_includes) {
    write_text("one/a.h", "#define H <a.h> <b.h>\n\n#include H\n");
    reap("#include <a.h>\n", NO_TRACE, "");
    expect_refusal("one/a.h:3, \"include H\"", "\"<\" follows the name: write its name");
    /* Not every compiler joins such lines. */
    write_text("one/a.h", "#define H <a.h>\n#include H\n");
    write_text("one/b.h", "#define HE\\ \nAD <b.h>\n");
    reap("#include <a.h>\n#include <b.h>\n", NO_TRACE, "");
    expect_refusal("one/a.h:2", "what one/b.h defines cannot be told");
    reap("#include <b.h>\n", NO_TRACE, "");
    expect("file one/b.h");
}
END_TEST

/* The trace does tell what headers include. */
START_TEST(test_macro_include_in_a_header) {
    write_text("one/a.h", "#include HEADER\n");
    write_text("two/b.h", "");
    reap("#include <a.h>\n", PARTIAL, "two/b.h");
    expect("file one/a.h; missing one/b.h; file two/b.h");
    reap("#define HEADER <b.h>\n#include <a.h>\n", NO_TRACE, "");
    expect("file one/a.h; missing one/b.h; file two/b.h");
}
END_TEST

START_TEST(test_include_next) {
    run.options[2] = "-Ithree";
    write_text("one/a.h", "#include_next <a.h>\n");
    write_text("two/a.h", "int a;\n");
    reap("#include <a.h>\n", WHOLE, "one/a.h two/a.h");
    expect("file one/a.h; missing three/a.h; file two/a.h");
}
END_TEST

START_TEST(test_probes) {
    write_text("two/a.h", "");
    reap("#if __has_include(<a.h>) || __has_include(\"b.h\")\n#endif\n", WHOLE, "");
    expect("missing b.h; missing one/a.h; missing one/b.h; present two/a.h; missing two/b.h");
    reap("#if __has_include_next(<a.h>)\n#endif\n", WHOLE, "");
    expect("missing one/a.h; present two/a.h");
}
END_TEST

START_TEST(test_probes_through_macros) {
    write_text("two/has.h", "#define HAS(x) __has_include(x)\n#define HAVE HAS\n");
    reap("#include <has.h>\n#if HAVE(<b.h>)\n#endif\n", WHOLE, "two/has.h");
    expect("missing one/b.h; missing one/has.h; missing two/b.h; file two/has.h");
}
END_TEST

START_TEST(test_opaque_probes) {
    static const char *const OPAQUE[] = {
        "#define H <a.h>\n#if __has_include(H)\n#endif\n",
        "#define HAS(x) __has_include(x)\n#define H <a.h>\n#if HAS(H)\n#endif\n",
        "#if __has_include_next(H)\n#endif\n",
    };

    for (size_t i = 0; i < sizeof(OPAQUE) / sizeof(*OPAQUE); i++) {
        reap(OPAQUE[i], WHOLE, "");
        expect_refusal("default_program", "which file it asks for cannot be told");
    }
    run.options[2] = "-DHAS(x)=__has_include(x)";
    reap("#if HAS(<a.h>)\n#endif\n", WHOLE, "");
    expect_refusal("__has_include(x)", "which file it asks for cannot be told");
}
END_TEST

START_TEST(test_what_is_not_tracked) {
    static const char *const SOURCES[] = {"#import <a.h>\n", "#embed \"a\"\n",
                                          "#if __has_embed(\"a\")\n#endif\n"};

    for (size_t i = 0; i < sizeof(SOURCES) / sizeof(*SOURCES); i++) {
        reap(SOURCES[i], WHOLE, "");
        ck_assert_int_eq(run.code, CUBBY_ERR_UNSUPPORTED);
    }
}
END_TEST

START_TEST(test_spellings_of_an_include) {
    write_text("one/a.h", "");
    reap("#inc\\\nlude /* as it may be */ <a.h> // so\n%: include <a.h>\n", NO_TRACE, "");
    expect("file one/a.h");
}
END_TEST

/* The compiler refuses them, so they stand in comments; and a path must not be empty. */
START_TEST(test_empty_names) {
    run.options[2] = "-include=";
    reap("// #include \"\"\n/* __has_include(\"\") __has_include_next(<>) */\n", NO_TRACE, "");
    expect("");
}
END_TEST

/* ---- Where they are looked for ----------------------------------------------------------- */

START_TEST(test_beside_the_including_file) {
    run.name = "sub/main.cu";
    ck_assert_int_eq(mkdir("sub", 0700), 0);
    write_text("one/a.h", "#include \"b.h\"\n");
    write_text("two/b.h", "");
    reap("#include \"a.h\"\n", WHOLE, "one/a.h two/b.h");
    expect("file one/a.h; missing one/b.h; missing sub/a.h; file two/b.h");
}
END_TEST

START_TEST(test_no_source_include) {
    run.options[2] = "--no-source-include";
    write_text("a.h", "");
    write_text("one/a.h", "#include \"b.h\"\n");
    write_text("one/b.h", "");
    reap("#include \"a.h\"\n", NO_TRACE, "");
    expect("file one/a.h; file one/b.h"); /* both by -I alone */
    run.options[0] = "-Itwo";
    run.options[1] = "-Ithree";
    reap("#include \"a.h\"\n", NO_TRACE, "");
    expect("missing three/a.h; missing two/a.h");
}
END_TEST

START_TEST(test_suffix_of_the_standard_library) {
    write_text("two/vector.stdh", "");
    reap("#include <vector>\n", WHOLE, "two/vector.stdh");
    expect("missing one/vector; missing one/vector.stdh; missing two/vector; "
           "file two/vector.stdh");
    reap("#if __has_include(<a.h>)\n#endif\n", WHOLE, ""); /* no suffix behind a suffix */
    expect("missing one/a.h; missing two/a.h");
}
END_TEST

START_TEST(test_absolute_include) {
    char *here = getcwd(NULL, 0), *path = path_in(here, "one/a.h"), source[512], wanted[512];

    write_text(path, "");
    snprintf(source, sizeof(source), "#include \"%s\"\n#include <%s>\n", path, path);
    snprintf(wanted, sizeof(wanted), "file %s", path);
    reap(source, WHOLE, path);
    expect(wanted);
    run.options[2] = "--no-source-include";
    reap(source, WHOLE, path);
    expect(wanted);
    free(path);
    free(here);
}
END_TEST

START_TEST(test_no_implicit_folders) {
    run.options[0] = NULL;
    setenv("CPATH", "one", 1);
    setenv("CUDA_HOME", ".", 1);
    write_text("one/a.h", "");
    reap("#include <a.h>\n#if __has_include(<cuda_fp16.h>)\n#endif\n", NO_TRACE, "");
    expect("");
}
END_TEST

START_TEST(test_a_folder_in_the_way) {
    ck_assert_int_eq(mkdir("one/a.h", 0700), 0);
    write_text("two/a.h", "");
    reap("#include <a.h>\n", WHOLE, "two/a.h");
    expect("unusable one/a.h; file two/a.h");
}
END_TEST

START_TEST(test_missing_folder) {
    run.options[0] = "-Inone/deep";
    write_text("two/a.h", "");
    reap("#include <x/a.h>\n#include <a.h>\n", NO_TRACE, "");
    expect("missing none; file two/a.h; missing two/x");
}
END_TEST

START_TEST(test_symbolic_links) {
    ck_assert_int_eq(mkdir("real", 0700), 0);
    write_text("real/a.h", "#include \"b.h\"\n");
    write_text("real/b.h", "");
    write_text("two/b.h", "");
    ck_assert_int_eq(symlink("../real/a.h", "one/a.h"), 0);
    reap("#include <a.h>\n", WHOLE, "one/a.h two/b.h");
    /* Beside the link, not beside what it points to. */
    expect("file one/a.h; missing one/b.h; file two/b.h");
}
END_TEST

/* The trace names it once; under its other name it counts as well. */
START_TEST(test_two_names_of_a_file) {
    write_text("one/a.h", "#pragma once\n");
    ck_assert_int_eq(link("one/a.h", "two/b.h"), 0);
    reap("#include <a.h>\n#include <b.h>\n", WHOLE, "one/a.h");
    expect("file one/a.h; missing one/b.h; file two/b.h");
}
END_TEST

/* ---- Memory and options ------------------------------------------------------------------ */

START_TEST(test_memory_headers) {
    run.headers[0] = (struct cubby_header){"a.h", "int a;", 6};
    run.headers[1] = (struct cubby_header){"sub/m.h", "#include \"b.h\"\n", 15};
    ck_assert_int_eq(mkdir("sub", 0700), 0);
    write_text("two/b.h", "");
    reap("#include \"a.h\"\n#include <sub/m.h>\n#if __has_include(<a.h>)\n#endif\n", WHOLE,
         "a.h sub/m.h two/b.h");
    expect("missing one/b.h; missing sub/b.h; file two/b.h");
    /* Only by its exact name. */
    reap("#include \"./a.h\"\n", NO_TRACE, "");
    expect("missing ./a.h; missing one/./a.h; missing one/b.h; missing sub/b.h; "
           "missing two/./a.h; file two/b.h");
}
END_TEST

/* Where there is a file of the same name, who could tell which of them was read. */
START_TEST(test_memory_header_and_file) {
    run.headers[0] = (struct cubby_header){"one/a.h", "int a;", 6};
    write_text("one/a.h", "");
    reap("#include \"one/a.h\"\n", WHOLE, "one/a.h");
    expect("file one/a.h");
}
END_TEST

START_TEST(test_pre_include) {
    run.options[2] = "-include=p.h";
    write_text("two/p.h", "");
    reap("int x;\n", WHOLE, "two/p.h");
    expect("missing one/p.h; missing p.h; file two/p.h");
    run.options[3] = "--no-source-include"; /* changes nothing for it */
    reap("int x;\n", NO_TRACE, "");
    expect("missing one/p.h; missing p.h; file two/p.h");
    run.headers[0] = (struct cubby_header){"p.h", "int p;", 6};
    reap("int x;\n", WHOLE, "");
    expect("");
}
END_TEST

START_TEST(test_date_in_a_header) {
    write_text("one/a.h", "const char *when = __DATE__;\n");
    reap("#include <a.h>\n", WHOLE, "one/a.h");
    expect_refusal("one/a.h", "__DATE__");
    write_text("one/a.h", "const char *when = __TI\\\nME__;\n");
    reap("#include <a.h>\n", NO_TRACE, "");
    expect_refusal("one/a.h", "__TIME__");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("harvest");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, test_whole_trace);
    tcase_add_test(tcase, test_partial_trace);
    tcase_add_test(tcase, test_no_trace);
    tcase_add_test(tcase, test_circles_end);
    tcase_add_test(tcase, test_traced_but_not_included);
    tcase_add_test(tcase, test_header_changed_meanwhile);
    tcase_add_test(tcase, test_probed_file_changed_meanwhile);
    tcase_add_test(tcase, test_header_vanished);
    tcase_add_test(tcase, test_macro_include);
    tcase_add_test(tcase, test_macro_include_in_a_header);
    tcase_add_test(tcase, test_macros_of_headers);
    tcase_add_test(tcase, test_macros_of_options);
    tcase_add_test(tcase, test_macros_of_the_compiler);
    tcase_add_test(tcase, test_opaque_macro_includes);
    tcase_add_test(tcase, test_include_next);
    tcase_add_test(tcase, test_probes);
    tcase_add_test(tcase, test_probes_through_macros);
    tcase_add_test(tcase, test_opaque_probes);
    tcase_add_test(tcase, test_what_is_not_tracked);
    tcase_add_test(tcase, test_spellings_of_an_include);
    tcase_add_test(tcase, test_empty_names);
    tcase_add_test(tcase, test_beside_the_including_file);
    tcase_add_test(tcase, test_no_source_include);
    tcase_add_test(tcase, test_suffix_of_the_standard_library);
    tcase_add_test(tcase, test_absolute_include);
    tcase_add_test(tcase, test_no_implicit_folders);
    tcase_add_test(tcase, test_a_folder_in_the_way);
    tcase_add_test(tcase, test_missing_folder);
    tcase_add_test(tcase, test_symbolic_links);
    tcase_add_test(tcase, test_two_names_of_a_file);
    tcase_add_test(tcase, test_memory_headers);
    tcase_add_test(tcase, test_memory_header_and_file);
    tcase_add_test(tcase, test_pre_include);
    tcase_add_test(tcase, test_date_in_a_header);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
