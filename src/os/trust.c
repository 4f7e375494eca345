/* SPDX-License-Identifier: Apache-2.0 */
#include "os/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"

int trust_check(const char *path, const struct stat *status, struct cubby_error *error) {
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s belongs to user %u, not to you (%u): what a store holds is code that "
                         "would run with your rights; choose a place of your own",
                         path, (unsigned)status->st_uid, (unsigned)geteuid());
    if (status->st_mode & 0022)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s can be written by others (mode %04o): what a store holds is code that "
                         "would run with your rights; run `chmod go-w` on it if it is yours alone, "
                         "or choose another place",
                         path, (unsigned)(status->st_mode & 07777));
    return 0;
}

int make_folders(const char *path) {
    char *copy = strdup(path);
    int result = 0;

    if (!copy) {
        errno = ENOMEM;
        return -1;
    }
    for (char *slash = copy + 1; copy[0] && result == 0 && *slash; slash++) {
        if (*slash != '/')
            continue;
        *slash = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST && access(copy, F_OK) != 0)
            result = -1;
        *slash = '/';
    }
    if (result == 0 && mkdir(copy, 0700) < 0 && errno != EEXIST)
        result = -1;
    free(copy);
    return result;
}
