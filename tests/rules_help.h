/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the driver's double share: they call it as it is, not through the layer. */
#ifndef TESTS_RULES_HELP_H
#define TESTS_RULES_HELP_H

#include "driver_help.h"

#define GIVES(code, call) ck_assert_uint_eq((call), (code))
#define WORKS(call) ck_assert_uint_eq((call), DRIVER_SUCCESS)

extern const struct driver_api *cu;
extern struct CUctx_st *context;   /* of the first of two devices, current */
extern struct CUstream_st *stream; /* that the legacy stream does not wait for */
extern void *cubin;                /* with the kernel scale(), for these devices */

void rules_set_up(void);

/* Whatever a test left goes with its context. */
void rules_tear_down(void);

/* From now on, work waits until something waits for it. */
void defer_work(void);

driver_address allocate_bytes(size_t size);
struct CUstream_st *make_stream(unsigned flags);
struct CUevent_st *make_event(unsigned flags);

/* A function of a module, which is loaded for it. */
struct CUfunc_st *load_function(const void *image, const char *name);

/* Launches scale() on nothing. */
unsigned launch_one(struct CUfunc_st *function, struct CUstream_st *into);

#endif
