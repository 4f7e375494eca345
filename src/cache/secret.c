/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry/mac.h"
#include "os/fd.h"
#include "util/error.h"

#define SECRET_MIN 16
#define SECRET_MAX 4096

/* Who may know the secret can make entries. A group may where root owns the file: there an
 * administrator chose the group, as members of a shared store need it. */
static int check_file(const char *path, const struct stat *status, struct cubby_error *error) {
    mode_t forbidden = status->st_uid == 0 ? 0027 : 0077;

    if (!S_ISREG(status->st_mode))
        return error_set(error, CUBBY_ERR_INVALID,
                         "secret_file %s is not a regular file: name a file of %d to %d bytes",
                         path, SECRET_MIN, SECRET_MAX);
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "secret_file %s belongs to user %u, neither to you (%u) nor to root: name a "
            "file of your own",
            path, (unsigned)status->st_uid, (unsigned)geteuid());
    if (status->st_mode & forbidden)
        return error_set(error, CUBBY_ERR_INVALID,
                         "secret_file %s is open to others (mode %04o): run `chmod %s` on it, and "
                         "put a new secret in, as this one may be known",
                         path, (unsigned)(status->st_mode & 07777),
                         status->st_uid == 0 ? "g-w,o=" : "go=");
    if (status->st_size < SECRET_MIN || status->st_size > SECRET_MAX)
        return error_set(error, CUBBY_ERR_INVALID,
                         "secret_file %s has %lld bytes: expected %d to %d, such as `head -c 32 "
                         "/dev/urandom` gives",
                         path, (long long)status->st_size, SECRET_MIN, SECRET_MAX);
    return 0;
}

/* Reads an open file that was checked. */
static int read_key(const char *path, int fd, struct mac_key **ret_key, struct cubby_error *error) {
    unsigned char secret[SECRET_MAX];
    ssize_t size = fd_read_full(fd, secret, sizeof(secret));
    struct mac_key *key = NULL;
    int result = 0;

    if (size < 0)
        result = error_set_errno(error, errno, "cannot read secret_file %s", path);
    else if (size < SECRET_MIN)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "secret_file %s became shorter while it was read: try again", path);
    else if (!(key = malloc(sizeof(*key))))
        result = error_no_memory(error);
    if (result == 0) {
        mac_key_derive(secret, (size_t)size, key);
        *ret_key = key;
    }
    explicit_bzero(secret, sizeof(secret));
    return result;
}

int secret_read(const char *path, struct mac_key **ret_key, struct cubby_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    int result;

    if (fd < 0)
        return error_set_errno(error, errno,
                               "cannot open secret_file %s, which must be there and readable for "
                               "its store to be used",
                               path);
    if (fstat(fd, &status) < 0)
        result = error_set_errno(error, errno, "cannot look at secret_file %s", path);
    else
        result = check_file(path, &status, error);
    if (result == 0)
        result = read_key(path, fd, ret_key, error);
    close(fd);
    return result;
}

void secret_free(struct mac_key *key) {
    if (!key)
        return;
    explicit_bzero(key, sizeof(*key));
    free(key);
}
