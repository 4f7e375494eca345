/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/buffer.h"
#include "util/error.h"

#define WORK (4u << 20) /* a plan of hundreds of launches needs a thousandth of it */
#define MAX_HALVINGS 128
#define MAX_NAMED 8 /* dims whose values a message tells */

/* An expression with what is required of it. */
struct requirement {
    struct cubby_expression *expression;
    int64_t low;
    int64_t high;
};

enum verdict { VERDICT_HOLDS, VERDICT_FAILS, VERDICT_UNKNOWN };

int space_open(const struct cubby_engine_dim *dims, size_t dim_count, struct space *ret_space,
               struct cubby_error *error) {
    *ret_space = (struct space){.dims = dims, .dim_count = dim_count, .work = WORK};
    ret_space->box = calloc(dim_count + 1, sizeof(*ret_space->box));
    ret_space->point = calloc(dim_count + 1, sizeof(*ret_space->point));
    ret_space->used = calloc(dim_count + 1, sizeof(*ret_space->used));
    if (ret_space->box && ret_space->point && ret_space->used)
        return 0;
    space_close(ret_space);
    return error_no_memory(error);
}

void space_close(struct space *space) {
    free(space->box);
    free(space->point);
    free(space->used);
    *space = (struct space){0};
}

/* ---- Deciding ---------------------------------------------------------------------------- */

static bool point_holds(const struct requirement *required, const int64_t *point) {
    int64_t value;

    return expression_evaluate(required->expression, point, &value) == EXPRESSION_OK &&
           value >= required->low && value <= required->high;
}

/* Looks at the box's lowest or highest corner; where the requirement fails there, the point stays.
 */
static bool corner_holds(struct space *space, const struct requirement *required, bool high) {
    for (size_t i = 0; i < space->dim_count; i++)
        space->point[i] = high ? space->box[i].high : space->box[i].low;
    return point_holds(required, space->point);
}

/* The dim whose interval is the longest of those that matter; false where all are single values. */
static bool widest(const struct space *space, size_t *ret_dim) {
    int64_t most = 0;

    for (size_t i = 0; i < space->dim_count; i++) {
        int64_t width = space->box[i].high - space->box[i].low;

        if (space->used[i] && width > most) {
            most = width;
            *ret_dim = i;
        }
    }
    return most > 0;
}

static enum verdict decide(struct space *space, const struct requirement *required, unsigned depth);

/* Each half by itself; the box is as it was unless the requirement fails. */
static enum verdict decide_halves(struct space *space, const struct requirement *required,
                                  size_t dim, unsigned depth) {
    struct interval whole = space->box[dim];
    int64_t middle = whole.low + (whole.high - whole.low) / 2;
    enum verdict low, high;

    space->box[dim] = (struct interval){whole.low, middle};
    low = decide(space, required, depth + 1);
    if (low == VERDICT_FAILS)
        return low;
    space->box[dim] = (struct interval){middle + 1, whole.high};
    high = decide(space, required, depth + 1);
    space->box[dim] = whole;
    return high == VERDICT_HOLDS ? low : high;
}

static enum verdict decide(struct space *space, const struct requirement *required,
                           unsigned depth) {
    uint64_t cost = 3 * (uint64_t)required->expression->nodes + space->dim_count;
    struct interval bounds;
    size_t dim;

    if (space->work < cost)
        return VERDICT_UNKNOWN;
    space->work -= cost;
    if (expression_bounds(required->expression, space->box, &bounds) &&
        bounds.low >= required->low && bounds.high <= required->high)
        return VERDICT_HOLDS;
    if (!corner_holds(space, required, false) || !corner_holds(space, required, true))
        return VERDICT_FAILS;
    if (!widest(space, &dim))
        return VERDICT_HOLDS; /* the box is the point that was just looked at */
    return depth < MAX_HALVINGS ? decide_halves(space, required, dim, depth) : VERDICT_UNKNOWN;
}

/* ---- Saying ------------------------------------------------------------------------------ */

struct listing {
    const struct cubby_engine_dim *dims;
    const int64_t *values;
    size_t seen[MAX_NAMED];
    size_t count;
    struct buffer text;
};

static void list_dim(struct cubby_expression *dim, void *context) {
    struct listing *listing = context;

    for (size_t i = 0; i < listing->count; i++) {
        if (listing->seen[i] == dim->dim)
            return;
    }
    if (listing->count == MAX_NAMED)
        return;
    buffer_format(&listing->text, "%s%s = %" PRId64, listing->count ? ", " : " for ",
                  listing->dims[dim->dim].name, listing->values[dim->dim]);
    listing->seen[listing->count++] = dim->dim;
}

/* " for n = 4, k = 8"; "" for a constant, and where memory is short. Released by free(). */
static char *name_values(const struct cubby_engine_dim *dims,
                         const struct cubby_expression *expression, const int64_t *values) {
    struct listing listing = {.dims = dims, .values = values, .text = BUFFER_INIT};

    expression_dims((struct cubby_expression *)expression, list_dim, &listing);
    return buffer_steal_text(&listing.text);
}

static int fail_fault(const struct cubby_engine_dim *dims,
                      const struct cubby_expression *expression, const int64_t *values,
                      enum expression_fault fault, const struct place *place,
                      struct cubby_error *error) {
    char *where = name_values(dims, expression, values);
    int result;

    if (fault == EXPRESSION_OVERFLOW)
        result =
            place_error(place, error, "it exceeds 64 bits%s: expected less", where ? where : "");
    else
        result = place_error(place, error, "a divisor is below 1%s: expected at least 1",
                             where ? where : "");
    free(where);
    return result;
}

static int fail_value(const struct space *space, const struct requirement *required,
                      const char *what, const struct place *place, struct cubby_error *error) {
    enum expression_fault fault;
    int64_t value = 0;
    char *where;
    int result;

    fault = expression_evaluate(required->expression, space->point, &value);
    if (fault != EXPRESSION_OK)
        return fail_fault(space->dims, required->expression, space->point, fault, place, error);
    where = name_values(space->dims, required->expression, space->point);
    if (required->low == required->high)
        result = place_error(place, error, "%s is %" PRId64 "%s: expected %" PRId64, what, value,
                             where ? where : "", required->low);
    else if (required->high == INT64_MAX)
        result = place_error(place, error, "%s is %" PRId64 "%s: expected at least %" PRId64, what,
                             value, where ? where : "", required->low);
    else
        result = place_error(place, error, "%s is %" PRId64 "%s: expected %" PRId64 " to %" PRId64,
                             what, value, where ? where : "", required->low, required->high);
    free(where);
    return result;
}

static void mark_used(struct cubby_expression *dim, void *context) {
    ((bool *)context)[dim->dim] = true;
}

int space_require(struct space *space, struct cubby_expression *expression, int64_t low,
                  int64_t high, const char *what, const struct place *place,
                  struct cubby_error *error) {
    struct requirement required = {expression, low, high};

    for (size_t i = 0; i < space->dim_count; i++) {
        space->box[i] = (struct interval){space->dims[i].min, space->dims[i].max};
        space->used[i] = false;
    }
    expression_dims(expression, mark_used, space->used);
    switch (decide(space, &required, 0)) {
    case VERDICT_HOLDS:
        return 0;
    case VERDICT_FAILS:
        return fail_value(space, &required, what, place, error);
    default:
        return place_error(
            place, error,
            "it takes too long to find out whether %s is right for all values of the "
            "dims: expected a simpler expression, or narrower ranges",
            what);
    }
}
