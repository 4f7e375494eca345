/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libarchive, loaded by those who export or import. Linked, it would be loaded by each hit,
 * together with the compressors and the XML parser that it needs and we do not.
 */
#ifndef CUBBY_MAINTAIN_LIBARCHIVE_H
#define CUBBY_MAINTAIN_LIBARCHIVE_H

struct cubby_error;

#ifdef HAVE_LIBARCHIVE
#include <archive.h>
#include <archive_entry.h>

#define LIBARCHIVE_FUNCTIONS(X)                                                                    \
    X(archive_entry_clear)                                                                         \
    X(archive_entry_filetype)                                                                      \
    X(archive_entry_free)                                                                          \
    X(archive_entry_hardlink)                                                                      \
    X(archive_entry_new)                                                                           \
    X(archive_entry_pathname)                                                                      \
    X(archive_entry_set_filetype)                                                                  \
    X(archive_entry_set_mtime)                                                                     \
    X(archive_entry_set_pathname)                                                                  \
    X(archive_entry_set_perm)                                                                      \
    X(archive_entry_set_size)                                                                      \
    X(archive_entry_size)                                                                          \
    X(archive_entry_sparse_count)                                                                  \
    X(archive_errno)                                                                               \
    X(archive_error_string)                                                                        \
    X(archive_read_data)                                                                           \
    X(archive_read_free)                                                                           \
    X(archive_read_new)                                                                            \
    X(archive_read_next_header2)                                                                   \
    X(archive_read_open1)                                                                          \
    X(archive_read_set_callback_data)                                                              \
    X(archive_read_set_read_callback)                                                              \
    X(archive_read_support_format_tar)                                                             \
    X(archive_set_error)                                                                           \
    X(archive_write_close)                                                                         \
    X(archive_write_data)                                                                          \
    X(archive_write_free)                                                                          \
    X(archive_write_header)                                                                        \
    X(archive_write_new)                                                                           \
    X(archive_write_open)                                                                          \
    X(archive_write_set_format_ustar)

/* Each function under its own name. */
struct libarchive {
#define X(name) __typeof__(name) *name;
    LIBARCHIVE_FUNCTIONS(X)
#undef X
};
#else
struct libarchive;
#endif

/* Loads the library once. Returns 0 with it (borrowed, for ever), or UNSUPPORTED. */
int libarchive_load(const struct libarchive **ret_library, struct cubby_error *error);

#endif
