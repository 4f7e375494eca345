/* SPDX-License-Identifier: Apache-2.0 */
/* NVVM IR with a double of libNVVM: what it is told, what counts in the key, its failures. */
#include <stdlib.h>
#include <string.h>

#include "linker_help.h"

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

int main(void) {
    Suite *suite = suite_create("nvvm");
    TCase *nvvm = add_case(suite, "all");

    tcase_add_test(nvvm, test_nvvm_modules);
    tcase_add_test(nvvm, test_nvvm_keys);
    tcase_add_test(nvvm, test_nvvm_option_order);
    tcase_add_test(nvvm, test_libdevice_is_missing);
    tcase_add_test(nvvm, test_libdevice_changes);
    tcase_add_loop_test(nvvm, test_nvvm_failures, 0, COUNT(NVVM_FAILURES));
    tcase_add_test(nvvm, test_nvvm_is_missing);
    return run_suite(suite);
}
