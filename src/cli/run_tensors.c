/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/npy.h"
#include "cli/random.h"
#include "cli/report.h"
#include "util/buffer.h"
#include "util/error.h"
#include "util/json.h"

void file_args_add(struct file_args *args, const char *text) {
    const char **grown = realloc(args->texts, (args->count + 1) * sizeof(*grown));

    if (!grown)
        out_of_memory();
    args->texts = grown;
    grown[args->count++] = text;
}

static int no_memory_for(const struct cubby_engine_tensor *tensor, uint64_t bytes,
                         struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_NO_MEMORY,
                     "out of memory: the host has no %" PRIu64 " bytes for the %s %s; run a "
                     "smaller shape",
                     bytes, cubby_role_name(tensor->role), tensor->name);
}

/* ---- Which tensors are meant ------------------------------------------------------------- */

static int add_item(struct run_tensors *tensors, const struct cubby_engine_tensor *tensor,
                    size_t index, struct cubby_error *error) {
    struct run_tensor *grown = realloc(tensors->items, (tensors->count + 1) * sizeof(*grown));

    if (!grown)
        return error_no_memory(error);
    tensors->items = grown;
    grown[tensors->count++] = (struct run_tensor){.tensor = tensor, .index = index};
    return 0;
}

static int list_tensors(struct run_tensors *tensors, struct cubby_error *error) {
    const struct cubby_engine_tensor *tensor;
    int result = 0;

    for (size_t i = 0; result == 0 && (tensor = cubby_engine_plan_tensor(tensors->plan, i)); i++) {
        if (tensor->role != CUBBY_ROLE_SCRATCH)
            result = add_item(tensors, tensor, i, error);
    }
    return result;
}

/* Names the tensors of that role. */
static int no_such_tensor(const struct run_tensors *tensors, const char *text, size_t length,
                          enum cubby_role role, struct cubby_error *error) {
    struct buffer list = BUFFER_INIT;
    const char *before = "";
    char *names;

    for (size_t i = 0; i < tensors->count; i++) {
        if (tensors->items[i].tensor->role == role) {
            buffer_format(&list, "%s%s", before, tensors->items[i].tensor->name);
            before = ", ";
        }
    }
    names = buffer_steal_text(&list);
    if (!names)
        return error_no_memory(error);
    error_set(
        error, CUBBY_ERR_INVALID, "--%s %.200s: the engine %s has no %s \"%.*s\"; it has %s%.400s",
        cubby_role_name(role), text, cubby_engine_plan_name(tensors->plan), cubby_role_name(role),
        (int)(length < 100 ? length : 100), text, *names ? "" : "none", names);
    free(names);
    return CUBBY_ERR_INVALID;
}

static int bind_file(struct run_tensors *tensors, const char *text, enum cubby_role role,
                     struct cubby_error *error) {
    size_t length = strcspn(text, "=");

    if (text[length] != '=' || length == 0 || text[length + 1] == '\0')
        return error_set(error, CUBBY_ERR_INVALID, "--%s %.200s: expected NAME=FILE, as in x=x.npy",
                         cubby_role_name(role), text);
    for (size_t i = 0; i < tensors->count; i++) {
        struct run_tensor *item = &tensors->items[i];

        if (item->tensor->role != role || strncmp(item->tensor->name, text, length) != 0 ||
            item->tensor->name[length] != '\0')
            continue;
        if (item->path)
            return error_set(error, CUBBY_ERR_INVALID, "--%s %.200s: %s has a file already, %.200s",
                             cubby_role_name(role), text, item->tensor->name, item->path);
        item->path = text + length + 1;
        return 0;
    }
    return no_such_tensor(tensors, text, length, role, error);
}

static int bind_files(struct run_tensors *tensors, const struct file_args *args,
                      enum cubby_role role, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < args->count; i++)
        result = bind_file(tensors, args->texts[i], role, error);
    return result;
}

/* ---- Outputs before anything runs -------------------------------------------------------- */

/* Standard output may take several, one after the other, as numpy.load() reads them. */
static int check_distinct(const struct run_tensors *tensors, const struct run_tensor *item,
                          struct cubby_error *error) {
    for (const struct run_tensor *other = tensors->items; other < item; other++) {
        if (other->path && other->tensor->role == CUBBY_ROLE_OUTPUT &&
            strcmp(other->path, item->path) == 0 && strcmp(item->path, "-") != 0)
            return error_set(error, CUBBY_ERR_INVALID,
                             "--output %s=%.400s: the output %s would be written there too: "
                             "expected a file for each",
                             item->tensor->name, item->path, other->tensor->name);
    }
    return 0;
}

static int check_folder(const char *path, struct cubby_error *error) {
    struct stat status;
    int errnum;

    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        return error_set(error, CUBBY_ERR_INVALID, "cannot write to %.400s: it is no folder", path);
    if (access(path, W_OK | X_OK) == 0)
        return 0;
    errnum = errno;
    return error_set(error, CUBBY_ERR_INVALID, "cannot write to the folder %.400s: %s", path,
                     strerror(errnum));
}

/* The folder of a file that is to be made. */
static int check_folder_of(const char *path, struct cubby_error *error) {
    const char *slash = strrchr(path, '/');
    char *folder;
    int result;

    if (!slash || access(path, F_OK) == 0)
        return 0; /* what is there may be a device in a folder that is read-only */
    folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!folder)
        return error_no_memory(error);
    result = check_folder(folder, error);
    free(folder);
    return result;
}

static int check_outputs(const struct run_tensors *tensors, struct cubby_error *error) {
    const struct tensor_args *args = tensors->args;
    int result = args->output_dir ? check_folder(args->output_dir, error) : 0;

    if (result == 0 && args->outputs.count > 0 && tensors->shape_count > 1)
        result = error_set(error, CUBBY_ERR_INVALID,
                           "--output %.200s: %zu shapes would all be written there: give one "
                           "shape, or --output-dir",
                           args->outputs.texts[0], tensors->shape_count);
    for (size_t i = 0; result == 0 && i < tensors->count; i++) {
        const struct run_tensor *item = &tensors->items[i];

        if (!item->path || item->tensor->role != CUBBY_ROLE_OUTPUT)
            continue;
        result = check_folder_of(item->path, error);
        if (result == 0)
            result = check_distinct(tensors, item, error);
    }
    return result;
}

/* ---- Dims that inputs tell --------------------------------------------------------------- */

static bool find_dim(const struct cubby_engine_plan *plan, const char *name, size_t *ret_dim) {
    const struct cubby_engine_dim *dim;

    for (size_t i = 0; (dim = cubby_engine_plan_dim(plan, i)); i++) {
        if (strcmp(dim->name, name) == 0) {
            *ret_dim = i;
            return true;
        }
    }
    return false;
}

/* The first input that tells a dim decides; the others are compared with what it said. */
static void set_dim(struct shapes *shapes, size_t dim, int64_t value) {
    for (size_t s = 0; s < shapes->count; s++) {
        size_t at = s * shapes->dim_count + dim;

        if (!shapes->given[at])
            shapes->values[at] = value;
        shapes->given[at] = true;
    }
}

/* extents: the tensor's shape as an engine file has it, where a dim alone is a string. */
static void set_dims(const struct cubby_engine_plan *plan, const json_t *extents,
                     const struct npy_header *header, struct shapes *shapes) {
    const json_t *extent;
    size_t i, dim;

    if (json_array_size(extents) != header->rank)
        return;
    json_array_foreach(extents, i, extent) {
        if (json_is_string(extent) && find_dim(plan, json_string_value(extent), &dim))
            set_dim(shapes, dim, header->shape[i]);
    }
}

/* The shape of a tensor as an engine file has it, new. */
static int describe_shape(const struct cubby_engine_plan *plan, size_t tensor, json_t **ret_extents,
                          struct cubby_error *error) {
    char *text = NULL;
    int result = cubby_engine_plan_to_json(plan, &text, error);
    json_t *document;

    if (result < 0)
        return result;
    document = whole_json(text, strlen(text), 0, NULL);
    *ret_extents = json_incref(
        json_object_get(json_array_get(json_object_get(document, "tensors"), tensor), "shape"));
    json_decref(document);
    free(text);
    return *ret_extents ? 0 : error_no_memory(error);
}

/* ---- Inputs from files ------------------------------------------------------------------- */

static int check_shape(const struct run_tensors *tensors, const struct run_tensor *item,
                       const struct npy_file *file, const struct shapes *shapes, size_t shape,
                       uint64_t *ret_bytes, struct cubby_error *error) {
    struct cubby_engine_geometry *geometry = NULL;
    const struct cubby_tensor_geometry *tensor;
    int result = cubby_engine_plan_evaluate(tensors->plan, shapes_at(shapes, shape),
                                            shapes->dim_count, &geometry, error);

    if (result < 0)
        return result;
    tensor = &geometry->tensors[item->index];
    *ret_bytes = tensor->bytes;
    result = npy_check(file, item->tensor->name, item->tensor->dtype, tensor->rank, tensor->shape,
                       error);
    cubby_engine_geometry_free(geometry);
    return result;
}

static int read_open(const struct run_tensors *tensors, struct run_tensor *item,
                     struct npy_file *file, struct shapes *shapes, struct cubby_error *error) {
    json_t *extents = NULL;
    uint64_t bytes = 0;
    int result = describe_shape(tensors->plan, item->index, &extents, error);

    if (result == 0)
        set_dims(tensors->plan, extents, &file->header, shapes);
    json_decref(extents);
    for (size_t i = 0; result == 0 && i < shapes->count; i++)
        result = check_shape(tensors, item, file, shapes, i, &bytes, error);
    if (result < 0)
        return result;
    item->data = malloc(bytes);
    return item->data ? npy_read(file, item->data, bytes, error)
                      : no_memory_for(item->tensor, bytes, error);
}

static int read_inputs(struct run_tensors *tensors, struct shapes *shapes,
                       struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < tensors->count; i++) {
        struct run_tensor *item = &tensors->items[i];
        struct npy_file file;

        if (!item->path || item->tensor->role != CUBBY_ROLE_INPUT)
            continue;
        result = npy_open(item->path, &file, error);
        if (result == 0)
            result = read_open(tensors, item, &file, shapes, error);
        npy_close(&file);
    }
    return result;
}

/* The values of many dims may be more than a name of a file can hold: better told now than after
 * the work. */
static int check_names(const struct run_tensors *tensors, const struct shapes *shapes,
                       struct cubby_error *error) {
    const size_t longest = NAME_MAX - strlen(".XXXXXX"); /* of the temporary file */
    int result = 0;

    for (size_t i = 0; result == 0 && i < tensors->count; i++) {
        const struct run_tensor *item = &tensors->items[i];

        if (item->path || item->tensor->role != CUBBY_ROLE_OUTPUT)
            continue;
        for (size_t s = 0; result == 0 && s < shapes->count; s++) {
            char *dims = shape_text(tensors->plan, shapes_at(shapes, s));
            size_t length = strlen(item->tensor->name) + strlen(dims) + strlen("..npy");

            if (length > longest)
                result =
                    error_set(error, CUBBY_ERR_INVALID,
                              "--output-dir %.200s: the file of %s for %.200s would have a "
                              "name of %zu bytes: expected at most %zu; run one shape at a "
                              "time",
                              tensors->args->output_dir, item->tensor->name, dims, length, longest);
            free(dims);
        }
    }
    return result;
}

int run_tensors_new(const struct cubby_engine_plan *plan, const struct tensor_args *args,
                    struct shapes *shapes, struct run_tensors *ret_tensors,
                    struct cubby_error *error) {
    int result;

    *ret_tensors = (struct run_tensors){.plan = plan, .args = args, .shape_count = shapes->count};
    result = list_tensors(ret_tensors, error);
    if (result == 0)
        result = bind_files(ret_tensors, &args->inputs, CUBBY_ROLE_INPUT, error);
    if (result == 0)
        result = bind_files(ret_tensors, &args->outputs, CUBBY_ROLE_OUTPUT, error);
    if (result == 0)
        result = check_outputs(ret_tensors, error);
    if (result == 0)
        result = read_inputs(ret_tensors, shapes, error);
    if (result == 0 && args->output_dir && shapes->count > 1)
        result = check_names(ret_tensors, shapes, error);
    if (result < 0)
        run_tensors_clear(ret_tensors);
    return result;
}

void run_tensors_clear(struct run_tensors *tensors) {
    run_tensors_release(tensors);
    for (size_t i = 0; i < tensors->count; i++)
        free(tensors->items[i].data);
    free(tensors->items);
    *tensors = (struct run_tensors){0};
}

/* ---- On the device ----------------------------------------------------------------------- */

/* Contents for a tensor that has no file: an input's numbers, an output's zeros. */
static int fill_alone(const struct run_tensors *tensors, const struct run_tensor *item,
                      uint64_t bytes, struct cubby_error *error) {
    void *data = calloc(1, bytes);
    int result;

    if (!data)
        return no_memory_for(item->tensor, bytes, error);
    if (item->tensor->role == CUBBY_ROLE_INPUT)
        random_fill(tensors->args->seed, item->tensor->name, item->tensor->dtype, data,
                    bytes / cubby_dtype_size(item->tensor->dtype));
    result = cubby_device_memory_write(item->memory, 0, data, bytes, error);
    free(data);
    return result;
}

int run_tensors_place(struct run_tensors *tensors, int device,
                      const struct cubby_engine_geometry *geometry,
                      struct cubby_engine_buffer *buffers, struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < tensors->count; i++) {
        struct run_tensor *item = &tensors->items[i];
        uint64_t bytes = geometry->tensors[item->index].bytes;

        result = cubby_device_memory_new(device, bytes, &item->memory, error);
        if (result < 0)
            break;
        buffers[i] = (struct cubby_engine_buffer){cubby_device_memory_address(item->memory), bytes};
        result = item->data ? cubby_device_memory_write(item->memory, 0, item->data, bytes, error)
                            : fill_alone(tensors, item, bytes, error);
    }
    return result;
}

void run_tensors_release(struct run_tensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++) {
        cubby_device_memory_free(tensors->items[i].memory);
        tensors->items[i].memory = NULL;
    }
}

/* ---- Outputs to files -------------------------------------------------------------------- */

/* Where an output goes, new; NULL where it is not kept. */
static char *path_of(const struct run_tensors *tensors, const struct run_tensor *item,
                     const int64_t *shape) {
    const char *folder = tensors->args->output_dir;
    char *path = NULL, *dims;
    int length;

    if (item->path) {
        length = asprintf(&path, "%s", item->path);
    } else if (!folder) {
        return NULL;
    } else {
        dims = shape_text(tensors->plan, shape);
        length = tensors->shape_count > 1
                     ? asprintf(&path, "%s/%s.%s.npy", folder, item->tensor->name, dims)
                     : asprintf(&path, "%s/%s.npy", folder, item->tensor->name);
        free(dims);
    }
    if (length < 0)
        out_of_memory();
    return path;
}

static int save_output(const struct run_tensor *item, const struct cubby_tensor_geometry *geometry,
                       const char *path, struct cubby_error *error) {
    void *data = malloc(geometry->bytes);
    int result = data ? cubby_device_memory_read(item->memory, 0, data, geometry->bytes, error)
                      : no_memory_for(item->tensor, geometry->bytes, error);

    if (result == 0)
        result = npy_write(path, item->tensor->dtype, geometry->rank, geometry->shape, data,
                           geometry->bytes, error);
    free(data);
    return result;
}

int run_tensors_save(const struct run_tensors *tensors, const int64_t *shape,
                     const struct cubby_engine_geometry *geometry, json_t *files,
                     struct cubby_error *error) {
    int result = 0;

    for (size_t i = 0; result == 0 && i < tensors->count; i++) {
        const struct run_tensor *item = &tensors->items[i];
        char *path;

        if (item->tensor->role != CUBBY_ROLE_OUTPUT || !(path = path_of(tensors, item, shape)))
            continue;
        result = save_output(item, &geometry->tensors[item->index], path, error);
        if (result == 0)
            json_add(files, item->tensor->name, text_json(path));
        free(path);
    }
    return result;
}
