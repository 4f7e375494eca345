/* SPDX-License-Identifier: Apache-2.0 */
/* A cache spec as a user may write it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    char *text = strndup((const char *)data, size);
    struct spec spec;

    if (spec_parse(text, &spec, &error) == 0)
        spec_clear(&spec);
    else if (error.code == CUBBY_OK || !*error.message)
        abort(); /* a refusal says why */
    cubby_error_clear(&error);
    free(text);
    return 0;
}
