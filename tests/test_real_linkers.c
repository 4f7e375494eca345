/* SPDX-License-Identifier: Apache-2.0 */
/* PTX, NVVM IR and links with NVIDIA's own libraries: what docs/keys-linkers.md says still holds.
 * Skipped where one of them is missing. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* Calls a function that is defined elsewhere, so that it must be linked. */
#define CALLER                                                                                     \
    "extern __device__ float f(float);\n"                                                          \
    "extern \"C\" __global__ void k(float *a) { a[0] = f(a[0]) / a[1] + a[2] * a[3]; }\n"
#define CALLED "__device__ float f(float x) { return x * x + 1.5f; }\n"

static struct cubby_cache *cache;

static void setup(void) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    /* The rules of nvJitLink are tested, whatever driver there is. */
    setenv("CUBBY_CUDA", "/no/such/libcuda.so.1", 1);
    ck_ok(cubby_cache_open("memory", &cache, &error), &error);
}

static void teardown(void) {
    cubby_cache_unref(cache);
}

/* ---- Short hands ------------------------------------------------------------------------- */

static struct cubby_object *compile_as(const char *text, size_t size,
                                       const struct cubby_program_options *options) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct cubby_object *object;
    int result;

    ck_ok(cubby_program_new(text, size, options, &program, &error), &error);
    result = cubby_compile(cache, program, 0, &object, NULL, &error);
    ck_assert_msg(result == 0, "%s\n%s", error.message, error.log ? error.log : "");
    cubby_program_unref(program);
    return object;
}

/* CUDA C++ as something to link; whole: a program that needs nothing else. */
static struct cubby_object *compile_cuda(const char *text, enum cubby_target target) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *separate = "--relocatable-device-code=true";

    options.target = target;
    options.arch = "sm_90";
    options.options = &separate;
    options.option_count = target == CUBBY_TARGET_LTOIR ? 0 : 1;
    return compile_as(text, strlen(text), &options);
}

static struct cubby_link_input input_of(const struct cubby_object *object, const char *name) {
    return (struct cubby_link_input){CUBBY_INPUT_ANY, name, cubby_object_data(object),
                                     cubby_object_size(object)};
}

/* Returns what cubby_link_run() does. */
static int run_link(const struct cubby_link_input *inputs, size_t count, enum cubby_target target,
                    const char *option, struct cubby_object **ret_object,
                    struct cubby_error *error) {
    struct cubby_link_options options = CUBBY_LINK_OPTIONS_INIT;
    struct cubby_link *link;
    int result;

    options.target = target;
    options.arch = "sm_90";
    options.options = &option;
    options.option_count = option ? 1 : 0;
    result = cubby_link_new(inputs, count, &options, &link, error);
    if (result < 0)
        return result;
    result = cubby_link_run(NULL, link, 0, ret_object, NULL, error);
    cubby_link_unref(link);
    return result;
}

static struct cubby_object *link_as(const struct cubby_link_input *inputs, size_t count,
                                    enum cubby_target target, const char *option) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    int result = run_link(inputs, count, target, option, &object, &error);

    ck_assert_msg(result == 0, "%s\n%s", error.message, error.log ? error.log : "");
    return object;
}

static bool is_cubin(const struct cubby_object *object) {
    const unsigned char *bytes = cubby_object_data(object);

    return cubby_object_size(object) > 64 && memcmp(bytes, "\177ELF", 4) == 0 && bytes[18] == 190;
}

static bool same_bytes(const struct cubby_object *left, const struct cubby_object *right) {
    return cubby_object_size(left) == cubby_object_size(right) &&
           memcmp(cubby_object_data(left), cubby_object_data(right), cubby_object_size(left)) == 0;
}

/* Releases both. */
static bool same(struct cubby_object *left, struct cubby_object *right) {
    bool result = same_bytes(left, right);

    cubby_object_unref(left);
    cubby_object_unref(right);
    return result;
}

/* ---- PTX --------------------------------------------------------------------------------- */

static struct cubby_object *ptx_to_cubin(const struct cubby_object *ptx, const char *name,
                                         const char *option, size_t nuls) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;

    options.source = CUBBY_SOURCE_PTX;
    options.arch = "sm_90";
    options.name = name;
    options.options = &option;
    options.option_count = option ? 1 : 0;
    return compile_as(cubby_object_data(ptx), cubby_object_size(ptx) + nuls, &options);
}

START_TEST(test_ptx) {
    struct cubby_object *ptx = compile_cuda(CALLED, CUBBY_TARGET_PTX);
    struct cubby_object *cubin = ptx_to_cubin(ptx, "a.ptx", NULL, 0);

    ck_assert(is_cubin(cubin));
    cubby_cache_clear(cache, NULL); /* each of the following is made anew */
    ck_assert(same(cubby_object_ref(cubin), ptx_to_cubin(ptx, "b.ptx", NULL, 0)));
    cubby_cache_clear(cache, NULL);
    ck_assert(same(cubby_object_ref(cubin), ptx_to_cubin(ptx, "a.ptx", NULL, 1)));
    cubby_cache_clear(cache, NULL);
    ck_assert(same(cubby_object_ref(cubin), ptx_to_cubin(ptx, "a.ptx", "-no-cache", 0)));
    ck_assert(!same(cubby_object_ref(cubin), ptx_to_cubin(ptx, "a.ptx", "-maxrregcount=255", 0)));
    ck_assert(!same(cubin, ptx_to_cubin(ptx, "a.ptx", "-lineinfo", 0)));
    cubby_object_unref(ptx);
}
END_TEST

static const struct {
    const char *text, *option, *says;
} BAD_PTX[] = {
    {"garbage", NULL, "PTX"},
    {".version 7.0\n.target sm_70\n.entry k { bogus; }", NULL, "fatal"},
    {".version 7.0\n.target sm_70\n", "-bogus", "unrecognized option: -bogus"},
    {".version 7.0\n.target sm_70\n", "-maxrregcount 32", "unrecognized option"},
};

START_TEST(test_bad_ptx) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct cubby_object *object;

    options.source = CUBBY_SOURCE_PTX;
    options.arch = "sm_90";
    options.options = &BAD_PTX[_i].option;
    options.option_count = BAD_PTX[_i].option ? 1 : 0;
    ck_ok(cubby_program_new(BAD_PTX[_i].text, strlen(BAD_PTX[_i].text), &options, &program, &error),
          &error);
    ck_assert_int_eq(cubby_compile(cache, program, 0, &object, NULL, &error), CUBBY_ERR_COMPILE);
    ck_assert_msg(strstr(error.log, BAD_PTX[_i].says) != NULL, "%s", error.log);
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

START_TEST(test_architectures) {
    static const struct {
        const char *arch;
        int code;
    } ARCHS[] = {{NULL, CUBBY_ERR_INVALID}, {"sm_999", CUBBY_ERR_COMPILE}, {"sm_90", 0}};
    const char *text =
        ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k() { ret; }";
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct cubby_object *object;

    options.source = CUBBY_SOURCE_PTX;
    for (size_t i = 0; i < 3; i++) {
        options.arch = ARCHS[i].arch;
        ck_ok(cubby_program_new(text, strlen(text), &options, &program, &error), &error);
        object = NULL;
        ck_assert_int_eq(cubby_compile(cache, program, 0, &object, NULL, &error), ARCHS[i].code);
        cubby_object_unref(object);
        cubby_error_clear(&error);
        cubby_program_unref(program);
    }
}
END_TEST

/* ---- Links ------------------------------------------------------------------------------- */

/* Two objects of one form, linked: to a cubin, the same in each run and under any names. */
static const enum cubby_target FORMS[] = {CUBBY_TARGET_LTOIR, CUBBY_TARGET_PTX, CUBBY_TARGET_CUBIN};

START_TEST(test_links) {
    struct cubby_object *caller = compile_cuda(CALLER, FORMS[_i]);
    struct cubby_object *called = compile_cuda(CALLED, FORMS[_i]);
    const struct cubby_link_input inputs[] = {input_of(caller, "caller"),
                                              input_of(called, "called")};
    const struct cubby_link_input nameless[] = {input_of(caller, NULL), input_of(called, NULL)};
    struct cubby_object *cubin = link_as(inputs, 2, CUBBY_TARGET_CUBIN, NULL);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;

    ck_assert(is_cubin(cubin));
    ck_assert(same(cubby_object_ref(cubin), link_as(inputs, 2, CUBBY_TARGET_CUBIN, NULL)));
    ck_assert(same(cubin, link_as(nameless, 2, CUBBY_TARGET_CUBIN, "--no-cache")));
    /* The caller alone lacks a symbol, and the message says which. */
    ck_assert_int_eq(run_link(inputs, 1, CUBBY_TARGET_CUBIN, NULL, &object, &error),
                     CUBBY_ERR_COMPILE);
    ck_assert_ptr_nonnull(strstr(error.log, "_Z1ff"));
    cubby_error_clear(&error);
    cubby_object_unref(caller);
    cubby_object_unref(called);
}
END_TEST

START_TEST(test_link_to_ptx) {
    struct cubby_object *caller = compile_cuda(CALLER, CUBBY_TARGET_LTOIR);
    struct cubby_object *called = compile_cuda(CALLED, CUBBY_TARGET_LTOIR);
    const struct cubby_link_input inputs[] = {input_of(caller, "caller"),
                                              input_of(called, "called")};
    struct cubby_object *ptx = link_as(inputs, 2, CUBBY_TARGET_PTX, NULL);

    ck_assert_uint_eq(strlen(cubby_object_data(ptx)), cubby_object_size(ptx));
    ck_assert_ptr_nonnull(strstr(cubby_object_data(ptx), ".visible .entry k("));
    /* Linked at link time, so that nothing is called any more. */
    ck_assert_ptr_null(strstr(cubby_object_data(ptx), "call"));
    ck_assert(same(cubby_object_ref(ptx), link_as(inputs, 2, CUBBY_TARGET_PTX, "-dlto")));
    ck_assert(!same(ptx, link_as(inputs, 2, CUBBY_TARGET_PTX, "-fma=0")));
    cubby_object_unref(caller);
    cubby_object_unref(called);
}
END_TEST

START_TEST(test_damaged_inputs) {
    struct cubby_object *ltoir = compile_cuda(CALLED, CUBBY_TARGET_LTOIR);
    struct cubby_object *cubin = compile_cuda(CALLED, CUBBY_TARGET_CUBIN);
    struct cubby_link_input input = input_of(ltoir, "cut");
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;

    input.size /= 2;
    ck_assert_int_eq(run_link(&input, 1, CUBBY_TARGET_CUBIN, NULL, &object, &error),
                     CUBBY_ERR_COMPILE);
    cubby_error_clear(&error);
    /* nvJitLink would end the process over these. */
    for (size_t size = 1; size < cubby_object_size(cubin); size += 61) {
        input = input_of(cubin, "cut");
        input.kind = CUBBY_INPUT_CUBIN;
        input.size = size;
        ck_assert_int_eq(run_link(&input, 1, CUBBY_TARGET_CUBIN, NULL, &object, NULL),
                         CUBBY_ERR_INVALID);
    }
    cubby_object_unref(ltoir);
    cubby_object_unref(cubin);
}
END_TEST

/* ---- NVVM IR ----------------------------------------------------------------------------- */

static struct cubby_object *compile_nvvm(enum cubby_target target, bool libdevice,
                                         const char *name) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_extra_source extra = {"helper.ll", NULL, 0};
    char *text, *helper;
    struct cubby_object *object;
    size_t size;

    text = read_whole(TEST_DATA "/scale.ll", &size);
    helper = read_whole(TEST_DATA "/helper.ll", &extra.size);
    extra.data = helper;
    options.source = CUBBY_SOURCE_NVVM;
    options.target = target;
    options.name = name;
    options.arch = "sm_90";
    options.extra_sources = &extra;
    options.extra_source_count = 1;
    options.use_libdevice = libdevice;
    object = compile_as(text, size, &options);
    free(text);
    free(helper);
    return object;
}

START_TEST(test_nvvm) {
    struct cubby_object *ptx = compile_nvvm(CUBBY_TARGET_PTX, true, "scale.ll");
    struct cubby_object *ltoir = compile_nvvm(CUBBY_TARGET_LTOIR, true, "scale.ll");
    struct cubby_object *bare = compile_nvvm(CUBBY_TARGET_PTX, false, "scale.ll");
    const struct cubby_link_input input = input_of(ltoir, "scale");
    struct cubby_object *cubin;

    ck_assert_ptr_nonnull(strstr(cubby_object_data(ptx), ".visible .entry scale("));
    ck_assert_ptr_null(strstr(cubby_object_data(ptx), "__nv_sinf"));
    ck_assert_ptr_nonnull(strstr(cubby_object_data(bare), ".extern .func"));
    cubby_cache_clear(cache, NULL);
    ck_assert(same(ptx, compile_nvvm(CUBBY_TARGET_PTX, true, "other")));
    ck_assert(!same(cubby_object_ref(ltoir), compile_nvvm(CUBBY_TARGET_LTOIR, true, "other")));
    cubin = link_as(&input, 1, CUBBY_TARGET_CUBIN, NULL);
    ck_assert(is_cubin(cubin));
    cubby_object_unref(cubin);
    cubby_object_unref(ltoir);
    cubby_object_unref(bare);
}
END_TEST

static const struct {
    const char *text, *option;
} BAD_NVVM[] = {
    {"garbage", NULL},
    {"define void @f() { ret void }", NULL}, /* no !nvvmir.version */
    {"BC\xc0\xde\x01\x02\x03\x04\x05\x06\x07\x08", NULL},
    /* Only verifying refuses this one. */
    {"target datalayout = \"e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-i128:128:128-"
     "f32:32:32-f64:64:64-v16:16:16-v32:32:32-v64:64:64-v128:128:128-n16:32:64\"\n"
     "target triple = \"x86_64-pc-linux\"\ndefine void @f() {\n  ret void\n}\n"
     "!nvvmir.version = !{!0}\n!0 = !{i32 2, i32 0}\n",
     NULL},
    {"target triple = \"nvptx64-nvidia-cuda\"\n!nvvmir.version = !{!0}\n!0 = !{i32 2, i32 0}\n",
     "-bogus"},
};

START_TEST(test_bad_nvvm) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;
    struct cubby_object *object;

    options.source = CUBBY_SOURCE_NVVM;
    options.target = CUBBY_TARGET_PTX;
    options.arch = "sm_90";
    options.options = &BAD_NVVM[_i].option;
    options.option_count = BAD_NVVM[_i].option ? 1 : 0;
    ck_ok(
        cubby_program_new(BAD_NVVM[_i].text, strlen(BAD_NVVM[_i].text), &options, &program, &error),
        &error);
    ck_assert_int_eq(cubby_compile(cache, program, 0, &object, NULL, &error), CUBBY_ERR_COMPILE);
    ck_assert_msg(error.log && *error.log, "no log");
    cubby_error_clear(&error);
    cubby_program_unref(program);
}
END_TEST

/* ---- Threads ----------------------------------------------------------------------------- */

struct crowd_member {
    const struct cubby_link_input *inputs;
    const struct cubby_object *wanted;
    bool fine;
};

static void *link_often(void *context) {
    struct crowd_member *member = context;

    member->fine = true;
    for (int i = 0; i < 5; i++) {
        struct cubby_object *object;

        if (run_link(member->inputs, 2, CUBBY_TARGET_CUBIN, NULL, &object, NULL) < 0) {
            member->fine = false;
            break;
        }
        member->fine = member->fine && same_bytes(object, member->wanted);
        cubby_object_unref(object);
    }
    return NULL;
}

START_TEST(test_threads) {
    struct cubby_object *caller = compile_cuda(CALLER, CUBBY_TARGET_LTOIR);
    struct cubby_object *called = compile_cuda(CALLED, CUBBY_TARGET_LTOIR);
    const struct cubby_link_input inputs[] = {input_of(caller, "a"), input_of(called, "b")};
    struct cubby_object *wanted = link_as(inputs, 2, CUBBY_TARGET_CUBIN, NULL);
    struct crowd_member members[4];
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        members[i] = (struct crowd_member){inputs, wanted, false};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, link_often, &members[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(members[i].fine);
    }
    cubby_object_unref(wanted);
    cubby_object_unref(caller);
    cubby_object_unref(called);
}
END_TEST

static bool has_tool(enum cubby_tool tool) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_tool_info info = {0};
    bool found = cubby_tool_find(NULL, tool, &info, &error) == 0;

    if (!found)
        printf("%s\n", error.message);
    cubby_tool_info_clear(&info);
    cubby_error_clear(&error);
    return found;
}

#define COUNT(table) (int)(sizeof(table) / sizeof(*(table)))

int main(void) {
    Suite *suite = suite_create("real linkers");
    TCase *tcase = tcase_create("all");

    if (!has_tool(CUBBY_TOOL_NVRTC) || !has_tool(CUBBY_TOOL_NVJITLINK) ||
        !has_tool(CUBBY_TOOL_NVVM))
        return 77;
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_ptx);
    tcase_add_loop_test(tcase, test_bad_ptx, 0, COUNT(BAD_PTX));
    tcase_add_test(tcase, test_architectures);
    tcase_add_loop_test(tcase, test_links, 0, COUNT(FORMS));
    tcase_add_test(tcase, test_link_to_ptx);
    tcase_add_test(tcase, test_damaged_inputs);
    tcase_add_test(tcase, test_nvvm);
    tcase_add_loop_test(tcase, test_bad_nvvm, 0, COUNT(BAD_NVVM));
    tcase_add_test(tcase, test_threads);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
