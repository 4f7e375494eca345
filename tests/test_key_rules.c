/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of docs/keys.md that no other test program has, a test each. tests/check-rules.sh holds
 * the table there against the tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "key/digest.h"
#include "key_help.h"
#include "toolkit.h"

/* ---- Fields ------------------------------------------------------------------------------ */

START_TEST(test_toolchain_counts) {
    struct cubby_program *program = cuda_program(SOURCE, NULL);
    struct cubby_key one, two, again;

    key_derive(program, &TOOLS, &one);
    key_derive(program, &OTHER_TOOLS, &two);
    key_derive(program, &TOOLS, &again);
    ck_assert(!same(one, two));
    ck_assert(same(one, again));
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_environment_counts) {
    static const char *const COUNT[] = {"NV_NVVM_VERSION", "LLVM_OVERRIDE_PRODUCER",
                                        "NVRTC_APPEND_FLAGS"};
    static const char *const DO_NOT[] = {"CUDA_CACHE_DISABLE", "EDG_BASE", "TMPDIR",
                                         "NVRTC_DISABLE_PCH",  "PWD",      "TZ"};
    struct cubby_key plain = key_with(NULL, NULL, NULL);

    for (size_t i = 0; i < 3; i++) {
        setenv(COUNT[i], "x", 1);
        ck_assert(!same(plain, key_with(NULL, NULL, NULL)));
        setenv(COUNT[i], "", 1); /* set to nothing is not the same as not set */
        ck_assert(!same(plain, key_with(NULL, NULL, NULL)));
        unsetenv(COUNT[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        setenv(DO_NOT[i], "/x", 1);
        ck_assert(same(plain, key_with(NULL, NULL, NULL)));
    }
}
END_TEST

START_TEST(test_order_and_repetition_of_names) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *names[] = {"a", "b"}, *turned[] = {"b", "a", "b"};
    struct cubby_key key;

    options.names = names;
    options.name_count = 2;
    key = key_of_cuda(SOURCE, &options);
    options.names = turned;
    options.name_count = 3;
    ck_assert(same(key, key_of_cuda(SOURCE, &options)));
}
END_TEST

START_TEST(test_order_of_headers) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_header headers[] = {{"a.h", "1", 1}, {"b.h", "2", 1}};
    const struct cubby_header turned[] = {{"b.h", "2", 1}, {"a.h", "1", 1}};
    const struct cubby_header swapped[] = {{"a.h", "2", 1}, {"b.h", "1", 1}};
    struct cubby_key key;

    options.headers = headers;
    options.header_count = 2;
    key = key_of_cuda(SOURCE, &options);
    options.headers = turned;
    ck_assert(same(key, key_of_cuda(SOURCE, &options)));
    options.headers = swapped;
    ck_assert(!same(key, key_of_cuda(SOURCE, &options)));
}
END_TEST

/* ---- Options ----------------------------------------------------------------------------- */

START_TEST(test_spellings_fold) {
    struct cubby_key arch = key_with("-arch=sm_90", NULL, NULL);
    struct cubby_key define = key_with("-DX=1", NULL, NULL);

    ck_assert(same(arch, key_with("--gpu-architecture=sm_90", NULL, NULL)));
    ck_assert(same(arch, key_with("-arch", "sm_90", NULL)));
    ck_assert(same(arch, key_with("--gpu-architecture", "sm_90", NULL)));
    ck_assert(same(arch, key_with("  -arch=sm_90 ", NULL, NULL)));
    ck_assert(same(define, key_with("-D X=1", NULL, NULL)));
    ck_assert(same(define, key_with("-D", "X=1", NULL)));
    ck_assert(same(define, key_with("-D=X=1", NULL, NULL)));
    ck_assert(same(define, key_with("--define-macro=X=1", NULL, NULL)));
    ck_assert(same(define, key_with("--define-macro", "X=1", NULL)));
    ck_assert(same(key_with("-G", NULL, NULL), key_with("--device-debug", NULL, NULL)));
    ck_assert(
        same(key_with("-lineinfo", NULL, NULL), key_with("--generate-line-info", NULL, NULL)));
    ck_assert(same(key_with("-dlto", NULL, NULL), key_with("--dlink-time-opt", NULL, NULL)));
    ck_assert(same(key_with("-dc", NULL, NULL), key_with("-rdc=true", NULL, NULL)));
    ck_assert(same(key_with("-Xptxas", "-O1", NULL), key_with("--ptxas-options=-O1", NULL, NULL)));
}
END_TEST

START_TEST(test_unequal_stays_unequal) {
    struct cubby_key plain = key_with(NULL, NULL, NULL);

    ck_assert(!same(key_with("-std=c++20", NULL, NULL), key_with("-std c++20", NULL, NULL)));
    ck_assert(!same(plain, key_with("-Ofc=0", NULL, NULL)));
    ck_assert(!same(plain, key_with("-maxrregcount=0", NULL, NULL)));
    ck_assert(!same(plain, key_with("-w", NULL, NULL)));
    ck_assert(!same(plain, key_with("-diag-suppress=1", NULL, NULL)));
    ck_assert(!same(key_with("-DA", "-UA", NULL), key_with("-UA", "-DA", NULL)));
    ck_assert(!same(key_with("-arch=sm_90", "-arch=sm_80", NULL),
                    key_with("-arch=sm_80", "-arch=sm_90", NULL)));
    ck_assert(!same(plain, key_with("--no-such-option", NULL, NULL)));
    ck_assert(!same(key_with("-arch", NULL, NULL), plain));
}
END_TEST

START_TEST(test_neutral_options) {
    struct cubby_key plain = key_with(NULL, NULL, NULL);

    ck_assert(same(plain, key_with("-no-cache", NULL, NULL)));
    ck_assert(same(plain, key_with("--no-cache", "-modify-stack-limit=true", NULL)));
    ck_assert(same(plain, key_with("-pch-verbose=true", "--pch-messages=false", NULL)));
}
END_TEST

START_TEST(test_side_effects_are_refused) {
    static const char *const REFUSED[] = {"-create-pch=x", "--time=t.csv", "-time=-",
                                          "--fdevice-time-trace=t.json"};

    for (size_t i = 0; i < 4; i++) {
        struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
        struct cubby_error error = CUBBY_ERROR_INIT;

        options.options = &REFUSED[i];
        options.option_count = 1;
        ck_assert_int_eq(refusal(&options, SOURCE, strlen(SOURCE), &error), CUBBY_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(error.message, REFUSED[i]));
    }
}
END_TEST

START_TEST(test_bypassed_options) {
    static const char *const BYPASSED[] = {"-pch",
                                           "-use-pch=x",
                                           "-pch-dir=d",
                                           "-Xptxas=--options-file=f",
                                           "-Xptxas=-optf=f",
                                           "--ptxas-options=-v -optf f",
                                           "-Xptxas=more.ptx",
                                           "-Xptxas=-o"};

    for (size_t i = 0; i < sizeof(BYPASSED) / sizeof(*BYPASSED); i++) {
        struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
        struct cubby_program *program;

        options.options = &BYPASSED[i];
        options.option_count = 1;
        program = cuda_program(SOURCE, &options);
        ck_assert_ptr_nonnull(cubby_program_uncacheable(program));
        cubby_program_unref(program);
    }
}
END_TEST

START_TEST(test_include_dirs_count_only_where_they_can) {
    struct cubby_key plain = key_with(NULL, NULL, NULL);

    ck_assert(same(plain, key_with("-I/a", "-I", "/b")));
    ck_assert(!same(key_with("-lineinfo", NULL, NULL), key_with("-lineinfo", "-I/a", NULL)));
}
END_TEST

START_TEST(test_ptx_of_sm_is_that_of_compute) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_key key;

    options.target = CUBBY_TARGET_PTX;
    options.arch = "sm_90";
    key = key_of_cuda(SOURCE, &options);
    options.arch = "compute_90";
    ck_assert(same(key, key_of_cuda(SOURCE, &options)));
    options.target = CUBBY_TARGET_CUBIN;
    key = key_of_cuda(SOURCE, &options);
    options.arch = "sm_90";
    ck_assert(!same(key, key_of_cuda(SOURCE, &options)));
}
END_TEST

/* ---- The source's name ------------------------------------------------------------------- */

static struct cubby_key named(const char *text, const char *name, const char *option) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;

    options.name = name;
    options.options = &option;
    options.option_count = option ? 1 : 0;
    return key_of_cuda(text, &options);
}

START_TEST(test_folder_of_the_name) {
    static const char *const NAMING[] = {"const char *f = __FILE__;", "f(__builtin_FILE());",
                                         "assert(x);", "std::source_location l;",
                                         "#define P(a, b) a##b"};
    static const char *const OPTIONS[] = {"-G", "-lineinfo", "-dlto", "-optix-ir"};

    ck_assert(same(named(SOURCE, "/a/k.cu", NULL), named(SOURCE, "b/k.cu", NULL)));
    ck_assert(!same(named(SOURCE, "/a/k.cu", NULL), named(SOURCE, "/a/l.cu", NULL)));
    ck_assert(same(named(SOURCE, NULL, NULL), named(SOURCE, "", NULL)));
    for (size_t i = 0; i < 5; i++)
        ck_assert(!same(named(NAMING[i], "/a/k.cu", NULL), named(NAMING[i], "/b/k.cu", NULL)));
    for (size_t i = 0; i < 4; i++)
        ck_assert(
            !same(named(SOURCE, "/a/k.cu", OPTIONS[i]), named(SOURCE, "/b/k.cu", OPTIONS[i])));
}
END_TEST

START_TEST(test_debug_info_holds_folder_and_stamps) {
    char *file = path_in(scratch_dir(), "k.cu");
    struct cubby_key plain = named(SOURCE, file, NULL), debug;

    debug = named(SOURCE, file, "-lineinfo");
    write_file(file, SOURCE, strlen(SOURCE));
    ck_assert(!same(debug, named(SOURCE, file, "-lineinfo")));
    ck_assert(same(plain, named(SOURCE, file, NULL)));
    debug = named(SOURCE, "k.cu", "-G");
    plain = named(SOURCE, "k.cu", NULL);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert(!same(debug, named(SOURCE, "k.cu", "-G")));
    ck_assert(same(plain, named(SOURCE, "k.cu", NULL)));
    free(file);
}
END_TEST

/* The compiler stamps what bears the name of an in-memory header, though it does not read it. */
START_TEST(test_debug_info_holds_stamps_of_headers) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    char *file = path_in(scratch_dir(), "mem.h");
    struct cubby_header header = {file, "int a;", 6};
    const char *option = "-lineinfo";
    struct cubby_key plain, debug;

    options.headers = &header;
    options.header_count = 1;
    options.options = &option;
    plain = key_of_cuda(SOURCE, &options);
    options.option_count = 1;
    debug = key_of_cuda(SOURCE, &options);
    write_file(file, "x", 1);
    ck_assert(!same(debug, key_of_cuda(SOURCE, &options)));
    options.option_count = 0;
    ck_assert(same(plain, key_of_cuda(SOURCE, &options)));
    free(file);
}
END_TEST

/* ---- Schema and version ------------------------------------------------------------------ */

/* The key of one field less one, by hand: "schema" alone differs between the two. */
static struct cubby_key by_hand(const char *schema) {
    struct cubby_key source, key;
    struct digest digest;

    digest_bytes(SOURCE, strlen(SOURCE), &source);
    digest_init(&digest, "cubby key v1");
    digest_field(&digest, 1, schema, strlen(schema));
    digest_field(&digest, 2, "tools one", 9);
    digest_field(&digest, 3, "cuda", 4);
    digest_field(&digest, 4, "cubin", 5);
    digest_field(&digest, 5, source.bytes, sizeof(source.bytes));
    digest_field(&digest, 12, "default_program", 15);
    digest_result(&digest, &key);
    return key;
}

START_TEST(test_schema_changes_every_key) {
    ck_assert(same(key_of_cuda(SOURCE, NULL), by_hand("1")));
    ck_assert(!same(key_of_cuda(SOURCE, NULL), by_hand("2")));
}
END_TEST

static void look_for_version(const char *name, const char *value, void *context) {
    *(unsigned *)context += 1;
    ck_assert_msg(!strstr(value, PACKAGE_VERSION), "%s holds Cubby's version: %s", name, value);
}

START_TEST(test_version_of_cubby_does_not_count) {
    struct cubby_program *program = cuda_program(SOURCE, NULL);
    unsigned fields = 0;

    key_explain(program, &TOOLS, look_for_version, &fields);
    ck_assert_uint_ge(fields, 6);
    cubby_program_unref(program);
}
END_TEST

/* ---- The driver -------------------------------------------------------------------------- */

static struct cubby_key key_of_kind(enum cubby_source source, enum cubby_target target,
                                    const char *text) {
    return key_in_child(program_with(source, target, text, NULL));
}

START_TEST(test_driver_never_counts_for_nvrtc_and_nvvm) {
    struct cubby_key cuda = key_of_kind(CUBBY_SOURCE_CUDA, CUBBY_TARGET_CUBIN, SOURCE);
    struct cubby_key nvvm = key_of_kind(CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, IR);
    static const char *const VERSIONS[] = {"13000", "12080", "11080"};

    for (size_t i = 0; i < 3; i++) {
        use_driver(VERSIONS[i]);
        ck_assert(same(cuda, key_of_kind(CUBBY_SOURCE_CUDA, CUBBY_TARGET_CUBIN, SOURCE)));
        ck_assert(same(nvvm, key_of_kind(CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, IR)));
    }
    hide_nvjitlink(); /* nor does it matter which linker there is */
    ck_assert(same(cuda, key_of_kind(CUBBY_SOURCE_CUDA, CUBBY_TARGET_CUBIN, SOURCE)));
    ck_assert(same(nvvm, key_of_kind(CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, IR)));
}
END_TEST

/* ---- Probes that failed ------------------------------------------------------------------ */

START_TEST(test_failed_probes_differ_by_tool) {
    struct cubby_program *ptx = ptx_with(NULL);
    struct cubby_program *nvvm = program_with(CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, IR, NULL);
    char linker[200] = "", compiler[200] = "";

    hide_nvjitlink();
    setenv("CUBBY_NVVM", "/no/such/libnvvm.so", 1);
    toolchain_of(ptx, linker);
    toolchain_of(nvvm, compiler);
    ck_assert_ptr_nonnull(strstr(linker, "nvjitlink_probe_failed"));
    ck_assert_ptr_nonnull(strstr(compiler, "nvvm_probe_failed"));
    cubby_program_unref(ptx);
    cubby_program_unref(nvvm);
}
END_TEST

/* ---- Folders of headers ------------------------------------------------------------------ */

static struct cubby_key key_of_reader(const char *one, const char *two) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *strings[] = {one, two};

    options.options = strings;
    options.option_count = two ? 2 : 1;
    return key_of_cuda("#include <a.h>\n", &options);
}

START_TEST(test_order_of_include_dirs_counts) {
    ck_assert(!same(key_of_reader("-Ia", "-Ib"), key_of_reader("-Ib", "-Ia")));
    ck_assert(!same(key_of_reader("-Ia", NULL), key_of_reader("-Ia", "-Ib")));
    ck_assert(same(key_of_reader("-Ia", NULL), key_of_reader("--include-path=a", NULL)));
    ck_assert(same(key_of_reader("-Ia", NULL), key_of_reader("-I", "a")));
}
END_TEST

/* NVRTC asks neither for folders of headers. */
START_TEST(test_folders_in_the_environment_do_not_count) {
    struct cubby_key key = key_of_reader("-Ia", NULL);

    setenv("CPATH", "/elsewhere", 1);
    setenv("CUDA_HOME", "/elsewhere", 1);
    ck_assert(same(key, key_of_reader("-Ia", NULL)));
}
END_TEST

/* ---- What debug information holds -------------------------------------------------------- */

START_TEST(test_debug_info_holds_pwd) {
    struct cubby_key debug, plain;

    setenv("PWD", "/one", 1);
    debug = key_with("-lineinfo", NULL, NULL);
    plain = key_with(NULL, NULL, NULL);
    setenv("PWD", "/two", 1);
    ck_assert(!same(debug, key_with("-lineinfo", NULL, NULL)));
    ck_assert(same(plain, key_with(NULL, NULL, NULL)));
}
END_TEST

START_TEST(test_ltoir_holds_name_and_folder) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_key key;

    options.target = CUBBY_TARGET_LTOIR;
    options.name = "a/k.cu";
    key = key_of_cuda(SOURCE, &options);
    options.name = "b/k.cu";
    ck_assert(!same(key, key_of_cuda(SOURCE, &options)));
    key = key_of_cuda(SOURCE, &options);
    ck_assert_int_eq(chdir(scratch_dir()), 0);
    ck_assert(!same(key, key_of_cuda(SOURCE, &options)));
}
END_TEST

/* ---- What the compiler is told ----------------------------------------------------------- */

/* The double's object is what it was told; the seed in it. */
static void seed_of(const char *text, char seed[100]) {
    char *told = compiled(program_with(CUBBY_SOURCE_CUDA, CUBBY_TARGET_CUBIN, text, NULL));
    const char *found = strstr(told, "--frandom-seed=");

    ck_assert_ptr_nonnull(found);
    snprintf(seed, 100, "%.*s", (int)strcspn(found, ";"), found);
    free(told);
}

START_TEST(test_seed_follows_the_key) {
    char one[100], again[100], other[100];

    seed_of("one", one);
    seed_of("one", again);
    seed_of("other", other);
    ck_assert_str_eq(one, again);
    ck_assert_str_ne(one, other);
}
END_TEST

START_TEST(test_front_end_options_are_bypassed) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *strings[] = {"-Xcudafe", "--anything"};
    struct cubby_program *program;

    options.options = strings;
    options.option_count = 2;
    program = cuda_program(SOURCE, &options);
    ck_assert_ptr_nonnull(strstr(cubby_program_uncacheable(program), "front end"));
    cubby_program_unref(program);
}
END_TEST

/* ---- Sources ----------------------------------------------------------------------------- */

static void keep_warning(enum cubby_log_level level, const char *message, void *context) {
    if (level == CUBBY_LOG_WARN)
        snprintf(context, 200, "%s", message);
}

START_TEST(test_invalid_utf8_is_accepted_with_a_warning) {
    char warning[200] = "";
    struct cubby_program *program;

    cubby_log_set(keep_warning, CUBBY_LOG_WARN, warning);
    program = cuda_program("// \xc3\xa4\n", NULL);
    ck_assert_str_eq(warning, "");
    cubby_program_unref(program);
    program = cuda_program("// \xff\n", NULL);
    ck_assert_ptr_nonnull(strstr(warning, "UTF-8"));
    cubby_log_set(NULL, CUBBY_LOG_WARN, NULL);
    cubby_program_unref(program);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("key rules");
    TCase *tcase = add_case(suite, "all");

    tcase_add_test(tcase, test_toolchain_counts);
    tcase_add_test(tcase, test_environment_counts);
    tcase_add_test(tcase, test_order_and_repetition_of_names);
    tcase_add_test(tcase, test_order_of_headers);
    tcase_add_test(tcase, test_spellings_fold);
    tcase_add_test(tcase, test_unequal_stays_unequal);
    tcase_add_test(tcase, test_neutral_options);
    tcase_add_test(tcase, test_side_effects_are_refused);
    tcase_add_test(tcase, test_bypassed_options);
    tcase_add_test(tcase, test_include_dirs_count_only_where_they_can);
    tcase_add_test(tcase, test_ptx_of_sm_is_that_of_compute);
    tcase_add_test(tcase, test_folder_of_the_name);
    tcase_add_test(tcase, test_debug_info_holds_folder_and_stamps);
    tcase_add_test(tcase, test_debug_info_holds_stamps_of_headers);
    tcase_add_test(tcase, test_schema_changes_every_key);
    tcase_add_test(tcase, test_version_of_cubby_does_not_count);
    tcase_add_test(tcase, test_driver_never_counts_for_nvrtc_and_nvvm);
    tcase_add_test(tcase, test_failed_probes_differ_by_tool);
    tcase_add_test(tcase, test_order_of_include_dirs_counts);
    tcase_add_test(tcase, test_folders_in_the_environment_do_not_count);
    tcase_add_test(tcase, test_debug_info_holds_pwd);
    tcase_add_test(tcase, test_ltoir_holds_name_and_folder);
    tcase_add_test(tcase, test_seed_follows_the_key);
    tcase_add_test(tcase, test_front_end_options_are_bypassed);
    tcase_add_test(tcase, test_invalid_utf8_is_accepted_with_a_warning);
    return run_suite(suite);
}
