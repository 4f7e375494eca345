/* SPDX-License-Identifier: Apache-2.0 */
/* The backends that come with Cubby. Each lives in one file and is reached only through here. */
#ifndef CUBBY_BACKENDS_H
#define CUBBY_BACKENDS_H

#include <cubby/backend.h>

/* Cap of a memory store that was given none. */
#define MEMORY_DEFAULT_SIZE (256u << 20)

/* What a tier of a cache spec says of its store. */
struct backend_params {
    const char *path;  /* borrowed; NULL for memory */
    uint64_t max_size; /* cap in bytes; 0 for none */
    bool durable;      /* a put survives a power cut once it returned */
    bool read_only;    /* never write: a seed shipped with an application */
    bool shared;       /* file: the members of the root's group share it, and trust each other */
};

/*
 * Each opens a store and returns it as a new object, released by its close operation.
 * INVALID or IO names the path and what is wrong with it.
 */
int memory_backend_open(const struct backend_params *params, struct cubby_backend **ret_backend,
                        struct cubby_error *error);
int file_backend_open(const struct backend_params *params, struct cubby_backend **ret_backend,
                      struct cubby_error *error);
#ifdef HAVE_SQLITE
int sqlite_backend_open(const struct backend_params *params, struct cubby_backend **ret_backend,
                        struct cubby_error *error);
#endif

#endif
