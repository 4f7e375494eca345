/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the driver's double share. All of it is guarded by one lock. */
#ifndef TESTS_FAKE_CUDA_STATE_H
#define TESTS_FAKE_CUDA_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "driver/driver_api.h"
#include "fake_cuda.h"

#define FAKE_DEVICES_MAX 16
#define FAKE_HANDLE_BASE 70 /* a CUdevice is no ordinal */
#define FAKE_PARAMETERS_MAX 64

/* The functions that the double exports, with the prototypes of the library. */
#define FAKE_DECLARE(symbol, base, version, parameters)                                            \
    __attribute__((visibility("default"))) unsigned symbol parameters;
DRIVER_REQUIRED(FAKE_DECLARE)
DRIVER_OPTIONAL(FAKE_DECLARE)

enum fake_kind {
    FAKE_CONTEXT,
    FAKE_MODULE,
    FAKE_LIBRARY,
    FAKE_KERNEL,
    FAKE_FUNCTION,
    FAKE_STREAM,
    FAKE_EVENT,
    FAKE_GRAPH,
    FAKE_EXEC,
    FAKE_GREEN,
    FAKE_DESCRIPTION,
    FAKE_KINDS
};

/* Every handle is the address of one of these, in a list by which it is known to be one. */
struct fake_object {
    enum fake_kind kind;
    struct CUctx_st *context; /* it goes with that; NULL for what is of none */
    struct fake_object *next;
};

struct CUctx_st {
    struct fake_object object;
    int device;        /* ordinal */
    unsigned retained; /* primary */
    struct CUgreenCtx_st *green;
    unsigned sticky; /* error of a kernel that failed: all calls give it from then on */
    struct CUstream_st *legacy, *per_thread;
};

struct CUgreenCtx_st {
    struct fake_object object;
    struct CUctx_st *context; /* of its own; the object's is the primary one */
    unsigned first_sm, sm_count;
};

/* The contents of a cubin. */
struct fake_kernel_info {
    char *name;
    size_t count;
    struct {
        unsigned offset, size;
    } parameters[FAKE_PARAMETERS_MAX];
    unsigned bytes; /* of all parameters */
    unsigned max_threads;
    unsigned static_shared;
    unsigned registers;
    unsigned long long image; /* digest of the cubin */
};

struct fake_image {
    int sm;
    size_t count;
    struct fake_kernel_info *kernels;
};

struct CUmod_st {
    struct fake_object object;
    struct fake_image image;
};

struct CUlib_st {
    struct fake_object object;
    struct fake_image image;
};

struct CUkern_st {
    struct fake_object object;
    struct CUlib_st *library;
    const struct fake_kernel_info *info;
};

struct CUfunc_st {
    struct fake_object object; /* its context is where it runs */
    const struct fake_kernel_info *info;
    void *owner; /* module or library */
    unsigned max_dynamic_shared;
};

/* One piece of work, in a stream or a node of a graph. */
enum fake_operation_kind {
    FAKE_LAUNCH,
    FAKE_COPY,
    FAKE_FILL,
    FAKE_HOST,
    FAKE_FREE,
    FAKE_RECORD,
    FAKE_WAIT,
    FAKE_REPLAY,
    FAKE_EMPTY
};

struct fake_operation {
    enum fake_operation_kind kind;
    unsigned references; /* graphs and streams share operations, which do not change */
    struct CUctx_st *context;
    /* FAKE_LAUNCH */
    struct fake_launch launch;
    struct CUfunc_st *function;
    char *kernel;
    unsigned char parameters[4096];
    unsigned offsets[FAKE_PARAMETERS_MAX];
    bool cooperative;
    /* FAKE_COPY, FAKE_FILL, FAKE_FREE */
    void *to;
    const void *from;
    size_t size;
    bool to_device, from_device;
    unsigned char byte;
    /* FAKE_HOST */
    void (*call)(void *);
    void *data;
    /* FAKE_RECORD, FAKE_WAIT: the event's record that it makes or waits for */
    struct CUevent_st *event;
    unsigned long record;
    /* FAKE_REPLAY: in the order in which they are done */
    struct fake_operation **nodes;
    size_t node_count;
};

struct fake_queued {
    struct fake_operation *operation;
    unsigned long number;
    struct fake_queued *next;
};

struct fake_capture;

struct CUstream_st {
    struct fake_object object; /* the context: primary or a green one's own */
    unsigned flags;
    int priority;
    struct fake_queued *first, *last;
    unsigned long queued, done; /* numbers of operations */
    bool running;
    struct fake_capture *capture;
    struct CUgraphNode_st **tail; /* what the next captured operation depends on */
    size_t tail_count;
};

struct CUevent_st {
    struct fake_object object;
    unsigned flags;
    struct CUstream_st *stream; /* where it was recorded; NULL where it was not */
    unsigned long number;       /* of the operation in that stream */
    unsigned long records, done_records;
    unsigned long long time;
    unsigned long long capture; /* id of the capture in which it was recorded, else 0 */
    struct CUgraphNode_st **nodes;
    size_t node_count;
};

struct CUgraphNode_st {
    struct fake_operation *operation;
    unsigned type;
    size_t index;
    struct CUgraphNode_st **depends;
    size_t depends_count;
    bool joined; /* something depends on it, or it is in the tail of the first stream */
};

struct CUgraph_st {
    struct fake_object object;
    struct CUgraphNode_st **nodes;
    size_t count;
};

struct CUgraphExec_st {
    struct fake_object object;
    struct CUgraphNode_st **nodes; /* its own copies */
    size_t count;
    struct CUstream_st *last_stream;
    unsigned long last_number;
};

struct fake_capture {
    unsigned long long id;
    struct CUstream_st *origin;
    unsigned mode;
    pthread_t thread;
    bool invalid;
    struct CUgraph_st *graph;
    struct fake_capture *next;
};

struct fake_allocation {
    void *address;
    size_t size;
    struct CUctx_st *context;
    bool ordered; /* allocated in order with a stream */
    bool freeing; /* its free is in a stream */
    struct fake_allocation *next;
};

struct fake_state {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* an operation ended */
    bool initialised;
    int pid;
    int version;
    int devices;
    int sm[FAKE_DEVICES_MAX];
    unsigned sm_count;
    size_t memory;
    bool defer, eager;
    unsigned violations;
    struct CUctx_st *primary[FAKE_DEVICES_MAX];
    size_t used[FAKE_DEVICES_MAX];
    struct fake_object *objects[FAKE_KINDS];
    struct fake_allocation *allocations;
    struct fake_capture *captures;
    unsigned long long next_capture;
};

extern struct fake_state fake;

/* ---- Calls: fake_cuda.c ------------------------------------------------------------------ */

/* Begins a call: takes the lock, counts, and fails where the call is to fail or the double was not
 * initialised. Every call ends with fake_leave(), which gives its code back. */
unsigned fake_enter(const char *function);
unsigned fake_leave(unsigned code);

#define FAKE_CALL(function, call)                                                                  \
    do {                                                                                           \
        unsigned fake_code = fake_enter(function);                                                 \
        return fake_leave(fake_code ? fake_code : (call));                                         \
    } while (0)

/* Set while the thread runs a host function or a kernel. */
extern __thread bool fake_in_callback;

void *fake_zeroed(size_t size);
void *fake_grown(void *items, size_t count, size_t size);

/* ---- Handles: fake_cuda_object.c --------------------------------------------------------- */

void *fake_new(enum fake_kind kind, size_t size, struct CUctx_st *context);
bool fake_find(enum fake_kind kind, const void *handle);
/* Whether a handle is one that was given out and not destroyed; counts a violation where not. */
bool fake_is(enum fake_kind kind, const void *handle);
void fake_forget(void *object); /* out of the list, and freed */
size_t fake_alive(const char *kind);

/* ---- Contexts: fake_cuda_context.c ------------------------------------------------------- */

/* The thread's context: 0, or INVALID_CONTEXT, or the error that a kernel left in it. */
unsigned fake_current(struct CUctx_st **ret_context);
int fake_ordinal(int device); /* -1 where there is none */
/* All of a context but the context itself. */
void fake_clear_context(struct CUctx_st *context);
struct CUctx_st *fake_primary(const struct CUctx_st *context);
/* Gives back one retain of a primary context that is there. */
void fake_primary_release(struct CUctx_st *context);

/* ---- Streams: fake_cuda_stream.c --------------------------------------------------------- */

/* The stream of a handle, the legacy one of the current context for NULL; also its context's
 * error. */
unsigned fake_stream(struct CUstream_st *handle, struct CUstream_st **ret_stream);
/* Puts an operation (stolen) into a stream, or into the capture that the stream is in. */
unsigned fake_enqueue(struct CUstream_st *stream, struct fake_operation *operation);
/* Does the work of a stream up to an operation; releases the lock meanwhile. */
void fake_drain(struct CUstream_st *stream, unsigned long number);
void fake_drain_context(const struct CUctx_st *context);
struct fake_operation *fake_operation_new(enum fake_operation_kind kind, struct CUctx_st *context);
void fake_operation_unref(struct fake_operation *operation);
size_t fake_pending(void);
bool fake_step(void);
void fake_stream_free(struct CUstream_st *stream);
void fake_event_free(struct CUevent_st *event);
/* A context's own stream, in order with all its blocking streams. */
void fake_drain_blocking(struct CUctx_st *context);

/* ---- Captures: fake_cuda_capture.c ------------------------------------------------------- */

/* For calls that do not go into a stream and that a capture could miss, such as allocations. */
unsigned fake_check_unsafe(void);
/* For calls that use the legacy stream. */
unsigned fake_check_legacy(const struct CUctx_st *context);
/* For calls that ask or wait for a stream: they break the capture that it is in. */
unsigned fake_check_stream(struct CUstream_st *stream);
unsigned fake_check_context(const struct CUctx_st *context);
unsigned fake_capture_operation(struct CUstream_st *stream, struct fake_operation *operation);
unsigned fake_capture_record(struct CUstream_st *stream, struct CUevent_st *event);
unsigned fake_capture_wait(struct CUstream_st *stream, struct CUevent_st *event);
struct fake_capture *fake_capture_by_id(unsigned long long id);
void fake_break(struct fake_capture *capture);
/* Drops the capture of a stream that goes with its context. */
void fake_capture_forget(const struct CUstream_st *stream);

/* ---- Graphs: fake_cuda_graph.c ----------------------------------------------------------- */

struct CUgraph_st *fake_graph_new(void);
struct CUgraphNode_st *fake_graph_add(struct CUgraph_st *graph, struct fake_operation *operation,
                                      struct CUgraphNode_st **depends, size_t count);
void fake_graph_free(struct CUgraph_st *graph);
void fake_exec_free(struct CUgraphExec_st *exec);

/* ---- Memory: fake_cuda_memory.c ---------------------------------------------------------- */

/* Whether bytes lie within one live allocation. */
bool fake_is_memory(const void *address, size_t size);
void fake_release(void *address);
void fake_memory_clear(const struct CUctx_st *context);
size_t fake_memory_alive(void);

/* ---- Modules and launches: fake_cuda_module.c, fake_cuda_launch.c ------------------------ */

unsigned fake_image_read(const void *data, struct fake_image *ret_image);
void fake_image_free(struct fake_image *image);
/* A digest of a cubin, 0 for what is none. */
unsigned long long fake_image_digest(const void *data);
bool fake_image_fits(const struct fake_image *image, int device);
void fake_functions_forget(const void *owner);
/* The function of a kernel in a context, made where it is not there yet. */
unsigned fake_kernel_function(struct CUfunc_st **ret_function, struct CUkern_st *kernel,
                              struct CUctx_st *context);
void fake_module_free(struct CUmod_st *module);
void fake_library_free(struct CUlib_st *library);
/* Runs what is attached to the kernel, without the lock, and records the launch. */
void fake_run_launch(const struct fake_operation *operation, struct CUstream_st *stream,
                     bool from_graph);
void fake_launches_reset(void);
size_t fake_launches(void);
const struct fake_launch *fake_launch_at(size_t i);
void fake_attach(const char *kernel, fake_kernel function, void *data);

/* ---- Green contexts: fake_cuda_green.c --------------------------------------------------- */

void fake_green_free(struct CUgreenCtx_st *green);

#endif
