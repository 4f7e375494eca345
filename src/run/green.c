/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a device under names, for those who serve engines on them. */
#include "run/green.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver/green.h"
#include "util/error.h"

/* All that are in use, and their references. */
static pthread_mutex_t divisions_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cubby_green_division *divisions;

struct cubby_green_division {
    unsigned references;               /* the user's, and one for each engine that is bound, */
    struct cubby_green_division *next; /* both by the lock */
    struct green_division *division;
    char **names;
    size_t count;
    struct cubby_green_part parts[];
};

static int check_names(const char *const *names, size_t count, struct cubby_error *error) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) == 0)
                return error_set(error, CUBBY_ERR_INVALID,
                                 "two parts of a device are called \"%s\": give each a name of its "
                                 "own",
                                 names[i]);
        }
    }
    return 0;
}

static int copy_names(struct cubby_green_division *division, const char *const *names, size_t count,
                      struct cubby_error *error) {
    division->names = calloc(count + 1, sizeof(char *));
    if (!division->names)
        return error_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        division->names[i] = strdup(names[i]);
        if (!division->names[i])
            return error_no_memory(error);
        division->count++;
    }
    return 0;
}

static int divide(struct cubby_green_division *division, int device, unsigned multiprocessors,
                  struct cubby_error *error) {
    struct device_context *context;
    int result = device_context_get(device, &context, error);

    if (result < 0)
        return result;
    result = green_division_new(context, (unsigned)division->count, multiprocessors,
                                &division->division, error);
    device_context_unref(context);
    for (size_t i = 0; result == 0 && i < division->count; i++) {
        const struct green_part *part = &division->division->parts[i];

        division->parts[i] =
            (struct cubby_green_part){division->names[i], part->stream, part->multiprocessors};
    }
    return result;
}

static void release(struct cubby_green_division *division) {
    if (!division)
        return;
    green_division_free(division->division);
    for (size_t i = 0; i < division->count; i++)
        free(division->names[i]);
    free(division->names);
    free(division);
}

static void publish(struct cubby_green_division *division) {
    pthread_mutex_lock(&divisions_lock);
    division->references = 1;
    division->next = divisions;
    divisions = division;
    pthread_mutex_unlock(&divisions_lock);
}

int cubby_green_division_new(int device, const char *const *names, size_t count,
                             unsigned multiprocessors, struct cubby_green_division **ret_division,
                             struct cubby_error *error) {
    struct cubby_green_division *division;
    int result = check_names(names, count, error);

    if (result < 0)
        return result;
    division = calloc(1, sizeof(*division) + count * sizeof(division->parts[0]));
    result = division ? copy_names(division, names, count, error) : error_no_memory(error);
    if (result == 0)
        result = divide(division, device, multiprocessors, error);
    if (result < 0) {
        release(division);
        return result;
    }
    publish(division);
    *ret_division = division;
    return 0;
}

void cubby_green_division_free(struct cubby_green_division *division) {
    division_unref(division);
}

/* ---- Engines that are bound -------------------------------------------------------------- */

static bool has_stream(const struct cubby_green_division *division,
                       const struct CUstream_st *stream) {
    for (size_t i = 0; i < division->count; i++) {
        if (division->parts[i].stream == stream)
            return true;
    }
    return false;
}

struct cubby_green_division *division_of_stream(const struct CUstream_st *stream) {
    struct cubby_green_division *division;

    pthread_mutex_lock(&divisions_lock);
    for (division = divisions; division && !has_stream(division, stream);
         division = division->next) {
    }
    if (division)
        division->references++;
    pthread_mutex_unlock(&divisions_lock);
    return division;
}

static void take_out(const struct cubby_green_division *division) {
    struct cubby_green_division **at = &divisions;

    while (*at != division)
        at = &(*at)->next;
    *at = division->next;
}

void division_unref(struct cubby_green_division *division) {
    bool is_last;

    if (!division)
        return;
    pthread_mutex_lock(&divisions_lock);
    is_last = --division->references == 0;
    if (is_last)
        take_out(division);
    pthread_mutex_unlock(&divisions_lock);
    if (is_last)
        release(division);
}

/* ---- Its parts --------------------------------------------------------------------------- */

const struct cubby_green_part *
cubby_green_division_part(const struct cubby_green_division *division, size_t index) {
    return index < division->count ? &division->parts[index] : NULL;
}

const struct cubby_green_part *
cubby_green_division_find(const struct cubby_green_division *division, const char *name) {
    for (size_t i = 0; i < division->count; i++) {
        if (strcmp(division->names[i], name) == 0)
            return &division->parts[i];
    }
    return NULL;
}
