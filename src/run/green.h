/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a device that engines are bound to, which keep them. */
#ifndef CUBBY_RUN_GREEN_H
#define CUBBY_RUN_GREEN_H

#include <cubby/runner.h>

/* The division that a stream is of: a new reference; NULL for other streams. */
struct cubby_green_division *division_of_stream(const struct CUstream_st *stream);

/* The last reference frees it. NULL-safe. */
void division_unref(struct cubby_green_division *division);

#endif
