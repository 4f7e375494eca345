/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file engine.h
 * Engines: kernels that run in order on tensors whose shapes are known only when they run.
 *
 * An engine *plan* describes one: *dims* with a range each, *tensors* whose shapes are expressions
 * over the dims, *programs*, and *launches* of their kernels with grid, block and arguments. It is
 * made from a JSON file (docs/engines.md) or by a builder, and is the same either way.
 *
 *     cubby_engine_plan_load("mlp.json", &plan, &error);
 *     cubby_engine_plan_evaluate(plan, (int64_t[]){32}, 1, &geometry, &error);
 *     geometry->launches[0].grid[0];
 *
 * A plan that exists is sound: for all values of its dims within their ranges, every shape is
 * positive, every launch is one that CUDA takes, and nothing overflows.
 *
 * Each program is compiled as it is (*generic*, its kernels get the dims as arguments), or for
 * given values of the dims that it names (*specialised*: CUBBY_DIM_<name> is defined as the value).
 *
 * Whatever the caller of the builder got wrong is CUBBY_ERR_INVALID, and the message begins with
 * the place in the plan as a JSON pointer, such as /launches/2/grid/0, also where it was made in C.
 *
 * Threads: plans and geometries are immutable, and any thread may use them; a builder and an
 * expression are used by one thread at a time.
 */
#ifndef CUBBY_ENGINE_H
#define CUBBY_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include <cubby/cubby.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- Types ------------------------------------------------------------------------------- */

/** Type of the elements of a tensor, or of a scalar argument. */
enum cubby_dtype {
    CUBBY_DTYPE_BOOL = 0,
    CUBBY_DTYPE_INT8 = 1,
    CUBBY_DTYPE_UINT8 = 2,
    CUBBY_DTYPE_INT16 = 3,
    CUBBY_DTYPE_UINT16 = 4,
    CUBBY_DTYPE_INT32 = 5,
    CUBBY_DTYPE_UINT32 = 6,
    CUBBY_DTYPE_INT64 = 7,
    CUBBY_DTYPE_UINT64 = 8,
    CUBBY_DTYPE_FLOAT8_E4M3 = 9,
    CUBBY_DTYPE_FLOAT8_E5M2 = 10,
    CUBBY_DTYPE_FLOAT16 = 11,
    CUBBY_DTYPE_BFLOAT16 = 12,
    CUBBY_DTYPE_FLOAT32 = 13,
    CUBBY_DTYPE_FLOAT64 = 14,
};

/** "bool", "int8", ... "float64"; a static string, NULL for no type. */
const char *cubby_dtype_name(enum cubby_dtype dtype);

/** Size of an element in bytes, 0 for no type. */
size_t cubby_dtype_size(enum cubby_dtype dtype);

/** What a tensor is to the user of the engine. */
enum cubby_role {
    CUBBY_ROLE_INPUT = 0,   /**< given by the user; never written */
    CUBBY_ROLE_OUTPUT = 1,  /**< written by some launch, for the user */
    CUBBY_ROLE_SCRATCH = 2, /**< the engine's own, between launches */
};

/** "input", "output" or "scratch"; a static string, NULL for no role. */
const char *cubby_role_name(enum cubby_role role);

/** What a launch does with a tensor. */
enum cubby_access {
    CUBBY_ACCESS_READ = 0,
    CUBBY_ACCESS_WRITE = 1,      /**< what was in it before does not matter */
    CUBBY_ACCESS_READ_WRITE = 2, /**< what was in it before matters */
};

/** "read", "write" or "read_write"; a static string, NULL for no access. */
const char *cubby_access_name(enum cubby_access access);

/* ---- Expressions ------------------------------------------------------------------------- */

/** Operators, on signed 64-bit integers. An overflow, or a divisor below 1, is an error. */
enum cubby_operator {
    CUBBY_OPERATOR_ADD = 0,
    CUBBY_OPERATOR_SUB = 1,
    CUBBY_OPERATOR_MUL = 2,
    CUBBY_OPERATOR_DIV = 3,        /**< quotient, rounded down */
    CUBBY_OPERATOR_MOD = 4,        /**< left - div * right: 0 to right - 1 */
    CUBBY_OPERATOR_CEIL_DIV = 5,   /**< quotient, rounded up */
    CUBBY_OPERATOR_ROUND_UP = 6,   /**< least multiple of right that is not below left */
    CUBBY_OPERATOR_ROUND_DOWN = 7, /**< greatest multiple of right that is not above left */
    CUBBY_OPERATOR_MIN = 8,
    CUBBY_OPERATOR_MAX = 9,
};

/** "add", ... "max", as in an engine file; a static string, NULL for no operator. */
const char *cubby_operator_name(enum cubby_operator operation);

/**
 * An integer expression over dims: a tree that has one owner.
 *
 * What makes one never fails visibly: where memory is short or the expression is no good, the
 * result stands for that, and who takes it reports it. So they can be nested without a check of
 * each.
 */
struct cubby_expression;

/** A constant. @return a new expression, never NULL */
struct cubby_expression *cubby_expression_constant(int64_t value);

/** The value of a dim. @param name copied @return a new expression, never NULL */
struct cubby_expression *cubby_expression_dim(const char *name);

/**
 * An operation. At most 256 constants, dims and operations together, nested at most 32 deep.
 * @param left stolen
 * @param right stolen
 * @return a new expression, never NULL
 */
struct cubby_expression *cubby_expression_operation(enum cubby_operator operation,
                                                    struct cubby_expression *left,
                                                    struct cubby_expression *right);

/** Releases an expression that was given to no one. NULL-safe. */
void cubby_expression_free(struct cubby_expression *expression);

/* ---- The parts of a plan ----------------------------------------------------------------- */

/** Most bytes of a name in a plan. Names are C identifiers. */
#define CUBBY_NAME_MAX 63

/** Greatest number of dimensions of a tensor. */
#define CUBBY_RANK_MAX 16

/** A size that is chosen when the engine runs: 1 <= min <= opt <= max <= 2^40. */
struct cubby_engine_dim {
    const char *name;
    int64_t min; /**< least value */
    int64_t opt; /**< the value to expect: what to prewarm for */
    int64_t max; /**< greatest value */
};

/** A tensor: contiguous, the last dimension fastest. */
struct cubby_engine_tensor {
    const char *name;
    enum cubby_dtype dtype;
    enum cubby_role role;
    size_t rank;                     /**< 0 for a single element */
    struct cubby_expression **shape; /**< so many extents, each at least 1; stolen by a builder */
};

/** A program: text or file, and how it is compiled. */
struct cubby_engine_program {
    const char *name;
    const char *path;   /**< file of the source, relative to the plan's folder; NULL for text */
    const void *source; /**< the text, UTF-8, where path is NULL; no NUL within */
    size_t size;        /**< its bytes */
    /**
     * Language (CUDA or PTX), options, in-memory headers, and for a text its name in messages. The
     * engine chooses target and architecture, and the launches name the kernels: these stay unset.
     * NULL for CUDA without options.
     */
    const struct cubby_program_options *options;
    const char *const *specialize; /**< dims that may be specialised (CUDA); none for NULL */
    size_t specialize_count;
};

/** What an argument of a launch is. */
enum cubby_argument_kind {
    CUBBY_ARGUMENT_TENSOR = 0, /**< the address of a tensor */
    CUBBY_ARGUMENT_DIM = 1,    /**< the value of a dim */
    CUBBY_ARGUMENT_SCALAR = 2, /**< a constant */
};

/** An argument of a launch. */
struct cubby_engine_argument {
    enum cubby_argument_kind kind;
    const char *name;         /**< of the tensor or dim */
    enum cubby_access access; /**< of a tensor */
    /** Shape that the kernel expects of a tensor, compared with the tensor's; NULL for not said.
     * Stolen by a builder. */
    struct cubby_expression **shape;
    size_t rank;            /**< extents in shape */
    enum cubby_dtype dtype; /**< of a dim (an integer) or scalar (no float of 8 or 16 bits) */
    int64_t integer;        /**< the scalar, where its type is an integer */
    double real;            /**< the scalar, where its type is a float; finite */
};

/** One launch of a kernel. */
struct cubby_engine_launch {
    const char *program;
    const char
        *kernel; /**< name expression, such as "scale<float>", or name of an extern "C" one */
    /** Blocks: 1 to 2^31-1, 65535, 65535; NULL for 1. Stolen by a builder. */
    struct cubby_expression *grid[3];
    /** Threads: 1 to 1024, 1024, 64, and 1 to 1024 in all; NULL for 1. Stolen by a builder. */
    struct cubby_expression *block[3];
    /** Bytes of dynamic shared memory, 0 to 2^31-1; NULL for 0. Stolen by a builder. */
    struct cubby_expression *shared_bytes;
    const struct cubby_engine_argument *arguments; /**< in the kernel's order */
    size_t argument_count;
};

/* ---- Making a plan ----------------------------------------------------------------------- */

/** What an engine is and does. Immutable. */
struct cubby_engine_plan;

/**
 * Reads an engine file; sources are looked for beside it. docs/engines.md describes its form.
 * @param[out] ret_plan new reference
 * @return 0; INVALID with the place in the document, or with line and column where it is no JSON;
 * IO where the file or one of its sources cannot be read
 */
int cubby_engine_plan_load(const char *path, struct cubby_engine_plan **ret_plan,
                           struct cubby_error *error);

/**
 * As cubby_engine_plan_load(), of a text.
 * @param text JSON, borrowed; need not end in NUL
 * @param folder where relative paths of sources start; NULL for the current folder
 */
int cubby_engine_plan_parse(const char *text, size_t size, const char *folder,
                            struct cubby_engine_plan **ret_plan, struct cubby_error *error);

/** Takes parts, in any order, and makes a plan of them. */
struct cubby_engine_builder;

/**
 * Begins a plan.
 * @param name of the engine: an identifier, copied
 * @param folder where relative paths of sources start; NULL for the current folder
 * @param[out] ret_builder new, released by cubby_engine_builder_free()
 */
int cubby_engine_builder_new(const char *name, const char *folder,
                             struct cubby_engine_builder **ret_builder, struct cubby_error *error);

/** Releases a builder. NULL-safe. */
void cubby_engine_builder_free(struct cubby_engine_builder *builder);

/** Adds a dim; all of it is copied. */
int cubby_engine_builder_add_dim(struct cubby_engine_builder *builder,
                                 const struct cubby_engine_dim *dim, struct cubby_error *error);

/** Adds a tensor: its expressions are stolen, the rest is copied. */
int cubby_engine_builder_add_tensor(struct cubby_engine_builder *builder,
                                    const struct cubby_engine_tensor *tensor,
                                    struct cubby_error *error);

/**
 * Adds a program; all of it is copied, and a file is read at once.
 * @return 0, INVALID, or IO where the file cannot be read
 */
int cubby_engine_builder_add_program(struct cubby_engine_builder *builder,
                                     const struct cubby_engine_program *program,
                                     struct cubby_error *error);

/** Adds a launch, which runs after those added before: its expressions are stolen, the rest is
 * copied. */
int cubby_engine_builder_add_launch(struct cubby_engine_builder *builder,
                                    const struct cubby_engine_launch *launch,
                                    struct cubby_error *error);

/**
 * Checks the whole and makes a plan of it. The builder is empty afterwards, also on failure, and
 * only to be released.
 * @param[out] ret_plan new reference
 */
int cubby_engine_builder_finish(struct cubby_engine_builder *builder,
                                struct cubby_engine_plan **ret_plan, struct cubby_error *error);

/** Takes one more reference. NULL-safe. @return @p plan */
struct cubby_engine_plan *cubby_engine_plan_ref(struct cubby_engine_plan *plan);

/** Drops a reference. NULL-safe. */
void cubby_engine_plan_unref(struct cubby_engine_plan *plan);

/* ---- What is in a plan ------------------------------------------------------------------- */

/** Name of the engine, borrowed. */
const char *cubby_engine_plan_name(const struct cubby_engine_plan *plan);

/** A dim, borrowed; NULL past the last. */
const struct cubby_engine_dim *cubby_engine_plan_dim(const struct cubby_engine_plan *plan,
                                                     size_t index);

/** A tensor, borrowed; NULL past the last. */
const struct cubby_engine_tensor *cubby_engine_plan_tensor(const struct cubby_engine_plan *plan,
                                                           size_t index);

/** A program, borrowed; NULL past the last. Its source is there also where it came from a file. */
const struct cubby_engine_program *cubby_engine_plan_program(const struct cubby_engine_plan *plan,
                                                             size_t index);

/** A launch, borrowed; NULL past the last. */
const struct cubby_engine_launch *cubby_engine_plan_launch(const struct cubby_engine_plan *plan,
                                                           size_t index);

/**
 * The plan as an engine file: JSON in one spelling, so that equal plans give equal texts. A program
 * from a file is named by its path, one from a text has it inside.
 * @param[out] ret_text NUL-terminated, released by free()
 */
int cubby_engine_plan_to_json(const struct cubby_engine_plan *plan, char **ret_text,
                              struct cubby_error *error);

/**
 * A digest of all that is in the plan, the texts of its sources included: two plans that differ in
 * anything have different identities. What header files hold is not part of it; the keys of the
 * compiled programs tell that.
 */
void cubby_engine_plan_identity(const struct cubby_engine_plan *plan, struct cubby_key *ret_key);

/* ---- Values of the dims ------------------------------------------------------------------ */

/** A tensor for given values of the dims. */
struct cubby_tensor_geometry {
    size_t rank;
    const int64_t *shape; /**< so many extents */
    uint64_t bytes;       /**< size in memory */
};

/** A launch for given values of the dims. */
struct cubby_launch_geometry {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t shared_bytes; /**< dynamic shared memory */
};

/** All of a plan for given values of the dims, in the plan's order. */
struct cubby_engine_geometry {
    size_t tensor_count;
    const struct cubby_tensor_geometry *tensors;
    size_t launch_count;
    const struct cubby_launch_geometry *launches;
};

/**
 * Computes shapes, sizes and launches.
 * @param dims a value for each dim, in the plan's order
 * @param dim_count number of values
 * @param[out] ret_geometry new, released by cubby_engine_geometry_free()
 * @return 0, or INVALID naming the dim, its value and its range
 */
int cubby_engine_plan_evaluate(const struct cubby_engine_plan *plan, const int64_t *dims,
                               size_t dim_count, struct cubby_engine_geometry **ret_geometry,
                               struct cubby_error *error);

/** Releases a geometry. NULL-safe. */
void cubby_engine_geometry_free(struct cubby_engine_geometry *geometry);

/* ---- Compiling --------------------------------------------------------------------------- */

/**
 * One of the plan's programs, ready for cubby_compile(): to a cubin, with the kernels that launches
 * name as name expressions.
 * @param index of the program in the plan
 * @param arch such as "sm_90"; NULL for the compiler's default
 * @param dims NULL for the generic program; else a value for each dim in the plan's order, of which
 *        those that the program specialises are used
 * @param options further options for a program of CUDA C++, such as where headers lie; PTX, whose
 *        compiler knows other ones, is compiled without them
 * @param option_count number of them
 * @param[out] ret_program new reference
 * @return 0, or INVALID, also for a value outside of its dim's range, and for an option that names
 *         an architecture or speaks of CUBBY_DIM_
 */
int cubby_engine_plan_get_program(const struct cubby_engine_plan *plan, size_t index,
                                  const char *arch, const int64_t *dims, const char *const *options,
                                  size_t option_count, struct cubby_program **ret_program,
                                  struct cubby_error *error);

/**
 * Compares the arguments of all launches of a program with the parameters that the kernels take, as
 * the compiled object tells them: their number, and the size of each.
 * @param index of the program in the plan
 * @param object a cubin made of it
 * @return 0; INVALID naming launch and argument; CORRUPT where the object is no sound cubin;
 *         NOT_FOUND where it lacks a kernel
 */
int cubby_engine_plan_check_object(const struct cubby_engine_plan *plan, size_t index,
                                   const struct cubby_object *object, struct cubby_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
