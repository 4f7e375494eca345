/* SPDX-License-Identifier: Apache-2.0 */
/* Why a program is not in the cache: with a double of NVRTC, as only the keys matter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "key/fields.h"
#include "toolkit.h"
#include "util/pairs.h"

static struct cubby_program_options options;
static const char *strings[64];
static char *cuda, *spec;

static void setup(void) {
    cuda = path_in(scratch_dir(), "cuda");
    toolkit_make(cuda, 1);
    toolkit_use(cuda);
    ck_assert_int_gt(asprintf(&spec, "memory,file:%s/store", scratch_dir()), 0);
    ck_assert_int_eq(chdir(scratch_dir()), 0);
    options = (struct cubby_program_options)CUBBY_PROGRAM_OPTIONS_INIT;
    options.arch = "sm_90";
    options.name = "k.cu";
    options.options = strings;
}

static void teardown(void) {
    ck_assert_int_eq(chdir("/"), 0);
    free(cuda);
    free(spec);
}

static struct cubby_cache *open_cache(void) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;

    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    return cache;
}

static void give(size_t count, const char *first, const char *second) {
    options.option_count = count;
    strings[0] = first;
    strings[1] = second;
}

static struct cubby_program *make(const char *text) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    ck_ok(cubby_program_new(text, strlen(text), &options, &program, &error), &error);
    return program;
}

/* Compiles the text as the options say; a new object. */
static struct cubby_object *compile(struct cubby_cache *cache, const char *text,
                                    struct cubby_key *ret_key) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = make(text);
    struct cubby_object *object;
    struct cubby_outcome outcome;

    ck_ok(cubby_compile(cache, program, 0, &object, &outcome, &error), &error);
    ck_assert_str_eq(outcome.reason, "");
    if (ret_key)
        *ret_key = outcome.key;
    cubby_program_unref(program);
    return object;
}

static void store(struct cubby_cache *cache, const char *text) {
    cubby_object_unref(compile(cache, text, NULL));
}

/* ---- What a comparison says, as text: FIELD[ NAME]: THEN -> NOW[ before HEADER]; --------- */

static char said[8192];

static void note(const struct cubby_difference *difference, void *context) {
    size_t length = strlen(said);

    ck_assert_ptr_eq(context, said);
    ck_assert(difference->then || difference->now);
    snprintf(said + length, sizeof(said) - length, "%s%s%s: %s -> %s%s%s;", difference->field,
             difference->name ? " " : "", difference->name ? difference->name : "",
             difference->then ? difference->then : "-", difference->now ? difference->now : "-",
             difference->before ? " before " : "", difference->before ? difference->before : "");
}

static struct cubby_comparison compare(struct cubby_cache *cache, const char *text) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = make(text);
    struct cubby_comparison found;

    said[0] = '\0';
    ck_ok(cubby_program_compare(cache, program, note, said, &found, &error), &error);
    cubby_program_unref(program);
    return found;
}

/* Asserts that it is a miss with these differences from something that is stored. */
static void expect(struct cubby_cache *cache, const char *text, const char *wanted) {
    struct cubby_comparison found = compare(cache, text);

    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_MISS);
    ck_assert(found.has_key && found.has_nearest);
    ck_assert_ptr_nonnull(found.nearest);
    ck_assert_str_eq(found.reason, "");
    ck_assert_str_eq(said, wanted);
    cubby_object_unref(found.nearest);
}

/* As expect(), where only what stands before the first colon is known. */
static void expect_field(struct cubby_cache *cache, const char *text, const char *field) {
    struct cubby_comparison found = compare(cache, text);

    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_MISS);
    ck_assert_msg(strncmp(said, field, strlen(field)) == 0 && said[strlen(field)] == ':' &&
                      strchr(said, ';') == said + strlen(said) - 1,
                  "%s is not about %s alone", said, field);
    cubby_object_unref(found.nearest);
}

/* ---- The stored fields ------------------------------------------------------------------- */

struct walk {
    const struct cubby_object *object;
    size_t count;
};

static void match_field(const char *name, const char *value, void *context) {
    struct walk *walk = context;
    const char *stored_value,
        *stored = cubby_object_field(walk->object, walk->count++, &stored_value);

    ck_assert_pstr_eq(stored, name);
    ck_assert_pstr_eq(stored_value, value);
}

START_TEST(test_fields_are_kept) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache = open_cache();
    const char *names[] = {"f<int>"};
    struct cubby_program *program;
    struct walk walk = {0};

    give(2, "-DX=1", "--std=c++17");
    options.names = names;
    options.name_count = 1;
    walk.object = compile(cache, "kernel", NULL);
    program = make("kernel");
    ck_ok(cubby_program_explain(cache, program, match_field, &walk, &error), &error);
    ck_assert_uint_gt(walk.count, 8);
    ck_assert_ptr_null(cubby_object_field(walk.object, walk.count, NULL));
    ck_assert_str_eq(cubby_object_lowered_name(walk.object, "f<int>"), "_Z_f<int>");
    cubby_object_unref((struct cubby_object *)walk.object);
    cubby_program_unref(program);
    cubby_cache_unref(cache);
}
END_TEST

/* The caller's own entries have none. */
START_TEST(test_no_fields) {
    struct cubby_cache *cache = open_cache();
    struct cubby_key key = key_of(1);
    struct cubby_object *object;

    ck_assert_int_eq(cubby_cache_put(cache, &key, "x", 1, NULL), 0);
    ck_assert_int_eq(cubby_cache_peek(cache, CUBBY_ENTRY_USER, &key, &object), 0);
    ck_assert_ptr_null(cubby_object_field(object, 0, NULL));
    cubby_object_unref(object);
    cubby_cache_unref(cache);
}
END_TEST

static size_t fields_size(const struct cubby_object *object) {
    const char *name, *value;
    size_t size = 0;

    for (size_t i = 0; (name = cubby_object_field(object, i, &value)); i++)
        size += strlen(name) + strlen(value) + 2;
    return size;
}

/* Long values and long lists are cut, and still tell what is equal from what is not. */
START_TEST(test_fields_are_bounded) {
    struct cubby_cache *cache = open_cache();
    struct cubby_object *object;
    char *long_ones[64];

    for (size_t i = 0; i < 64; i++) {
        long_ones[i] = malloc(5001);
        memset(long_ones[i], 'a', 5000);
        long_ones[i][5000] = '\0';
        memcpy(long_ones[i], "-D", 2);
        snprintf(long_ones[i] + 2, 8, "M%zu=", i);
        long_ones[i][strlen(long_ones[i])] = 'a';
        strings[i] = long_ones[i];
    }
    options.option_count = 1;
    object = compile(cache, "kernel", NULL);
    ck_assert_uint_lt(fields_size(object), 2048);
    cubby_object_unref(object);
    long_ones[0][4999] = 'b'; /* behind what is kept of it */
    expect_field(cache, "kernel", "option");
    long_ones[0][4999] = 'a';
    ck_assert_int_eq(compare(cache, "kernel").kind, CUBBY_COMPARISON_HIT);

    options.option_count = 64;
    object = compile(cache, "kernel", NULL);
    ck_assert_uint_lt(fields_size(object), 16 * 1024);
    cubby_object_unref(object);
    long_ones[63][4999] = 'b';
    expect_field(cache, "kernel", FIELDS_REST);
    for (size_t i = 0; i < 64; i++)
        free(long_ones[i]);
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_damaged_pairs) {
    static const char RUN[] = "a\0b\0c\0d";
    struct pairs whole = {RUN, RUN + sizeof(RUN)};
    const char *first, *second;

    ck_assert(pairs_next(&whole, &first, &second));
    ck_assert_str_eq(first, "a");
    ck_assert_str_eq(second, "b");
    ck_assert(pairs_next(&whole, &first, &second));
    ck_assert_str_eq(second, "d");
    ck_assert(!pairs_next(&whole, &first, &second));
    for (size_t size = 0; size < sizeof(RUN); size++) {
        struct pairs cut = {RUN, RUN + size};
        size_t count = 0;

        while (pairs_next(&cut, &first, &second))
            count++;
        ck_assert_uint_eq(count, size / 4);
    }
}
END_TEST

/* ---- Outcomes ---------------------------------------------------------------------------- */

START_TEST(test_hit) {
    struct cubby_cache *cache = open_cache();
    struct cubby_comparison found;
    struct cubby_key key;

    cubby_object_unref(compile(cache, "kernel", &key));
    found = compare(cache, "kernel");
    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_HIT);
    ck_assert(found.has_key && !found.has_nearest);
    ck_assert_mem_eq(&found.key, &key, sizeof(key));
    ck_assert_str_eq(found.tier, "memory");
    ck_assert_str_eq(said, "");
    cubby_cache_unref(cache);
    cache = open_cache();
    ck_assert_str_eq(compare(cache, "kernel").tier, "file");
    ck_assert_str_eq(compare(cache, "kernel").tier, "file"); /* it was not copied */
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_nothing_to_compare_with) {
    struct cubby_cache *cache = open_cache();
    struct cubby_comparison found = compare(cache, "kernel");

    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_MISS);
    ck_assert(found.has_key && !found.has_nearest);
    ck_assert_str_eq(found.reason, "no object of that name or of that source is stored");
    options.name = "other.cu";
    store(cache, "other kernel");
    options.name = "k.cu";
    found = compare(cache, "kernel");
    ck_assert(!found.has_nearest);
    ck_assert_ptr_null(found.nearest);
    found = compare(NULL, "kernel");
    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_MISS);
    ck_assert_str_eq(found.reason, "no store is in use");
    ck_assert_ptr_null(cubby_comparison_name((enum cubby_comparison_kind)3));
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_uncacheable) {
    struct cubby_cache *cache = open_cache();
    struct cubby_comparison found = compare(cache, "const char *d = __DATE__;");

    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_UNCACHEABLE);
    ck_assert(!found.has_key && !found.has_nearest);
    ck_assert_ptr_nonnull(strstr(found.reason, "__DATE__"));
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_no_toolchain) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_comparison found = {.kind = CUBBY_COMPARISON_UNCACHEABLE};
    struct cubby_cache *cache = open_cache();
    struct cubby_program *program = make("kernel");

    setenv("CUBBY_NVRTC", "/no/such/library.so", 1);
    ck_assert_int_eq(cubby_program_compare(cache, program, NULL, NULL, &found, &error),
                     CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_int_eq(found.kind, CUBBY_COMPARISON_UNCACHEABLE); /* untouched */
    cubby_error_clear(&error);
    cubby_program_unref(program);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Every kind of field ----------------------------------------------------------------- */

START_TEST(test_options) {
    struct cubby_cache *cache = open_cache();

    give(2, "-DX=1", "--std=c++17");
    store(cache, "kernel");
    give(2, "-DX=1", "--std=c++20");
    expect(cache, "kernel", "option: --std=c++17 -> --std=c++20;");
    give(2, "-DX=2", "--std=c++17");
    expect(cache, "kernel", "option: -D=X=1 -> -D=X=2;");
    give(2, "-UX", "--std=c++17");
    expect(cache, "kernel", "option: -D=X=1 -> -U=X;");
    give(2, "-DY=1", "--std=c++17");
    expect(cache, "kernel", "option: -D=X=1 -> -;option: - -> -D=Y=1;");
    give(1, "-DX=1", NULL);
    expect(cache, "kernel", "option: --std=c++17 -> -;");
    give(3, "-DX=1", "--fmad=false");
    strings[2] = "--std=c++17";
    expect(cache, "kernel", "option: - -> --fmad=false;");
    give(2, "--std=c++17", "-DX=1");
    expect(cache, "kernel", "option: -D=X=1 -> -D=X=1;");
    give(0, NULL, NULL);
    expect(cache, "kernel", "option: -D=X=1 -> -;option: --std=c++17 -> -;");
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_other_fields) {
    struct cubby_header header = {"a.h", "int a;", 6};
    struct cubby_cache *cache = open_cache();
    const char *names[] = {"f<int>"};

    options.headers = &header;
    options.header_count = 1;
    options.names = names;
    options.name_count = 1;
    store(cache, "kernel");
    expect_field(cache, "kernel ", "source digest");
    options.arch = "sm_80";
    expect(cache, "kernel", "architecture: sm_90 -> sm_80;");
    options.arch = "sm_90";
    options.target = CUBBY_TARGET_PTX;
    expect(cache, "kernel", "target: cubin -> ptx;architecture: sm_90 -> compute_90;");
    options.target = CUBBY_TARGET_CUBIN;
    names[0] = "f<long>";
    expect(cache, "kernel", "name expression: f<int> -> -;name expression: - -> f<long>;");
    names[0] = "f<int>";
    options.extra = "more";
    options.extra_size = 4;
    expect_field(cache, "kernel", "extra digest");
    options.extra = NULL;
    header.data = "int b;";
    expect_field(cache, "kernel", "header a.h");
    ck_assert_ptr_null(strstr(said, ": - "));
    options.header_count = 0;
    expect_field(cache, "kernel", "header a.h");
    ck_assert_ptr_nonnull(strstr(said, "-> -;"));
    options.header_count = 1;
    header.data = "int a;";
    setenv("NVRTC_APPEND_FLAGS", "-G", 1);
    expect(cache, "kernel", "environment: - -> NVRTC_APPEND_FLAGS=-G;");
    unsetenv("NVRTC_APPEND_FLAGS");
    ck_assert_int_eq(compare(cache, "kernel").kind, CUBBY_COMPARISON_HIT);
    cubby_cache_unref(cache);
}
END_TEST

/* A tool stays for the life of a process, so the other one is used by a child. */
START_TEST(test_toolchain) {
    struct cubby_cache *cache;
    pid_t child = fork();
    int status;

    if (child == 0) {
        cache = open_cache();
        store(cache, "kernel");
        cubby_cache_unref(cache);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    toolkit_set_builtins(cuda, 2);
    cache = open_cache();
    expect_field(cache, "kernel", "toolchain");
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Which object is the nearest --------------------------------------------------------- */

START_TEST(test_nearest) {
    struct cubby_cache *cache = open_cache();
    struct cubby_comparison found;
    struct cubby_key key;

    give(1, "-DV=A", NULL);
    store(cache, "one");
    options.name = "folder/k.cu";
    give(1, "-DV=B", NULL);
    store(cache, "two");
    options.name = "unlike.cu";
    give(1, "-DV=C", NULL);
    store(cache, "three");

    /* Of the same name, however different; then of the same last part; then of the same source. */
    options.name = "k.cu";
    give(1, "-DV=B", NULL);
    expect_field(cache, "one", "option");
    give(1, "-DV=A", NULL);
    expect_field(cache, "two", "source digest");
    options.name = "elsewhere/k.cu";
    give(1, "-DV=C", NULL);
    expect(cache, "two", "option: -D=V=B -> -D=V=C;");
    options.name = "renamed.cu";
    expect(cache, "three", "source name: unlike.cu -> renamed.cu;");

    /* The fewest differences go before the newest, which decides between equals. */
    options.name = "k.cu";
    give(2, "-DV=A", "-DZ");
    cubby_object_unref(compile(cache, "one", &key));
    nanosleep(&(struct timespec){1, 100000000}, NULL);
    give(2, "-DV=A", "-DY");
    store(cache, "four");
    give(3, "-DV=A", "-DZ");
    strings[2] = "-DW";
    expect(cache, "one", "option: - -> -D=W;");
    give(2, "-DV=A", "-DX");
    store(cache, "one");
    found = compare(cache, "five");
    ck_assert_mem_ne(&found.nearest_key, &key, sizeof(key));
    ck_assert_ptr_nonnull(strstr(said, "source digest: "));
    cubby_object_unref(found.nearest);
    cubby_cache_unref(cache);
}
END_TEST

/* ---- Headers ----------------------------------------------------------------------------- */

#define TEXT "#include <a.h>\n#include \"b.h\"\n"

static void write_header(const char *path, const char *text) {
    write_file(path, text, strlen(text));
}

static struct cubby_cache *compile_with_headers(void) {
    struct cubby_cache *cache = open_cache();

    mkdir("one", 0700);
    mkdir("two", 0700);
    write_header("two/a.h", "int a;");
    write_header("b.h", "int b;");
    give(3, "-Ione", "-Itwo");
    strings[2] = "-Inone";
    /* Longer than a tick of the clock from which files get their stamps. */
    nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
    store(cache, TEXT);
    ck_assert_int_eq(compare(cache, TEXT).kind, CUBBY_COMPARISON_HIT);
    return cache;
}

START_TEST(test_changed_header) {
    struct cubby_cache *cache = compile_with_headers();
    struct cubby_comparison found;

    write_header("two/a.h", "int c;");
    expect_field(cache, TEXT, "header file two/a.h");
    ck_assert_ptr_null(strstr(said, "-> -"));
    write_header("b.h", "int longer;");
    found = compare(cache, TEXT);
    cubby_object_unref(found.nearest);
    ck_assert_ptr_nonnull(strstr(said, "header file b.h: "));
    ck_assert_ptr_nonnull(strstr(said, "header file two/a.h: "));
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_header_that_is_gone) {
    struct cubby_cache *cache = compile_with_headers();

    ck_assert_int_eq(unlink("two/a.h"), 0);
    expect_field(cache, TEXT, "header file two/a.h");
    ck_assert_ptr_nonnull(strstr(said, "-> -;"));
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_shadow) {
    struct cubby_cache *cache = compile_with_headers();

    write_header("one/a.h", "int c;");
    expect_field(cache, TEXT, "header file one/a.h");
    ck_assert_ptr_nonnull(strstr(said, ": - -> "));
    ck_assert_ptr_nonnull(strstr(said, " before two/a.h;"));
    ck_assert_int_eq(unlink("one/a.h"), 0);
    mkdir("one/a.h", 0700); /* which is no header, but was not there either */
    expect(cache, TEXT, "header file one/a.h: - -> not a file;");
    cubby_cache_unref(cache);
}
END_TEST

/* A folder that was not there is one path, whatever is in it. */
START_TEST(test_folder_that_appears) {
    struct cubby_cache *cache;

    mkdir("one", 0700);
    mkdir("two", 0700);
    write_header("two/a.h", "int a;");
    give(2, "-Inone", "-Itwo");
    nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
    cache = open_cache();
    store(cache, "#include <a.h>\n");
    mkdir("none", 0700);
    expect(cache, "#include <a.h>\n", "header file none: - -> not a file;");
    write_header("none/a.h", "int c;");
    expect(cache, "#include <a.h>\n", "header file none/a.h: - -> a file before two/a.h;");
    cubby_cache_unref(cache);
}
END_TEST

START_TEST(test_has_include) {
    const char *text = "#if __has_include(<there.h>)\n#endif\n#if __has_include(<no.h>)\n#endif\n";
    struct cubby_cache *cache = open_cache();

    mkdir("one", 0700);
    write_header("one/there.h", "");
    give(1, "-Ione", NULL);
    nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
    store(cache, text);
    write_header("one/no.h", "");
    expect_field(cache, text, "header file one/no.h");
    ck_assert_ptr_null(strstr(said, "before"));
    ck_assert_int_eq(unlink("one/no.h"), 0);
    ck_assert_int_eq(unlink("one/there.h"), 0);
    expect(cache, text, "header file one/there.h: a file -> -;");
    cubby_cache_unref(cache);
}
END_TEST

/* Of several sets the one that needs least to hold. */
START_TEST(test_nearest_set) {
    struct cubby_cache *cache = compile_with_headers();
    struct cubby_comparison found;
    struct cubby_key key;

    write_header("two/a.h", "int a2;");
    write_header("b.h", "int b2;");
    nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
    cubby_object_unref(compile(cache, TEXT, &key));
    write_header("b.h", "int b3;");
    found = compare(cache, TEXT);
    ck_assert_mem_eq(&found.nearest_key, &key, sizeof(key));
    ck_assert_int_eq(strncmp(said, "header file b.h: ", 17), 0);
    cubby_object_unref(found.nearest);
    write_header("two/a.h", "int a;");
    expect_field(cache, TEXT, "header file b.h");
    cubby_cache_unref(cache);
}
END_TEST

/* Where the object holds time stamps, they count. */
START_TEST(test_stamp) {
    struct cubby_cache *cache;

    write_header("b.h", "int b;");
    give(1, "--generate-line-info", NULL);
    nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
    cache = open_cache();
    store(cache, "#include \"b.h\"\n");
    write_header("b.h", "int b;");
    expect_field(cache, "#include \"b.h\"\n", "header stamp b.h");
    ck_assert_ptr_nonnull(strstr(said, "6 bytes, modified "));
    cubby_cache_unref(cache);
}
END_TEST

static int remove_kind(const char *tier, const struct cubby_entry_info *info, void *context) {
    (void)tier;
    if (info->kind == *(enum cubby_entry_kind *)((void **)context)[1])
        cubby_cache_remove(((void **)context)[0], info->kind, &info->key, NULL);
    return 0;
}

START_TEST(test_what_is_evicted) {
    struct cubby_cache *cache = compile_with_headers();
    enum cubby_entry_kind kind = CUBBY_ENTRY_MANIFEST;
    void *context[] = {cache, &kind};
    struct cubby_comparison found;

    ck_assert_int_eq(cubby_cache_iterate(cache, remove_kind, context, NULL), 0);
    expect(cache, TEXT, "header list: stored -> -;");
    store(cache, TEXT);
    kind = CUBBY_ENTRY_OBJECT;
    ck_assert_int_eq(cubby_cache_iterate(cache, remove_kind, context, NULL), 0);
    found = compare(cache, TEXT);
    ck_assert_int_eq(strncmp(said, "object ", 7), 0);
    ck_assert(found.has_nearest);
    ck_assert_ptr_null(found.nearest);
    ck_assert_mem_eq(&found.nearest_key, &found.key, sizeof(found.key));
    write_header("b.h", "int c;");
    found = compare(cache, TEXT);
    ck_assert_int_eq(strncmp(said, "header file b.h", 15), 0);
    ck_assert_ptr_null(found.nearest);
    cubby_cache_unref(cache);
}
END_TEST

int main(void) {
    static const TTest *const *const TESTS[] = {
        &test_fields_are_kept,
        &test_no_fields,
        &test_fields_are_bounded,
        &test_damaged_pairs,
        &test_hit,
        &test_nothing_to_compare_with,
        &test_uncacheable,
        &test_options,
        &test_other_fields,
        &test_nearest,
        &test_changed_header,
        &test_header_that_is_gone,
        &test_shadow,
        &test_folder_that_appears,
        &test_has_include,
        &test_nearest_set,
        &test_stamp,
        &test_what_is_evicted,
    };
    Suite *suite = suite_create("explain");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(*TESTS); i++)
        tcase_add_test(tcase, *TESTS[i]);
    if (tests_are_apart()) {
        tcase_add_test(tcase, test_no_toolchain);
        tcase_add_test(tcase, test_toolchain);
    }
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
