/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/identity.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

static int check_text(const char *text, size_t size, const char *what, const char *example,
                      struct cubby_error *error) {
    if (text && *text && strlen(text) < size)
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "the %s of a runtime cache is %s: expected at most %zu bytes, such as %s",
                     what, text && *text ? "too long" : "missing", size - 1, example);
}

int identity_check_any(const struct cubby_runtime_identity *identity, struct cubby_error *error) {
    int result =
        check_text(identity ? identity->arch : NULL, ARCH_SIZE, "architecture", "\"sm_90\"", error);

    if (result == 0 && (!identity->toolchain || *identity->toolchain))
        result = check_text(identity->toolchain, TOOLCHAIN_SIZE, "toolchain",
                            "the fingerprint of cubby_toolchain_find()", error);
    if (result == 0 && identity->driver_version < 0)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "the driver version of a runtime cache is %d: expected the CUDA version "
                           "that it supports, such as 13000, or 0 where there is none",
                           identity->driver_version);
    return result;
}

int identity_check(const struct cubby_runtime_identity *identity, struct cubby_error *error) {
    int result = identity_check_any(identity, error);

    return result == 0 ? check_text(identity->toolchain, TOOLCHAIN_SIZE, "toolchain",
                                    "the fingerprint of cubby_toolchain_find()", error)
                       : result;
}

int identity_copy(const struct cubby_runtime_identity *identity,
                  struct cubby_runtime_identity *ret_copy, struct cubby_error *error) {
    ret_copy->arch = strdup(identity->arch);
    ret_copy->toolchain = strdup(identity->toolchain);
    ret_copy->driver_version = identity->driver_version;
    if (ret_copy->arch && ret_copy->toolchain)
        return 0;
    identity_free(ret_copy);
    return error_no_memory(error);
}

void identity_free(struct cubby_runtime_identity *identity) {
    free((char *)identity->arch);
    free((char *)identity->toolchain);
    *identity = (struct cubby_runtime_identity){NULL, NULL, 0};
}

static bool toolchains_fit(const struct cubby_runtime_identity *left,
                           const struct cubby_runtime_identity *right) {
    return !*left->toolchain || !*right->toolchain ||
           strcmp(left->toolchain, right->toolchain) == 0;
}

bool identity_equal(const struct cubby_runtime_identity *left,
                    const struct cubby_runtime_identity *right) {
    return strcmp(left->arch, right->arch) == 0 && toolchains_fit(left, right);
}

int identity_raise(struct cubby_runtime_identity *here,
                   const struct cubby_runtime_identity *made_for) {
    if (!*here->toolchain && *made_for->toolchain) {
        char *copy = strdup(made_for->toolchain);

        if (!copy)
            return CUBBY_ERR_NO_MEMORY;
        free((char *)here->toolchain);
        here->toolchain = copy;
    }
    if (made_for->driver_version > here->driver_version)
        here->driver_version = made_for->driver_version;
    return 0;
}

int identity_fits(const struct cubby_runtime_identity *made_for,
                  const struct cubby_runtime_identity *here, struct cubby_error *error) {
    if (strcmp(made_for->arch, here->arch) != 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "its kernels were made for %s, and this is %s: keep a runtime cache for "
                         "each architecture",
                         made_for->arch, here->arch);
    if (!toolchains_fit(made_for, here))
        return error_set(error, CUBBY_ERR_INVALID,
                         "its kernels were made by another toolchain (%.200s) than that in use "
                         "(%.200s)",
                         made_for->toolchain, here->toolchain);
    if (here->driver_version > 0 && made_for->driver_version > here->driver_version)
        return error_set(error, CUBBY_ERR_INVALID,
                         "its kernels were made with a newer driver (CUDA %d) than that in use "
                         "(CUDA %d)",
                         made_for->driver_version, here->driver_version);
    return 0;
}
