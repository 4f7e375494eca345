/* SPDX-License-Identifier: Apache-2.0 */
#include "os/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *path_absolute(const char *path) {
    char *folder, *whole = NULL;

    if (*path == '/')
        return strdup(path);
    folder = getcwd(NULL, 0);
    if (folder && asprintf(&whole, "%s/%s", folder, path) < 0)
        whole = NULL;
    free(folder);
    return whole;
}
