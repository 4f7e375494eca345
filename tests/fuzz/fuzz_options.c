/* SPDX-License-Identifier: Apache-2.0 */
/* Options, one a line, as a caller may give them; canonical ones stay as they are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#define MAX_OPTIONS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cubby_program_options options = CUBBY_PROGRAM_OPTIONS_INIT;
    struct cubby_error error = CUBBY_ERROR_INIT;
    const char *strings[MAX_OPTIONS];
    struct cubby_program *program;
    char *text = strndup((const char *)data, size), *rest = text, *line;

    options.options = strings;
    while (options.option_count < MAX_OPTIONS && (line = strsep(&rest, "\n")))
        strings[options.option_count++] = line;
    if (cubby_program_new("int a;", 6, &options, &program, &error) == 0)
        cubby_program_unref(program);
    else if (error.code != CUBBY_ERR_INVALID)
        abort();
    cubby_error_clear(&error);
    free(text);
    return 0;
}
