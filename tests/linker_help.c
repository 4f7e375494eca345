/* SPDX-License-Identifier: Apache-2.0 */
#include "linker_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolkit.h"

static char *cuda_home;

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

TCase *add_case(Suite *suite, const char *name) {
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

void use_driver(const char *version) {
    setenv("CUBBY_CUDA", TEST_DOUBLES "/fake_culink.so", 1);
    setenv("FAKE_CULINK_VERSION", version, 1);
}

void hide_nvjitlink(void) {
    setenv("CUBBY_NVJITLINK", "/no/such/libnvJitLink.so", 1);
}

void make_libdevice(const char *text) {
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

struct cubby_program *program_with(enum cubby_source source, enum cubby_target target,
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

struct cubby_program *ptx_with(const char *option) {
    return program_with(CUBBY_SOURCE_PTX, CUBBY_TARGET_CUBIN, PTX, option);
}

struct cubby_link *link_of(const char *const *texts, size_t count,
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

char *compiled(struct cubby_program *program) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    char *text;

    ck_ok(cubby_compile(NULL, program, 0, &object, NULL, &error), &error);
    text = strndup(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    cubby_program_unref(program);
    return text;
}

char *linked(struct cubby_link *link) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_object *object;
    char *text;

    ck_ok(cubby_link_run(NULL, link, 0, &object, NULL, &error), &error);
    text = strndup(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    cubby_link_unref(link);
    return text;
}

struct cubby_key key_in_child(struct cubby_program *program) {
    struct cubby_key key;
    int pipes[2];
    pid_t child;

    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        bool fine = cubby_program_key(NULL, program, &key, NULL) == 0 &&
                    write(pipes[1], &key, sizeof(key)) == (ssize_t)sizeof(key);

        cubby_program_unref(program);
        _exit(fine ? 0 : 1);
    }
    close(pipes[1]);
    ck_assert_int_eq(read(pipes[0], &key, sizeof(key)), (ssize_t)sizeof(key));
    close(pipes[0]);
    cubby_program_unref(program);
    return key;
}

bool same(struct cubby_key left, struct cubby_key right) {
    return memcmp(&left, &right, sizeof(left)) == 0;
}

bool same_keys(struct cubby_program *left, struct cubby_program *right) {
    return same(key_in_child(left), key_in_child(right));
}

struct cubby_key link_key(struct cubby_link *link) {
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

void toolchain_of(struct cubby_program *program, char field[200]) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_ok(cubby_program_explain(NULL, program, keep_toolchain, field, &error), &error);
}
