/* SPDX-License-Identifier: Apache-2.0 */
/* PTX and links with doubles of nvJitLink and of the driver: which of them is used, what it is
 * told, what counts in the key, what is made of its failures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "key/linker.h"
#include "linker_help.h"
#include "os/dl.h"

/* ---- Which linker ------------------------------------------------------------------------ */

static const struct {
    struct linker_facts facts;
    enum cubby_tool tool;
} CHOICES[] = {
    {{true, 13, 0, false, 0}, CUBBY_TOOL_NVJITLINK}, /* unknown driver */
    {{true, 13, 0, true, 13}, CUBBY_TOOL_NVJITLINK},
    {{true, 13, 0, true, 12}, CUBBY_TOOL_DRIVER}, /* another major version, either way */
    {{true, 12, 9, true, 13}, CUBBY_TOOL_DRIVER},
    {{true, 12, 3, true, 12}, CUBBY_TOOL_NVJITLINK}, /* the oldest that will do */
    {{true, 12, 2, true, 12}, CUBBY_TOOL_DRIVER},
    {{true, 12, 2, false, 0}, CUBBY_TOOL_DRIVER},
    {{true, 11, 8, true, 11}, CUBBY_TOOL_DRIVER},
    {{false, 0, 0, true, 13}, CUBBY_TOOL_DRIVER},
    {{false, 0, 0, false, 0}, CUBBY_TOOL_DRIVER},
};

START_TEST(test_choice) {
    ck_assert_int_eq(linker_choose(&CHOICES[_i].facts), CHOICES[_i].tool);
}
END_TEST

START_TEST(test_tool_in_the_key) {
    struct cubby_program *program = ptx_with(NULL);
    char field[200] = "";

    toolchain_of(program, field);
    ck_assert_int_eq(strncmp(field, "nvjitlink 13.0 build-id:", 24), 0);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_driver_in_the_key) {
    struct cubby_program *program = ptx_with(NULL);
    char field[200] = "";

    use_driver("12080");
    toolchain_of(program, field);
    ck_assert_int_eq(strncmp(field, "driver 12.8 build-id:", 21), 0);
    cubby_program_unref(program);
}
END_TEST

/* The driver counts where it generates the code, and nowhere else. */
START_TEST(test_driver_version) {
    struct cubby_key with_none = key_in_child(ptx_with(NULL)), with_13, with_13_1, with_12;

    use_driver("13000");
    with_13 = key_in_child(ptx_with(NULL));
    use_driver("13010");
    with_13_1 = key_in_child(ptx_with(NULL));
    use_driver("12080");
    with_12 = key_in_child(ptx_with(NULL));
    ck_assert(same(with_none, with_13));
    ck_assert(same(with_none, with_13_1));
    ck_assert(!same(with_none, with_12));
    hide_nvjitlink();
    with_12 = key_in_child(ptx_with(NULL));
    use_driver("12090");
    ck_assert(!same(with_12, key_in_child(ptx_with(NULL))));
}
END_TEST

START_TEST(test_failed_probe) {
    struct cubby_key working = key_in_child(ptx_with(NULL)), failed;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = ptx_with(NULL);
    struct cubby_object *object;
    char field[200] = "";

    hide_nvjitlink();
    failed = key_in_child(ptx_with(NULL));
    ck_assert(!same(working, failed));
    ck_assert(same(failed, key_in_child(ptx_with(NULL))));
    toolchain_of(program, field);
    ck_assert_str_eq(field, "nvjitlink_probe_failed -3");
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error),
                     CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(error.message, "/no/such/libnvJitLink.so"));
    cubby_error_clear(&error);
    cubby_program_unref(program);
    /* The toolkit's stub is no driver. */
    setenv("FAKE_CULINK_STUB", "1", 1);
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_culink.so", 1);
    ck_assert(same(failed, key_in_child(ptx_with(NULL))));
}
END_TEST

START_TEST(test_stub_is_no_driver) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_tool_info info;

    setenv("FAKE_CULINK_STUB", "1", 1);
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_culink.so", 1);
    ck_assert_int_eq(cubby_tool_find(NULL, CUBBY_TOOL_DRIVER, &info, &error), CUBBY_ERR_NO_DRIVER);
    ck_assert_int_eq(error.tool_error, 34);
    ck_assert_ptr_nonnull(strstr(error.message, "stub"));
}
END_TEST

START_TEST(test_old_nvjitlink) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_tool_info info;

    /* 12.2 and older do not tell their version. */
    setenv("CUBBY_NVJITLINK", TEST_DOUBLES "/fake_nvvm.so", 1);
    ck_assert_int_eq(cubby_tool_find(NULL, CUBBY_TOOL_NVJITLINK, &info, &error),
                     CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(error.message, "12.3 or newer"));
    ck_assert_ptr_nonnull(strstr(error.message, "CUBBY_NVJITLINK"));
    cubby_error_clear(&error);
    ck_assert_int_eq(cubby_tool_find(NULL, (enum cubby_tool)9, &info, &error), CUBBY_ERR_INVALID);
}
END_TEST

START_TEST(test_fingerprint_is_remembered) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_tool_info first, second;
    struct cubby_cache *cache;
    char *spec;
    char path[PATH_MAX];
    pid_t child;
    int status;

    make_libdevice("BC one");
    sleep(3); /* stamps younger than two seconds are not remembered */
    ck_assert_int_gt(asprintf(&spec, "file:%s/store", scratch_dir()), 0);
    child = fork();
    if (child == 0) {
        if (cubby_cache_open(spec, &cache, NULL) != 0 ||
            cubby_tool_find(cache, CUBBY_TOOL_NVVM, &first, NULL) != 0)
            _exit(1);
        cubby_cache_unref(cache);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    ck_ok(cubby_tool_find(cache, CUBBY_TOOL_NVVM, &second, &error), &error);
    ck_assert(!dl_loaded_path("libnvvm.so", path)); /* it was not even loaded */
    ck_assert_int_eq(strncmp(second.fingerprint, "nvvm 2.0 build-id:", 18), 0);
    ck_assert_ptr_nonnull(strstr(second.companion_path, "nvvm/libdevice/libdevice.10.bc"));
    cubby_tool_info_clear(&second);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

/* ---- What nvJitLink is told -------------------------------------------------------------- */

START_TEST(test_ptx_options) {
    char *text = compiled(ptx_with("-maxrregcount=32"));

    ck_assert_str_eq(text, "--no-cache;-arch=sm_90;-maxrregcount=32;input 2 28;");
    free(text);
    text = compiled(program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_PTX, PTX, NULL));
    ck_assert_str_eq(text, "--no-cache;-arch=sm_90;-lto;-ptx;input 2 28;");
    free(text);
}
END_TEST

START_TEST(test_link_options) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    const char *mixed[] = {LTOIR, PTX}, *lto[] = {LTOIR};
    char *text = linked(link_of(mixed, 2, NULL));

    ck_assert_str_eq(text, "--no-cache;-arch=sm_90;-lto;input 3 9;input 2 28;");
    free(text);
    options.arch = "sm_90";
    options.target = CUBBY_TARGET_PTX;
    text = linked(link_of(lto, 1, &options));
    ck_assert_str_eq(text, "--no-cache;-arch=compute_90;-lto;-ptx;input 3 9;");
    free(text);
}
END_TEST

START_TEST(test_object_of_a_link) {
    const char *texts[] = {PTX};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_link *link = link_of(texts, 1, NULL);
    struct cubby_object_info info;
    struct cubby_object *object;
    struct cubby_outcome outcome;
    struct cubby_cache *cache;
    char *spec;

    ck_assert_int_gt(asprintf(&spec, "memory,file:%s/store", scratch_dir()), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    for (int i = 0; i < 2; i++) {
        ck_ok(cubby_link_run(cache, link, 0, &object, &outcome, &error), &error);
        ck_assert_int_eq(outcome.kind, i == 0 ? CUBBY_OUTCOME_COMPILED : CUBBY_OUTCOME_HIT);
        cubby_object_info(object, &info);
        ck_assert_str_eq(info.toolchain, "nvJitLink 13.0");
        ck_assert_str_eq(info.target, "cubin");
        ck_assert_str_eq(cubby_object_log(object), "fake info\n");
        cubby_object_unref(object);
    }
    cubby_link_unref(cubby_link_ref(link));
    ck_assert_ptr_null(cubby_link_uncacheable(link));
    cubby_link_unref(link);
    cubby_link_unref(NULL);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

/* The log of nvJitLink stays as it is, though the name of the link is in it. */
START_TEST(test_name_of_a_link) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    static const char *const NAMES[] = {"fake", "other"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    const char *texts[] = {PTX};
    struct cubby_cache *cache;
    struct cubby_object *object;

    options.arch = "sm_90";
    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
    for (int i = 0; i < 2; i++) {
        struct cubby_outcome outcome;
        struct cubby_link *link;

        options.name = NAMES[i];
        link = link_of(texts, 1, &options);
        ck_ok(cubby_link_run(cache, link, 0, &object, &outcome, &error), &error);
        ck_assert_int_eq(outcome.kind, i == 0 ? CUBBY_OUTCOME_COMPILED : CUBBY_OUTCOME_HIT);
        ck_assert_str_eq(cubby_object_log(object), "fake info\n");
        cubby_object_unref(object);
        cubby_link_unref(link);
    }
    cubby_cache_unref(cache);
}
END_TEST

static const struct {
    const char *text;
    int code;
    bool has_log;
} FAILURES[] = {
    {PTX "FAKE_ERROR_4", CUBBY_ERR_COMPILE, true},
    {PTX "FAKE_ERROR_1", CUBBY_ERR_COMPILE, true},
    {PTX "FAKE_ERROR_6", CUBBY_ERR_COMPILE, true}, /* an undefined symbol */
    {PTX "FAKE_SILENT_6", CUBBY_ERR_NO_TOOLCHAIN, false},
    {PTX "FAKE_ERROR_7", CUBBY_ERR_NO_TOOLCHAIN, true},
    {PTX "FAKE_SILENT_2", CUBBY_ERR_INVALID, false},
    {PTX "FAKE_SILENT_14", CUBBY_ERR_UNSUPPORTED, false},
    {PTX "FAKE_SILENT_99", CUBBY_ERR_COMPILE, false},
};

START_TEST(test_failures) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program =
        program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, FAILURES[_i].text, NULL);
    struct cubby_object *object = NULL;

    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error), FAILURES[_i].code);
    ck_assert_ptr_null(object);
    ck_assert_int_eq(error.tool_error, atoi(strrchr(FAILURES[_i].text, '_') + 1));
    ck_assert_str_eq(error.log, FAILURES[_i].has_log ? "fake linker error log\n" : "");
    cubby_error_clear(&error);
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, NULL), FAILURES[_i].code);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_refused_input) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    const struct cubby_link_input input = {CUBBY_INPUT_FATBIN, "refused", "text", 4};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    struct cubby_link *link;

    ck_ok(cubby_link_new(&input, 1, &options, &link, &error), &error);
    ck_assert_int_eq(cubby_link_run(NULL, link, 0, &object, NULL, &error), CUBBY_ERR_COMPILE);
    ck_assert_int_eq(error.tool_error, 8);
    cubby_error_clear(&error);
    cubby_link_unref(link);
}
END_TEST

/* ---- The driver's linker ----------------------------------------------------------------- */

static const struct {
    const char *option, *told;
} DRIVER_OPTIONS[] = {
    {NULL, "option 9=90;input 1 28 0;"},
    {"-maxrregcount=32", "option 9=90;option 0=32;input 1 28 0;"},
    {"-maxrregcount=016", "option 9=90;option 0=14;input 1 28 0;"},
    {"-O0", "option 9=90;option 7=0;input 1 28 0;"},
    {"-O3", "option 9=90;option 7=3;input 1 28 0;"},
    {"-g", "option 9=90;option 11=1;input 1 28 0;"},
    {"-lineinfo", "option 9=90;option 13=1;input 1 28 0;"},
    {"-verbose", "option 9=90;option 12=1;input 1 28 0;"},
    {"-arch=sm_100f", "option 9=131172;input 1 28 0;"}, /* the last one wins */
    {"-arch=sm_90a", "option 9=65626;input 1 28 0;"},
    {"-ftz=1", "option 9=90;input 1 28 0;"},
    {"--no-cache", "option 9=90;input 1 28 0;"},
};

START_TEST(test_driver_options) {
    char *text;

    hide_nvjitlink();
    use_driver("13000");
    text = compiled(ptx_with(DRIVER_OPTIONS[_i].option));
    ck_assert_str_eq(text, DRIVER_OPTIONS[_i].told);
    free(text);
}
END_TEST

static const char *const DRIVER_LACKS[] = {
    "-time",  "-Xptxas=-O1",   "-split-compile=2",         "-lto",
    "-bogus", "-Xnvvm=-opt=0", "-split-compile-extended=2"};

START_TEST(test_driver_lacks) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = ptx_with(DRIVER_LACKS[_i]);
    struct cubby_key key;

    hide_nvjitlink();
    use_driver("13000");
    ck_assert_int_eq(cubby_program_key(NULL, program, &key, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, DRIVER_LACKS[_i]));
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_driver_collapses) {
    ck_assert(!same_keys(ptx_with("-ftz=1"), ptx_with("-ftz=0")));
    hide_nvjitlink();
    use_driver("13000");
    ck_assert(same_keys(ptx_with("-ftz=1"), ptx_with(NULL)));
    ck_assert(same_keys(ptx_with("-prec-div=0"), ptx_with("-prec-sqrt=0")));
    ck_assert(same_keys(ptx_with("-fma=0"), ptx_with("-no-cache")));
    ck_assert(!same_keys(ptx_with("-maxrregcount=32"), ptx_with(NULL)));
}
END_TEST

START_TEST(test_driver_cannot) {
    const char *lto[] = {LTOIR};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_PTX, PTX, NULL);
    struct cubby_link *link = link_of(lto, 1, NULL);
    struct cubby_key key;

    hide_nvjitlink();
    use_driver("13000");
    ck_assert_int_eq(cubby_link_key(NULL, link, &key, &error), CUBBY_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "LTO-IR"));
    cubby_error_clear(&error);
    ck_assert_int_eq(cubby_program_key(NULL, program, &key, &error), CUBBY_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "PTX"));
    cubby_error_clear(&error);
    cubby_link_unref(link);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_driver_needs_an_architecture) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    static const char *const ARCHS[] = {NULL, "compute_90", "sm_", "sm_90x"};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct cubby_object *object;

    hide_nvjitlink();
    use_driver("13000");
    options.source = CUBBY_SOURCE_PTX;
    for (size_t i = 0; i < 4; i++) {
        options.arch = ARCHS[i];
        ck_ok(cubby_program_new(PTX, strlen(PTX), &options, &program, &error), &error);
        ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error), CUBBY_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(error.message, "architecture"));
        cubby_error_clear(&error);
        cubby_program_unref(program);
    }
}
END_TEST

static const struct {
    const char *text;
    int code;
} DRIVER_FAILURES[] = {{PTX "FAKE_ERROR_218", CUBBY_ERR_COMPILE},
                       {PTX "FAKE_ERROR_2", CUBBY_ERR_NO_MEMORY},
                       {PTX "FAKE_ERROR_221", CUBBY_ERR_NO_DRIVER}};

START_TEST(test_driver_failures) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program =
        program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, DRIVER_FAILURES[_i].text, NULL);
    char *trace = path_in(scratch_dir(), "trace"), *traced;
    struct cubby_object *object;
    size_t size;

    hide_nvjitlink();
    use_driver("13000");
    setenv("FAKE_CULINK_TRACE", trace, 1);
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error),
                     DRIVER_FAILURES[_i].code);
    if (DRIVER_FAILURES[_i].code == CUBBY_ERR_COMPILE)
        ck_assert_str_eq(error.log, "fake driver error log\n");
    cubby_error_clear(&error);
    /* What was taken is given back after a failure, too. */
    traced = read_whole(trace, &size);
    ck_assert_str_eq(traced, "retain push create destroy pop release ");
    free(traced);
    free(trace);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_current_context) {
    char *trace = path_in(scratch_dir(), "trace"), *traced;
    size_t size;

    hide_nvjitlink();
    use_driver("13000");
    setenv("FAKE_CULINK_TRACE", trace, 1);
    setenv("FAKE_CULINK_CURRENT", "1", 1);
    free(compiled(ptx_with(NULL)));
    traced = read_whole(trace, &size);
    ck_assert_str_eq(traced, "create destroy ");
    free(traced);
    free(trace);
}
END_TEST

/* ---- Keys of PTX and links --------------------------------------------------------------- */

START_TEST(test_folded_options) {
    ck_assert(same_keys(ptx_with("-lto"), ptx_with("-dlto")));
    ck_assert(same_keys(ptx_with("-time"), ptx_with("-time=x")));
    ck_assert(same_keys(ptx_with("-no-cache"), ptx_with(NULL)));
    ck_assert(same_keys(ptx_with("--no-cache=1"), ptx_with(NULL)));
    ck_assert(!same_keys(ptx_with("-time"), ptx_with(NULL)));
    ck_assert(!same_keys(ptx_with("-maxrregcount=0"), ptx_with(NULL)));
    ck_assert(!same_keys(ptx_with("-maxrregcount=16"), ptx_with("-maxrregcount=016")));
    ck_assert(!same_keys(ptx_with("-g"), ptx_with("-g "))); /* the latter is refused */
    ck_assert(!same_keys(ptx_with("-Xptxas=-O1"), ptx_with("-Xptxas=-O3")));
    ck_assert(
        same_keys(program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, PTX, NULL), ptx_with(NULL)));
}
END_TEST

START_TEST(test_options_file_is_not_kept) {
    struct cubby_program *program = ptx_with("-Xptxas=--options-file=f");

    ck_assert_ptr_nonnull(strstr(cubby_program_uncacheable(program), "what a file says"));
    cubby_program_unref(program);
    program = ptx_with("-Xptxas=-O1");
    ck_assert_ptr_null(cubby_program_uncacheable(program));
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_link_keys) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    const char *there[] = {PTX "1", PTX "2"}, *back[] = {PTX "2", PTX "1"}, *lto[] = {LTOIR};
    const char *implied = "-lto";
    struct cubby_link_input input = {CUBBY_INPUT_PTX, "name", PTX "1", strlen(PTX "1")};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = link_key(link_of(there, 1, NULL));
    struct cubby_link *link;

    ck_assert(!same(link_key(link_of(there, 2, NULL)), link_key(link_of(back, 2, NULL))));
    ck_assert(!same(link_key(link_of(there, 2, NULL)), key));
    /* Neither a name, nor saying the form, nor a NUL behind PTX changes anything. */
    options.arch = "sm_90";
    input.size++;
    ck_ok(cubby_link_new(&input, 1, &options, &link, &error), &error);
    ck_assert(same(link_key(link), key));
    /* A link of PTX is not the program of the same PTX. */
    ck_assert(!same(
        key, key_in_child(program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, PTX "1", NULL))));
    /* -lto is said for LTO-IR anyway. */
    options.options = &implied;
    options.option_count = 1;
    ck_assert(same(link_key(link_of(lto, 1, NULL)), link_key(link_of(lto, 1, &options))));
    ck_assert(!same(key, link_key(link_of(there, 1, &options))));
}
END_TEST

START_TEST(test_environment) {
    struct cubby_key plain = key_in_child(ptx_with(NULL));

    setenv("NV_NVVM_VERSION", "nvvm-latest", 1);
    ck_assert(!same(plain, key_in_child(ptx_with(NULL))));
    unsetenv("NV_NVVM_VERSION");
    setenv("NVRTC_APPEND_FLAGS", "-DX", 1); /* no business of nvJitLink's */
    ck_assert(same(plain, key_in_child(ptx_with(NULL))));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("linkers");
    TCase *tools = add_case(suite, "tools"), *linking = add_case(suite, "nvjitlink");
    TCase *driver = add_case(suite, "driver");

    tcase_add_loop_test(tools, test_choice, 0, COUNT(CHOICES));
    tcase_add_test(tools, test_tool_in_the_key);
    tcase_add_test(tools, test_driver_in_the_key);
    tcase_add_test(tools, test_driver_version);
    tcase_add_test(tools, test_failed_probe);
    tcase_add_test(tools, test_stub_is_no_driver);
    tcase_add_test(tools, test_old_nvjitlink);
    tcase_add_test(tools, test_fingerprint_is_remembered);
    tcase_add_test(linking, test_ptx_options);
    tcase_add_test(linking, test_link_options);
    tcase_add_test(linking, test_object_of_a_link);
    tcase_add_test(linking, test_name_of_a_link);
    tcase_add_loop_test(linking, test_failures, 0, COUNT(FAILURES));
    tcase_add_test(linking, test_refused_input);
    tcase_add_test(linking, test_folded_options);
    tcase_add_test(linking, test_options_file_is_not_kept);
    tcase_add_test(linking, test_link_keys);
    tcase_add_test(linking, test_environment);
    tcase_add_loop_test(driver, test_driver_options, 0, COUNT(DRIVER_OPTIONS));
    tcase_add_loop_test(driver, test_driver_lacks, 0, COUNT(DRIVER_LACKS));
    tcase_add_test(driver, test_driver_collapses);
    tcase_add_test(driver, test_driver_cannot);
    tcase_add_test(driver, test_driver_needs_an_architecture);
    tcase_add_loop_test(driver, test_driver_failures, 0, COUNT(DRIVER_FAILURES));
    tcase_add_test(driver, test_current_context);
    return run_suite(suite);
}
