/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers, at random: a tree of headers is edited, added to, shadowed, thinned out, touched,
 * renamed and replaced, options and the current folder change, and after every step what the cache
 * gives has to be what a fresh compile gives, and asking once more has to be a hit.
 *
 * CUBBY_TEST_SEED and CUBBY_TEST_STEPS repeat or lengthen a run; CUBBY_NVRTC names the compiler.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define STEPS 400
#define MAX_OPTIONS 16

static const char *const FOLDERS[] = {
    ".", "one", "two", "two/deep", "sub", "other/one", "other/two/deep", "other"};
static const char *const NAMES[] = {"a.h",      "b.h",      "c.h", "d.h",
                                    "deep/a.h", "deep/d.h", "e",   "e.stdh"};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- The dice ---------------------------------------------------------------------------- */

static uint64_t state;

static unsigned dice(unsigned sides) {
    state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (unsigned)((state >> 33) % sides);
}

static bool chance(unsigned percent) {
    return dice(100) < percent;
}

#define PICK(array) ((array)[dice(COUNT(array))])

/* ---- The tree ---------------------------------------------------------------------------- */

static const char *root;
static unsigned version;

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char *text, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + strlen(text), 4096 - strlen(text), format, arguments);
    va_end(arguments);
}

/* An include through macros, with definitions that hold and such that do not; some are made in one
 * header and used in another. */
static void add_macro_include(char *text, const char *name) {
    const char *other = PICK(NAMES);
    const char *slash = strchr(name, '/');

    switch (dice(7)) {
    case 0:
        add(text, "#define PLAIN_%u <%s>\n#define ALIAS_%u PLAIN_%u\n#include ALIAS_%u\n", version,
            name, version, version, version);
        break;
    case 1:
        add(text, "#define TEXT_(x) #x\n#define TEXT(x) TEXT_(x)\n#include TEXT(%s)\n", name);
        break;
    case 2:
        add(text, "#define IN(x) <x>\n#include IN(%s)\n", name);
        break;
    case 3:
        add(text,
            "#undef WHICH\n#ifdef MORE\n#define WHICH \"%s\"\n#else\n#define WHICH \"%s\"\n"
            "#endif\n#include WHICH // \"%s\"\n",
            other, name, other);
        break;
    case 4:
        add(text, "#undef ELSEWHERE\n#define ELSEWHERE <%s> /* for others */\n", name);
        break;
    case 5:
        add(text, "#ifdef ELSEWHERE\n#include ELSEWHERE\n#endif\n");
        break;
    default:
        if (slash)
            add(text,
                "#define JOIN_(x, y) x##y\n#define JOIN(x, y) JOIN_(x, y)\n#ifndef HALF\n"
                "#define HALF de\n#endif\n#define WHOLE_%u <JOIN(HALF, ep)%s>\n#include \\\n  "
                "WHOLE_%u\n",
                version, slash, version);
    }
}

/* One directive that reaches for the header behind the one that is written, so that there are few
 * circles. */
static void add_include(char *text, size_t behind) {
    const char *name = NAMES[behind + dice((unsigned)(COUNT(NAMES) - behind))];

    switch (dice(12)) {
    case 8:
    case 9:
    case 10:
    case 11:
        add(text, "#if __has_include(<%s>)\n", name);
        add_macro_include(text, name);
        add(text, "#endif\n");
        break;
    case 0:
        add(text, "#if __has_include(<%s>)\n#include <%s>\n#endif\n", name, name);
        break;
    case 1:
        add(text,
            "#if __has_include(\"%s\")\n#include \"%s\"\n#else\n__device__ int no_%u;\n#endif\n",
            name, name, version);
        break;
    case 2:
        add(text, "#define HEADER_%u <%s>\n#if __has_include(<%s>)\n#include HEADER_%u\n#endif\n",
            version, name, name, version);
        break;
    case 3:
        add(text,
            "#define HAS(x) __has_include(x)\n#if HAS(<%s>)\n__device__ int has_%u;\n#endif\n",
            name, version);
        break;
    case 4:
        add(text, "#ifdef NEVER\n#include \"%s\"\n#endif\n", name);
        break;
    case 5:
        add(text, "#if __has_include(\"../%s\")\n#include \"../%s\"\n#endif\n", name, name);
        break;
    case 6:
        add(text, "#inc\\\nlude /* as it may be */ <%s>\n", name);
        break;
    default:
        add(text, "#include \"%s\"\n", name);
    }
}

/* A new text for the index-th name. */
static void make_text(char text[4096], size_t index) {
    text[0] = '\0';
    version++;
    if (chance(60))
        add(text, "#pragma once\n");
    else
        add(text, "#ifndef GUARD_%u\n#define GUARD_%u\n", version, version);
    add(text, "__device__ int v_%u = %u;\n", version, version);
    if (chance(10))
        add(text, "__device__ const char *file_%u = __FILE__;\n", version);
    if (index + 1 < COUNT(NAMES) && chance(60))
        add_include(text, index + 1);
    if (chance(15))
        add(text, "#if __has_include_next(<%s>)\n#include_next <%s>\n#endif\n", NAMES[index],
            NAMES[index]);
    if (!strstr(text, "#pragma once"))
        add(text, "#endif\n");
}

static void path_of(char path[256], const char *folder, const char *name) {
    snprintf(path, 256, "%s/%s/%s", root, folder, name);
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");

    if (file) { /* not where a folder is in the way */
        fputs(text, file);
        fclose(file);
    }
}

static void write_header(size_t name) {
    char path[256], text[4096];

    path_of(path, PICK(FOLDERS), NAMES[name]);
    make_text(text, name);
    write_text(path, text);
}

static void forget_header(void) {
    char path[256];

    path_of(path, PICK(FOLDERS), PICK(NAMES));
    if (unlink(path) != 0)
        rmdir(path);
}

static void touch_header(void) {
    char path[256];

    path_of(path, PICK(FOLDERS), PICK(NAMES));
    utimensat(AT_FDCWD, path, NULL, 0);
}

static void rename_header(void) {
    char from[256], to[256];

    path_of(from, PICK(FOLDERS), PICK(NAMES));
    path_of(to, PICK(FOLDERS), PICK(NAMES));
    rename(from, to);
}

/* Another text of the same length with the same time stamp, in one stroke. */
static void replace_header(void) {
    char path[256], aside[256];
    char *text, *digit;
    struct stat status;
    size_t size;

    path_of(path, PICK(FOLDERS), PICK(NAMES));
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    text = read_whole(path, &size);
    digit = strstr(text, " = ");
    if (digit)
        digit[3] = (char)('1' + (digit[3] - '0') % 9);
    path_of(aside, ".", "aside");
    write_text(aside, text);
    utimensat(AT_FDCWD, aside, (struct timespec[]){status.st_atim, status.st_mtim}, 0);
    rename(aside, path);
    free(text);
}

static void link_header(void) {
    char from[256], target[256];

    path_of(from, PICK(FOLDERS), PICK(NAMES));
    path_of(target, PICK(FOLDERS), PICK(NAMES));
    if (strcmp(from, target) != 0 && symlink(target, from) != 0)
        errno = 0; /* something is there already */
}

static void make_folder(void) {
    char path[256];

    path_of(path, PICK(FOLDERS), PICK(NAMES));
    mkdir(path, 0700);
}

static void make_tree(void) {
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        static const char *const PARTS[] = {"", "/deep"};

        for (size_t j = 0; j < COUNT(PARTS); j++) {
            char command[512];

            snprintf(command, sizeof(command), "mkdir -p %s/%s%s", root, FOLDERS[i], PARTS[j]);
            ck_assert_int_eq(system(command), 0);
        }
    }
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        char path[256], text[4096];

        path_of(path, "two", NAMES[i]);
        make_text(text, i);
        write_text(path, text);
        path_of(path, "other/one", NAMES[i]);
        write_text(path, text);
    }
}

/* ---- The request ------------------------------------------------------------------------- */

static const char *const INCLUDE_DIRS[] = {"-Ione",      "-Itwo",       "-I.",
                                           "-Itwo/deep", "-Iother/one", "-Inowhere"};
static const char *const EXTRAS[] = {
    "-DMORE=1", "-DHDR=<b.h>", "-DHDR=\"c.h\"", "--no-source-include", "-include=d.h", "-lineinfo"};
static const char *const MEMORY_NAMES[] = {"a.h", "b.h", "deep/d.h"};
static const char *const PROGRAM_NAMES[] = {"main.cu", "sub/main.cu", "./two/x.cu", ""};

struct request {
    char text[4096];
    const char *options[MAX_OPTIONS];
    size_t option_count;
    const char *name;
    const char *arch; /* NULL for sm_90 */
    struct cubby_header header;
    char header_text[4096];
    bool has_header;
};

static void choose_text(struct request *request) {
    request->text[0] = '\0';
    version++;
    add_include(request->text, 0);
    if (chance(30))
        add_include(request->text, 1);
    if (chance(30))
        add(request->text, "#ifdef HDR\n#include HDR\n#endif\n");
    add(request->text, "extern \"C\" __global__ void k(int *p) { *p = %u; }\n", version);
}

static void choose_options(struct request *request) {
    unsigned dirs = dice(4);

    request->option_count = 0;
    for (unsigned i = 0; i < dirs; i++)
        request->options[request->option_count++] = PICK(INCLUDE_DIRS);
    if (chance(30))
        request->options[request->option_count++] = PICK(EXTRAS);
}

static void choose_memory(struct request *request) {
    size_t index = dice(COUNT(MEMORY_NAMES));

    request->has_header = chance(50);
    make_text(request->header_text, 3);
    request->header = (struct cubby_header){MEMORY_NAMES[index], request->header_text,
                                            strlen(request->header_text)};
}

/* The object as bytes and log; NULL where the compiler refused. */
static struct cubby_object *compile(struct cubby_cache *cache, const struct request *request,
                                    struct cubby_outcome *ret_outcome) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    struct cubby_program *program;
    int result;

    options.target = CUBBY_TARGET_PTX;
    options.arch = request->arch ? request->arch : "sm_90";
    options.name = request->name;
    options.options = request->options;
    options.option_count = request->option_count;
    options.headers = &request->header;
    options.header_count = request->has_header ? 1 : 0;
    ck_ok(cubby_program_new(request->text, strlen(request->text), &options, &program, &error),
          &error);
    result = cubby_compile(cache, program, 0, &object, ret_outcome, &error);
    ck_assert_msg(result == 0 || result == CUBBY_ERR_COMPILE, "%s", error.message);
    cubby_program_unref(program);
    cubby_error_clear(&error);
    return object;
}

static void show(const struct request *request, const struct cubby_outcome *outcome) {
    printf("outcome %s %s\nname %s\n", cubby_outcome_name(outcome->kind), outcome->reason,
           request->name);
    for (size_t i = 0; i < request->option_count; i++)
        printf("option %s\n", request->options[i]);
    if (request->has_header)
        printf("memory %s:\n%s", request->header.name, request->header_text);
    printf("source:\n%s", request->text);
}

static bool same(const struct cubby_object *left, const struct cubby_object *right) {
    if (!left || !right)
        return !left && !right;
    return cubby_object_size(left) == cubby_object_size(right) &&
           memcmp(cubby_object_data(left), cubby_object_data(right), cubby_object_size(left)) ==
               0 &&
           strcmp(cubby_object_log(left), cubby_object_log(right)) == 0;
}

/* ---- The compiler ------------------------------------------------------------------------ */

static int compiler_major; /* 0 where there is no NVRTC */

static void find_compiler(void) {
    struct cubby_toolchain toolchain;

    if (cubby_toolchain_find(NULL, &toolchain, NULL) < 0)
        return;
    compiler_major = toolchain.major;
    cubby_toolchain_clear(&toolchain);
}

/* From 13.0 on NVRTC says which headers it read. */
static bool compiler_tells(void) {
    return compiler_major >= 13;
}

/* ---- The walk ---------------------------------------------------------------------------- */

struct tally {
    unsigned hits, compiled, uncacheable, refused;
};

static void change_something(struct request *request) {
    switch (dice(14)) {
    case 0:
    case 1:
    case 2:
        write_header(dice(COUNT(NAMES)));
        break;
    case 3:
        forget_header();
        break;
    case 4:
        touch_header();
        break;
    case 5:
        rename_header();
        break;
    case 6:
        replace_header();
        break;
    case 7:
        link_header();
        break;
    case 8:
        if (chance(30))
            make_folder();
        break;
    case 9:
        ck_assert_int_eq(chdir(root), 0);
        if (chance(40))
            ck_assert_int_eq(chdir("other"), 0);
        break;
    case 10:
        choose_options(request);
        break;
    case 11:
        choose_text(request);
        break;
    case 12:
        choose_memory(request);
        break;
    default:
        request->name = PICK(PROGRAM_NAMES);
    }
}

/* Longer than a tick of the clock from which files get their stamps. */
static void let_the_clock_tick(void) {
    nanosleep(&(struct timespec){0, 11 * 1000 * 1000}, NULL);
}

static void step(struct cubby_cache *cache, const struct request *request, struct tally *tally) {
    struct cubby_outcome outcome, fresh_outcome, again_outcome;
    struct cubby_object *object = compile(cache, request, &outcome);
    struct cubby_object *fresh = compile(NULL, request, &fresh_outcome);
    struct cubby_object *again;

    if (!same(object, fresh)) {
        show(request, &outcome);
        if (object && fresh)
            printf("cached:\n%s\nfresh:\n%s\n", (const char *)cubby_object_data(object),
                   (const char *)cubby_object_data(fresh));
    }
    ck_assert_msg(same(object, fresh), "the cache's object is not what a compile gives");
    tally->hits += outcome.kind == CUBBY_OUTCOME_HIT;
    tally->compiled += outcome.kind == CUBBY_OUTCOME_COMPILED;
    tally->uncacheable += outcome.kind == CUBBY_OUTCOME_UNCACHEABLE;
    tally->refused += !object;
    if (object && outcome.kind != CUBBY_OUTCOME_UNCACHEABLE) {
        again = compile(cache, request, &again_outcome);
        if (again_outcome.kind != CUBBY_OUTCOME_HIT)
            show(request, &again_outcome);
        ck_assert_int_eq(again_outcome.kind, CUBBY_OUTCOME_HIT);
        ck_assert(same(again, fresh));
        cubby_object_unref(again);
    } else if (outcome.kind == CUBBY_OUTCOME_UNCACHEABLE) {
        show(request, &outcome);
    }
    cubby_object_unref(object);
    cubby_object_unref(fresh);
}

static unsigned from_environment(const char *name, unsigned otherwise) {
    const char *value = getenv(name);

    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

/* Where there is no room for a trace, what the texts say has to do. */
static void turn_trace_off(void) {
    setenv("TMPDIR", "/dev/null/no-folder", 1);
}

START_TEST(test_walk) {
    unsigned seed = from_environment("CUBBY_TEST_SEED", 1) + (unsigned)_i;
    unsigned steps = from_environment("CUBBY_TEST_STEPS", STEPS);
    struct request request = {.name = "main.cu"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct tally tally = {0};
    struct cubby_cache *cache;

    if (_i % 2 == 1)
        turn_trace_off();
    state = seed;
    root = path_in(scratch_dir(), "tree");
    make_tree();
    ck_assert_int_eq(chdir(root), 0);
    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
    choose_text(&request);
    choose_options(&request);
    for (unsigned i = 0; i < steps; i++) {
        for (unsigned changes = dice(4); changes > 0; changes--)
            change_something(&request);
        let_the_clock_tick();
        step(cache, &request, &tally);
    }
    cubby_cache_unref(cache);
    printf("seed %u: %u steps, %u hits, %u compiled, %u refused, %u uncacheable\n", seed, steps,
           tally.hits, tally.compiled, tally.refused, tally.uncacheable);
    ck_assert_uint_gt(tally.hits, steps / 10);
    ck_assert_uint_gt(tally.compiled, steps / 10);
    ck_assert_uint_lt(tally.refused, steps / 2);
    ck_assert_uint_eq(tally.uncacheable, 0);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Compiles through the cache and compares with a fresh compile; the outcome. */
static enum cubby_outcome_kind compile_and_compare(struct cubby_cache *cache,
                                                   const struct request *request) {
    struct cubby_outcome outcome, fresh_outcome;
    struct cubby_object *object = compile(cache, request, &outcome);
    struct cubby_object *fresh = compile(NULL, request, &fresh_outcome);

    ck_assert_ptr_nonnull(object);
    if (!same(object, fresh))
        show(request, &outcome);
    ck_assert(same(object, fresh));
    cubby_object_unref(object);
    cubby_object_unref(fresh);
    return outcome.kind;
}

/* A file that only a header's macro names, with a trace and without. */
START_TEST(test_macro_in_a_header) {
    struct request request = {.name = "main.cu",
                              .text = "#include \"outer.h\"\n"
                                      "extern \"C\" __global__ void k(int *p) { *p = VALUE; }\n"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    if (_i == 1)
        turn_trace_off();
    ck_assert_int_eq(chdir(scratch_dir()), 0);
    write_text("outer.h", "#define INNER \"inner.h\"\n#include INNER\n");
    write_text("inner.h", "#define VALUE 1\n");
    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
    let_the_clock_tick();
    ck_assert_int_eq(compile_and_compare(cache, &request), CUBBY_OUTCOME_COMPILED);
    ck_assert_int_eq(compile_and_compare(cache, &request), CUBBY_OUTCOME_HIT);
    write_text("inner.h", "#define VALUE 2\n");
    let_the_clock_tick();
    ck_assert_int_eq(compile_and_compare(cache, &request), CUBBY_OUTCOME_COMPILED);
    cubby_cache_unref(cache);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* What the compiler defines by itself is in no text: it is asked. */
START_TEST(test_macros_of_the_compiler) {
    static const char *const SOURCES[] = {
        "#define STR_(x) #x\n#define STR(x) STR_(x)\n#include STR(__CUDACC_VER_MAJOR__.h)\n",
        "#define UNDER(x) <x/NULL/a.h>\n#if 0\n#include UNDER(one)\n#endif\n",
        "#if 0\n#include __FILE__\n#endif\n",
    };
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    turn_trace_off();
    ck_assert_int_eq(chdir(scratch_dir()), 0);
    for (int major = 11; major < 20; major++) {
        char name[16];

        snprintf(name, sizeof(name), "%d.h", major);
        write_text(name, "\n");
    }
    let_the_clock_tick();
    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
    for (size_t i = 0; i < COUNT(SOURCES); i++) {
        struct request request = {.name = "main.cu"};
        struct cubby_outcome outcome;
        struct cubby_object *object;

        add(request.text, "%sextern \"C\" __global__ void k(int *p) { *p = 1; }\n", SOURCES[i]);
        object = compile(cache, &request, &outcome);
        ck_assert_ptr_nonnull(object);
        ck_assert_int_eq(outcome.kind, CUBBY_OUTCOME_UNCACHEABLE);
        ck_assert_msg(strstr(outcome.reason, "may define \"__CUDACC_VER_MAJOR__\" by itself") ||
                          strstr(outcome.reason, "may define \"NULL\" by itself") ||
                          strstr(outcome.reason, "may define \"__FILE__\" by itself") ||
                          strstr(outcome.reason, "\"__CUDACC_VER_MAJOR__\" is defined by no text"),
                      "%s", outcome.reason);
        cubby_object_unref(object);
    }
    cubby_cache_unref(cache);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Learning which headers are read leaves the code as it is, also where tracing a compile would
 * change it: with -G or -Ofc, and for compute_100 and later. */
START_TEST(test_learning_changes_no_code) {
    static const char *const ARCHES[] = {"sm_80", "sm_90a", "sm_100", "sm_120"};
    static const char *const OPTIONS[] = {"-DNONE", "-lineinfo", "-G", "-Ofc=max"};
    struct request request = {
        .name = "main.cu",
        .option_count = 1,
        .text = "#include \"scale.h\"\n"
                "extern \"C\" __global__ void k(float *p, int n) {\n"
                "    for (int i = 0; i < n; i++)\n"
                "        p[i] = p[i] * p[n - i] + sinf(p[i]) / scale(p[0]);\n}\n"};
    size_t arches = compiler_tells() ? COUNT(ARCHES) : 1;
    /* Before 12.9 two compiles with -G in one process differ in themselves. */
    size_t options = compiler_tells() ? COUNT(OPTIONS) : 2;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_assert_int_eq(chdir(scratch_dir()), 0);
    write_text("scale.h", "__device__ float scale(float x) { return x * x + 1; }\n");
    let_the_clock_tick();
    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
    for (size_t i = 0; i < arches * options; i++) {
        request.arch = ARCHES[i % arches];
        request.options[0] = OPTIONS[i / arches];
        ck_assert_int_eq(compile_and_compare(cache, &request), CUBBY_OUTCOME_COMPILED);
        ck_assert_int_eq(compile_and_compare(cache, &request), CUBBY_OUTCOME_HIT);
    }
    cubby_cache_unref(cache);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("headers");
    TCase *tcase = tcase_create("all");

    find_compiler();
    if (compiler_major == 0) {
        puts("no NVRTC on this machine");
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, test_macro_in_a_header, 0, 2);
    tcase_add_test(tcase, test_macros_of_the_compiler);
    tcase_add_test(tcase, test_learning_changes_no_code);
    tcase_add_loop_test(tcase, test_walk, 0, 3);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
