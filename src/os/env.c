/* SPDX-License-Identifier: Apache-2.0 */
#include "os/env.h"

#include <stdlib.h>

const char *env_get_raw(const char *name) {
    return getenv(name);
}

const char *env_get(const char *name) {
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}
