/* SPDX-License-Identifier: Apache-2.0 */
#include "key_help.h"

#include <string.h>

#include "harness.h"

const struct toolchain TOOLS = {.fingerprint = "tools one"};
const struct toolchain OTHER_TOOLS = {.fingerprint = "tools two"};

struct cubby_program *cuda_program(const char *text, const struct cubby_program_options *options) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_program *program;

    ck_ok(cubby_program_new(text, strlen(text), options, &program, &error), &error);
    return program;
}

struct cubby_key key_of_cuda(const char *text, const struct cubby_program_options *options) {
    struct cubby_program *program = cuda_program(text, options);
    struct cubby_key key;

    key_derive(program, &TOOLS, &key);
    cubby_program_unref(program);
    return key;
}

/* Options made of up to three strings. */
struct cubby_key key_with(const char *one, const char *two, const char *three) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    const char *strings[3] = {one, two, three};

    options.options = strings;
    options.option_count = three ? 3 : two ? 2 : one ? 1 : 0;
    return key_of_cuda(SOURCE, &options);
}

int refusal(const struct cubby_program_options *options, const char *text, size_t size,
            struct cubby_error *error) {
    struct cubby_program *program = NULL;
    int result = cubby_program_new(text, size, options, &program, error);

    cubby_program_unref(program);
    return result;
}
