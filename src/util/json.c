/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include <errno.h>

json_t *whole_json(const char *text, size_t size, size_t flags, json_error_t *ret_problem) {
    json_t *json;

    errno = 0;
    json = json_loadb(text, size, flags, ret_problem);
    if (errno == ENOMEM) {
        json_decref(json);
        errno = ENOMEM;
        return NULL;
    }
    errno = 0;
    return json;
}
