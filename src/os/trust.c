/* SPDX-License-Identifier: Apache-2.0 */
#include "os/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"

static int refuse_writable(const char *path, const struct stat *status, const char *hint,
                           struct cubby_error *error) {
    return error_set(
        error, CUBBY_ERR_INVALID,
        "%s can be written by others (mode %04o): what a store holds is code that would "
        "run with your rights; run `chmod go-w` on it if it is yours alone, or choose "
        "another place%s",
        path, (unsigned)(status->st_mode & 07777), hint);
}

int trust_check(const char *path, const struct stat *status, struct cubby_error *error) {
    /* First, as it may belong to another member of the group. */
    if (S_ISDIR(status->st_mode) && (status->st_mode & 0022) == 0020)
        return refuse_writable(
            path, status,
            "; if it is a file store that its group shares, and you trust all of "
            "them, say so with shared=group",
            error);
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s belongs to user %u, not to you (%u): what a store holds is code that "
                         "would run with your rights; choose a place of your own",
                         path, (unsigned)status->st_uid, (unsigned)geteuid());
    return status->st_mode & 0022 ? refuse_writable(path, status, "", error) : 0;
}

/* Returns 1 or 0; -1 with errno. */
static int is_member(gid_t group) {
    int count = getgroups(0, NULL), found = 0;
    gid_t *groups;

    if (group == getegid())
        return 1;
    if (count <= 0)
        return count;
    groups = malloc((size_t)count * sizeof(*groups));
    if (!groups)
        return -1;
    count = getgroups(count, groups);
    for (int i = 0; i < count; i++)
        found |= groups[i] == group;
    free(groups);
    return count < 0 ? -1 : found;
}

int trust_check_shared(const char *path, const struct stat *status, struct cubby_error *error) {
    int member = is_member(status->st_gid);

    if (member < 0)
        return error_set_errno(error, errno, "cannot tell in which groups this process is");
    if (!member)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "%s belongs to group %u, in which this process is not: shared=group needs a "
            "folder of a group of yours",
            path, (unsigned)status->st_gid);
    if ((status->st_mode & 02072) != 02070)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "%s is no folder that a group shares (mode %04o): for shared=group its owner "
            "runs `chmod g+rwxs,o-w` on it",
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
