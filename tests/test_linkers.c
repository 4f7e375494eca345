/* SPDX-License-Identifier: Apache-2.0 */
/* PTX, NVVM IR and links with doubles of their tools: which tool is used, what it is told, what
 * counts in the key, what is made of its failures. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "key/linker.h"
#include "os/dl.h"
#include "toolkit.h"

#define PTX ".version 7.0\n.target sm_70\n"
#define LTOIR "\xed\x43\x4e\x7f some"
#define IR "target triple = \"nvptx64-nvidia-cuda\"\n"

static char *cuda_home;

/* Each test runs in a process of its own, with doubles of all tools but no driver. */
static void setup(void) {
    cuda_home = path_in(scratch_dir(), "cuda");
    toolkit_make(cuda_home, 1);
    toolkit_add(cuda_home, "fake_nvjitlink", "libnvJitLink.so.13");
    toolkit_add(cuda_home, "fake_nvvm", "libnvvm.so.4");
    toolkit_use(cuda_home);
    unsetenv("CUBBY_NVJITLINK");
    unsetenv("CUBBY_NVVM");
    setenv("CUBBY_CUDA", "/no/such/libcuda.so.1", 1);
}

static void teardown(void) {
    free(cuda_home);
}

/* A driver of that CUDA version, such as "12080". */
static void use_driver(const char *version) {
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_cuda.so", 1);
    setenv("FAKE_CUDA_VERSION", version, 1);
}

static void hide_nvjitlink(void) {
    setenv("CUBBY_NVJITLINK", "/no/such/libnvJitLink.so", 1);
}

static void make_libdevice(const char *text) {
    char *nvvm = path_in(cuda_home, "nvvm"), *folder = path_in(nvvm, "libdevice");
    char *file = path_in(folder, "libdevice.10.bc"), *command;

    ck_assert_int_gt(asprintf(&command, "mkdir -p '%s'", folder), 0);
    ck_assert_int_eq(system(command), 0);
    write_file(file, text, strlen(text));
    free(command);
    free(file);
    free(folder);
    free(nvvm);
}

/* ---- Short hands ------------------------------------------------------------------------- */

static struct cubby_program *program_with(enum cubby_source source, enum cubby_target target,
                                          const char *text, const char *option) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    options.source = source;
    options.target = target;
    options.arch = "sm_90";
    options.options = &option;
    options.option_count = option ? 1 : 0;
    ck_ok(cubby_program_new(text, strlen(text), &options, &program, &error), &error);
    return program;
}

static struct cubby_program *ptx_with(const char *option) {
    return program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, PTX, option);
}

/* Links texts of which each is one input. */
static struct cubby_link *link_of(const char *const *texts, size_t count,
                                  const struct cubby_link_options *given) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    struct cubby_link_input inputs[4] = {{CUBBY_INPUT_ANY, NULL, NULL, 0}};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_link *link;

    options.arch = "sm_90";
    for (size_t i = 0; i < count; i++) {
        inputs[i].name = "input";
        inputs[i].data = texts[i];
        inputs[i].size = strlen(texts[i]);
    }
    ck_ok(cubby_link_new(inputs, count, given ? given : &options, &link, &error), &error);
    return link;
}

/* The double's object, which is what it was told; new text. Releases the program. */
static char *compiled(struct cubby_program *program) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    char *text;

    ck_ok(cubby_compile(NULL, program, 0, &object, NULL, &error), &error);
    text = strndup(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    cubby_program_unref(program);
    return text;
}

static char *linked(struct cubby_link *link) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    char *text;

    ck_ok(cubby_link_run(NULL, link, 0, &object, NULL, &error), &error);
    text = strndup(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    cubby_link_unref(link);
    return text;
}

/* The key in a process of its own, which finds its tools anew. Releases the program. */
static struct cubby_key key_in_child(struct cubby_program *program) {
    struct cubby_key key;
    int pipes[2];
    pid_t child;

    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        bool fine = cubby_program_key(NULL, program, &key, NULL) == 0 &&
                    write(pipes[1], &key, sizeof(key)) == (ssize_t)sizeof(key);

        _exit(fine ? 0 : 1);
    }
    close(pipes[1]);
    ck_assert_int_eq(read(pipes[0], &key, sizeof(key)), (ssize_t)sizeof(key));
    close(pipes[0]);
    cubby_program_unref(program);
    return key;
}

static bool same(struct cubby_key left, struct cubby_key right) {
    return memcmp(&left, &right, sizeof(left)) == 0;
}

static bool same_keys(struct cubby_program *left, struct cubby_program *right) {
    return same(key_in_child(left), key_in_child(right));
}

static struct cubby_key link_key(struct cubby_link *link) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key;

    ck_ok(cubby_link_key(NULL, link, &key, &error), &error);
    cubby_link_unref(link);
    return key;
}

static void keep_toolchain(const char *name, const char *value, void *context) {
    if (strcmp(name, "toolchain") == 0)
        snprintf(context, 200, "%s", value);
}

/* The toolchain field of a program's key. */
static void toolchain_of(struct cubby_program *program, char field[200]) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_program_explain(NULL, program, keep_toolchain, field, &error), &error);
}

/* ---- Which linker -------------------------------------------------------------------------- */

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
    setenv("FAKE_CUDA_STUB", "1", 1);
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_cuda.so", 1);
    ck_assert(same(failed, key_in_child(ptx_with(NULL))));
}
END_TEST

START_TEST(test_stub_is_no_driver) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_tool_info info;

    setenv("FAKE_CUDA_STUB", "1", 1);
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_cuda.so", 1);
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
    ck_assert_ptr_null(dl_loaded_path("libnvvm.so")); /* it was not even loaded */
    ck_assert_int_eq(strncmp(second.fingerprint, "nvvm 2.0 build-id:", 18), 0);
    ck_assert_ptr_nonnull(strstr(second.companion_path, "nvvm/libdevice/libdevice.10.bc"));
    cubby_tool_info_clear(&second);
    cubby_cache_unref(cache);
    free(spec);
}
END_TEST

/* ---- What nvJitLink is told ------------------------------------------------------------------ */

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

/* ---- The driver's linker -----------------------------------------------------------------------
 */

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
    setenv("FAKE_CUDA_TRACE", trace, 1);
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
    setenv("FAKE_CUDA_TRACE", trace, 1);
    setenv("FAKE_CUDA_CURRENT", "1", 1);
    free(compiled(ptx_with(NULL)));
    traced = read_whole(trace, &size);
    ck_assert_str_eq(traced, "create destroy ");
    free(traced);
    free(trace);
}
END_TEST

/* ---- libNVVM ------------------------------------------------------------------------------------
 */

/* A program of NVVM IR with two further modules, as the options say. */
static struct cubby_program *nvvm_with(const char *first, const char *second, bool libdevice,
                                       enum cubby_target target, const char *name) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const struct cubby_extra_source extra[] = {{"first", first, strlen(first)},
                                               {NULL, second, second ? strlen(second) : 0}};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    options.source = CUBBY_SOURCE_NVVM;
    options.target = target;
    options.name = name;
    options.arch = "sm_90";
    options.extra_sources = extra;
    options.extra_source_count = second ? 2 : 1;
    options.use_libdevice = libdevice;
    ck_ok(cubby_program_new(IR, strlen(IR), &options, &program, &error), &error);
    return program;
}

START_TEST(test_nvvm_modules) {
    char *text;

    make_libdevice("BC one");
    text = compiled(nvvm_with("a", "bc", true, CUBBY_TARGET_PTX, "k.ll"));
    ck_assert_str_eq(text, "module k.ll 38;module first 1;module - 2;lazy libdevice 6;verified;"
                           "-arch=compute_90;");
    free(text);
    text = compiled(nvvm_with("a", NULL, false, CUBBY_TARGET_LTOIR, "k.ll"));
    ck_assert_str_eq(text, "module k.ll 38;module first 1;verified;-arch=compute_90;-gen-lto;");
    free(text);
}
END_TEST

START_TEST(test_nvvm_keys) {
    const enum cubby_target ptx = CUBBY_TARGET_PTX, ltoir = CUBBY_TARGET_LTOIR;
    struct cubby_key one, two;

    make_libdevice("BC one");
    ck_assert(
        same_keys(nvvm_with("a", "b", false, ptx, "k"), nvvm_with("a", "b", false, ptx, "k")));
    ck_assert(!same_keys(nvvm_with("a", "b", false, ptx, "k"),
                         nvvm_with("b", "a", false, ptx, "k"))); /* order */
    ck_assert(!same_keys(nvvm_with("a", "a", false, ptx, "k"),
                         nvvm_with("a", NULL, false, ptx, "k"))); /* count */
    ck_assert(
        !same_keys(nvvm_with("a", NULL, true, ptx, "k"), nvvm_with("a", NULL, false, ptx, "k")));
    /* LTO-IR holds the name of the first module, PTX does not. */
    ck_assert(same_keys(nvvm_with("a", NULL, false, ptx, "k"),
                        nvvm_with("a", NULL, false, ptx, "other")));
    ck_assert(!same_keys(nvvm_with("a", NULL, false, ltoir, "k"),
                         nvvm_with("a", NULL, false, ltoir, "other")));
    one = key_in_child(nvvm_with("a", NULL, true, ptx, "k"));
    make_libdevice("BC two");
    two = key_in_child(nvvm_with("a", NULL, true, ptx, "k"));
    ck_assert(!same(one, two));
    /* The order of options says nothing, as none may be given twice. */
    ck_assert(!same_keys(program_with(CUBBY_SOURCE_NVVM, ptx, IR, "-ftz=1"),
                         program_with(CUBBY_SOURCE_NVVM, ptx, IR, NULL)));
    ck_assert(same_keys(program_with(CUBBY_SOURCE_NVVM, ptx, IR, "-ftz=1 "),
                        program_with(CUBBY_SOURCE_NVVM, ptx, IR, "-ftz=1")));
}
END_TEST

START_TEST(test_nvvm_option_order) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *there[] = {"-ftz=1", "-fma=0"}, *back[] = {"-fma=0", "-ftz=1"};
    struct cubby_program *left, *right;
    struct cubby_error error = CUBBY_ERROR_INIT;

    options.source = CUBBY_SOURCE_NVVM;
    options.target = CUBBY_TARGET_PTX;
    options.options = there;
    options.option_count = 2;
    ck_ok(cubby_program_new(IR, strlen(IR), &options, &left, &error), &error);
    options.options = back;
    ck_ok(cubby_program_new(IR, strlen(IR), &options, &right, &error), &error);
    ck_assert(same_keys(left, right));
}
END_TEST

START_TEST(test_libdevice_is_missing) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = nvvm_with("a", NULL, true, CUBBY_TARGET_PTX, "k");
    struct cubby_object *object;

    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error),
                     CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(error.message, "libdevice.10.bc"));
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_libdevice_changes) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = nvvm_with("a", NULL, true, CUBBY_TARGET_PTX, "k");
    struct cubby_object *object;
    struct cubby_key key;

    make_libdevice("BC one");
    ck_ok(cubby_program_key(NULL, program, &key, &error), &error);
    make_libdevice("BC two");
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error),
                     CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(error.message, "changed"));
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

static const struct {
    const char *text;
    int code;
} NVVM_FAILURES[] = {
    {"FAKE_ERROR_9", CUBBY_ERR_COMPILE},      {"FAKE_ERROR_3", CUBBY_ERR_COMPILE},
    {"FAKE_ERROR_6", CUBBY_ERR_COMPILE},      {"FAKE_ERROR_7", CUBBY_ERR_COMPILE},
    {"FAKE_ERROR_1", CUBBY_ERR_NO_MEMORY},    {"FAKE_ERROR_2", CUBBY_ERR_NO_TOOLCHAIN},
    {"FAKE_ERROR_99", CUBBY_ERR_NO_TOOLCHAIN}};

START_TEST(test_nvvm_failures) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program =
        program_with(CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, NVVM_FAILURES[_i].text, NULL);
    struct cubby_object *object;

    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error),
                     NVVM_FAILURES[_i].code);
    ck_assert_str_eq(error.log, "fake nvvm log\n");
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_nvvm_is_missing) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = program_with(CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, IR, NULL);
    struct cubby_object *object;
    char field[200] = "";

    setenv("CUBBY_NVVM", "/no/such/libnvvm.so", 1);
    toolchain_of(program, field);
    ck_assert_str_eq(field, "nvvm_probe_failed -3");
    ck_assert_int_eq(cubby_compile(NULL, program, 0, &object, NULL, &error),
                     CUBBY_ERR_NO_TOOLCHAIN);
    ck_assert_ptr_nonnull(strstr(error.message, "CUBBY_NVVM"));
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

/* ---- Keys of PTX and links
 * ------------------------------------------------------------------------ */

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

    ck_assert_ptr_nonnull(strstr(cubby_program_uncacheable(program), "options file"));
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

/* ---- Bad input
 * ------------------------------------------------------------------------------------- */

static const struct {
    enum cubby_source source;
    enum cubby_target target;
    bool possible;
} MATRIX[] = {
    {CUBBY_SOURCE_CUDA, CUBBY_TARGET_CUBIN, true},  {CUBBY_SOURCE_CUDA, CUBBY_TARGET_PTX, true},
    {CUBBY_SOURCE_CUDA, CUBBY_TARGET_LTOIR, true},  {CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, true},
    {CUBBY_SOURCE_PTX, CUBBY_TARGET_PTX, true},     {CUBBY_SOURCE_PTX, CUBBY_TARGET_LTOIR, false},
    {CUBBY_SOURCE_NVVM, CUBBY_TARGET_CUBIN, false}, {CUBBY_SOURCE_NVVM, CUBBY_TARGET_PTX, true},
    {CUBBY_SOURCE_NVVM, CUBBY_TARGET_LTOIR, true},
};

START_TEST(test_matrix) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program = NULL;

    options.source = MATRIX[_i].source;
    options.target = MATRIX[_i].target;
    ck_assert_int_eq(cubby_program_new("text", 4, &options, &program, &error),
                     MATRIX[_i].possible ? 0 : CUBBY_ERR_INVALID);
    if (!MATRIX[_i].possible)
        ck_assert_ptr_nonnull(strstr(error.message, cubby_target_name(options.target)));
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

static int refused(const struct cubby_program_options *options, const void *text, size_t size) {
    struct cubby_program *program = NULL;
    int result = cubby_program_new(text, size, options, &program, NULL);

    cubby_program_unref(program);
    return result;
}

START_TEST(test_bad_programs) {
    const struct cubby_header header = {"a.h", "", 0};
    const struct cubby_extra_source empty = {"e", "", 0};
    const char *name = "k", *names_target = "-gen-lto";
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_program *program, *varied;
    struct cubby_error error = CUBBY_ERROR_INIT;

    options.source = CUBBY_SOURCE_PTX;
    ck_assert_int_eq(refused(&options, "", 0), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "\0\0", 2), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, NULL, 0), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "a\0b", 3), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "a\0", 2), 0);
    options.headers = &header;
    options.header_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.header_count = 0;
    options.names = &name;
    options.name_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.name_count = 0;
    options.use_libdevice = true;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.source = CUBBY_SOURCE_NVVM;
    options.target = CUBBY_TARGET_PTX;
    ck_assert_int_eq(refused(&options, "a", 1), 0);
    ck_assert_int_eq(refused(&options, "a\0b", 3), CUBBY_ERR_INVALID);
    ck_assert_int_eq(refused(&options, "BC\xc0\xde\0b", 6), 0); /* bitcode is no text */
    options.extra_sources = &empty;
    options.extra_source_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.extra_source_count = 0;
    options.options = &names_target;
    options.option_count = 1;
    ck_assert_int_eq(refused(&options, "a", 1), CUBBY_ERR_INVALID);
    options.option_count = 0;
    /* Another language is another source. */
    ck_ok(cubby_program_new("a", 1, &options, &program, &error), &error);
    options.source = CUBBY_SOURCE_CUDA;
    options.use_libdevice = false;
    ck_assert_int_eq(cubby_program_vary(program, &options, &varied, &error), CUBBY_ERR_INVALID);
    cubby_program_unref(program);
}
END_TEST

static int link_refused(enum cubby_input kind, const void *data, size_t size, const char *says) {
    const struct cubby_link_input input = {kind, "the-name", data, size};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_link *link = NULL;
    int result = cubby_link_new(&input, 1, NULL, &link, &error);

    if (result < 0) {
        ck_assert_ptr_nonnull(strstr(error.message, "the-name"));
        ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
    }
    cubby_error_clear(&error);
    cubby_link_unref(link);
    return result;
}

START_TEST(test_bad_links) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    const struct cubby_link_input input = {CUBBY_INPUT_PTX, NULL, PTX, sizeof(PTX)};
    const char *ptx = "-ptx";
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_link *link;

    ck_assert_int_eq(cubby_link_new(NULL, 0, NULL, &link, NULL), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "", 0, "empty"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, NULL, 3, "empty"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "garbage", 7, "no form"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused((enum cubby_input)9, PTX, 20, "no form"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_PTX, "a\0b", 3, "NUL byte"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_CUBIN, PTX, 20, "no whole ELF"), CUBBY_ERR_INVALID);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "!<arch>\nx", 9, ""), 0);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, "\x50\xed\x55\xba..", 6, ""), 0);
    options.target = CUBBY_TARGET_LTOIR;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, NULL), CUBBY_ERR_INVALID);
    options.target = CUBBY_TARGET_PTX;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, &error), CUBBY_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "LTO-IR only"));
    options.target = CUBBY_TARGET_CUBIN;
    options.options = &ptx;
    options.option_count = 1;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, NULL), CUBBY_ERR_INVALID);
    options.option_count = 0;
    options.version = 7;
    ck_assert_int_eq(cubby_link_new(&input, 1, &options, &link, NULL), CUBBY_ERR_INVALID);
    cubby_error_clear(&error);
}
END_TEST

/* A cubin of one section, whole or with its parts beyond the end. */
START_TEST(test_whole_elf) {
    struct {
        Elf64_Ehdr header;
        Elf64_Shdr section;
        Elf64_Phdr segment;
    } file = {.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64},
                         .e_machine = 190,
                         .e_shoff = sizeof(Elf64_Ehdr),
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = 1,
                         .e_phoff = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1}};

    file.section.sh_type = SHT_PROGBITS;
    file.section.sh_size = sizeof(file);
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), ""), 0);
    for (size_t size = 64; size < sizeof(file); size++)
        ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, size, "cut short"),
                         CUBBY_ERR_INVALID);
    file.section.sh_offset = UINT64_MAX - 8; /* a sum that wraps around */
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
    file.section.sh_offset = 8;
    file.section.sh_size = UINT64_MAX - 4;
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
    file.section.sh_type = SHT_NOBITS; /* takes no room in the file */
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), ""), 0);
    file.segment.p_offset = sizeof(file);
    file.segment.p_filesz = 1;
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
    file.segment.p_filesz = 0;
    file.header.e_shentsize = 8;
    ck_assert_int_eq(link_refused(CUBBY_INPUT_ANY, &file, sizeof(file), "cut short"),
                     CUBBY_ERR_INVALID);
}
END_TEST

START_TEST(test_names_of_kinds) {
    ck_assert_str_eq(cubby_source_name(CUBBY_SOURCE_NVVM), "nvvm");
    ck_assert_ptr_null(cubby_source_name((enum cubby_source)3));
    ck_assert_ptr_null(cubby_source_name((enum cubby_source) - 1));
    ck_assert_str_eq(cubby_input_name(CUBBY_INPUT_LIBRARY), "library");
    ck_assert_ptr_null(cubby_input_name(CUBBY_INPUT_ANY));
    ck_assert_ptr_null(cubby_input_name((enum cubby_input)7));
    cubby_tool_info_clear(NULL);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name) {
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

int main(void) {
    Suite *suite = suite_create("linkers");
    TCase *tools = add_case(suite, "tools"), *linking = add_case(suite, "nvjitlink");
    TCase *driver = add_case(suite, "driver"), *nvvm = add_case(suite, "nvvm");
    TCase *input = add_case(suite, "input");

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
    tcase_add_test(nvvm, test_nvvm_modules);
    tcase_add_test(nvvm, test_nvvm_keys);
    tcase_add_test(nvvm, test_nvvm_option_order);
    tcase_add_test(nvvm, test_libdevice_is_missing);
    tcase_add_test(nvvm, test_libdevice_changes);
    tcase_add_loop_test(nvvm, test_nvvm_failures, 0, COUNT(NVVM_FAILURES));
    tcase_add_test(nvvm, test_nvvm_is_missing);
    tcase_add_loop_test(input, test_matrix, 0, COUNT(MATRIX));
    tcase_add_test(input, test_bad_programs);
    tcase_add_test(input, test_bad_links);
    tcase_add_test(input, test_whole_elf);
    tcase_add_test(input, test_names_of_kinds);
    return run_suite(suite);
}
