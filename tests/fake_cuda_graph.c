/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs of the driver's double: nodes in the order in which they were made, which is one in which
 * they can be done. */
#include <stdlib.h>
#include <string.h>

#include "fake_cuda_state.h"

struct CUgraph_st *fake_graph_new(void) {
    return fake_new(FAKE_GRAPH, sizeof(struct CUgraph_st), NULL);
}

static unsigned type_of(const struct fake_operation *operation) {
    switch (operation->kind) {
    case FAKE_LAUNCH:
        return DRIVER_GRAPH_NODE_TYPE_KERNEL;
    case FAKE_COPY:
        return DRIVER_GRAPH_NODE_TYPE_MEMCPY;
    case FAKE_FILL:
        return DRIVER_GRAPH_NODE_TYPE_MEMSET;
    case FAKE_HOST:
        return DRIVER_GRAPH_NODE_TYPE_HOST;
    case FAKE_REPLAY:
        return DRIVER_GRAPH_NODE_TYPE_GRAPH;
    default:
        return DRIVER_GRAPH_NODE_TYPE_EMPTY;
    }
}

struct CUgraphNode_st *fake_graph_add(struct CUgraph_st *graph, struct fake_operation *operation,
                                      struct CUgraphNode_st **depends, size_t count) {
    struct CUgraphNode_st *node = fake_zeroed(sizeof(*node));

    node->operation = operation;
    node->type = type_of(operation);
    node->index = graph->count;
    node->depends = fake_zeroed(count * sizeof(*node->depends));
    node->depends_count = count;
    for (size_t i = 0; i < count; i++) {
        node->depends[i] = depends[i];
        depends[i]->joined = true;
    }
    graph->nodes = fake_grown(graph->nodes, graph->count + 1, sizeof(*graph->nodes));
    graph->nodes[graph->count++] = node;
    return node;
}

static void free_nodes(struct CUgraphNode_st **nodes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fake_operation_unref(nodes[i]->operation);
        free(nodes[i]->depends);
        free(nodes[i]);
    }
    free(nodes);
}

void fake_graph_free(struct CUgraph_st *graph) {
    free_nodes(graph->nodes, graph->count);
    fake_forget(graph);
}

static bool is_being_captured(const struct CUgraph_st *graph) {
    for (const struct fake_capture *capture = fake.captures; capture; capture = capture->next) {
        if (capture->graph == graph)
            return true;
    }
    return false;
}

/* INVALID_VALUE for what is no graph, and for one that is still being captured. */
static unsigned find_graph(struct CUgraph_st *graph) {
    if (!fake_is(FAKE_GRAPH, graph) || is_being_captured(graph))
        return DRIVER_ERROR_INVALID_VALUE;
    return 0;
}

static unsigned destroy_graph(struct CUgraph_st *graph) {
    unsigned code = find_graph(graph);

    if (code == 0)
        fake_graph_free(graph);
    return code;
}

unsigned cuGraphDestroy(struct CUgraph_st *graph) {
    FAKE_CALL("cuGraphDestroy", destroy_graph(graph));
}

/* [cuGraphGetNodes] With NULL, only the number; what there is less of than room is NULL. */
static unsigned get_nodes(struct CUgraph_st *graph, struct CUgraphNode_st **nodes, size_t *count) {
    if (!fake_is(FAKE_GRAPH, graph))
        return DRIVER_ERROR_INVALID_VALUE;
    if (!nodes) {
        *count = graph->count;
        return 0;
    }
    for (size_t i = 0; i < *count; i++)
        nodes[i] = i < graph->count ? graph->nodes[i] : NULL;
    if (*count > graph->count)
        *count = graph->count;
    return 0;
}

unsigned cuGraphGetNodes(struct CUgraph_st *graph, struct CUgraphNode_st **nodes, size_t *count) {
    FAKE_CALL("cuGraphGetNodes", get_nodes(graph, nodes, count));
}

static unsigned get_type(struct CUgraphNode_st *node, unsigned *type) {
    for (const struct fake_object *object = fake.objects[FAKE_GRAPH]; object;
         object = object->next) {
        const struct CUgraph_st *graph = (const struct CUgraph_st *)object;

        for (size_t i = 0; i < graph->count; i++) {
            if (graph->nodes[i] == node) {
                *type = node->type;
                return 0;
            }
        }
    }
    fake.violations++;
    return DRIVER_ERROR_INVALID_VALUE;
}

unsigned cuGraphNodeGetType(struct CUgraphNode_st *node, unsigned *type) {
    FAKE_CALL("cuGraphNodeGetType", get_type(node, type));
}

/* ---- Executable graphs ------------------------------------------------------------------- */

static struct CUgraphNode_st **copy_nodes(const struct CUgraph_st *graph) {
    struct CUgraphNode_st **nodes = fake_zeroed(graph->count * sizeof(*nodes));

    for (size_t i = 0; i < graph->count; i++) {
        const struct CUgraphNode_st *from = graph->nodes[i];

        nodes[i] = fake_zeroed(sizeof(**nodes));
        *nodes[i] = *from;
        nodes[i]->operation->references++;
        nodes[i]->depends = fake_zeroed(from->depends_count * sizeof(*from->depends));
        for (size_t k = 0; k < from->depends_count; k++)
            nodes[i]->depends[k] = nodes[from->depends[k]->index];
    }
    return nodes;
}

/* That it allocates, and so is unsafe in a thread that captures, is the stricter reading. */
static unsigned instantiate(struct CUgraphExec_st **ret_exec, struct CUgraph_st *graph,
                            unsigned long long flags) {
    struct CUctx_st *context;
    unsigned code = fake_current(&context);

    if (code == 0)
        code = find_graph(graph);
    if (code == 0 && flags != 0)
        code = DRIVER_ERROR_NOT_SUPPORTED; /* by the double */
    if (code == 0)
        code = fake_check_unsafe();
    if (code)
        return code;
    *ret_exec = fake_new(FAKE_EXEC, sizeof(**ret_exec), fake_primary(context));
    (*ret_exec)->nodes = copy_nodes(graph);
    (*ret_exec)->count = graph->count;
    return 0;
}

unsigned cuGraphInstantiateWithFlags(struct CUgraphExec_st **ret_exec, struct CUgraph_st *graph,
                                     unsigned long long flags) {
    FAKE_CALL("cuGraphInstantiateWithFlags", instantiate(ret_exec, graph, flags));
}

void fake_exec_free(struct CUgraphExec_st *exec) {
    free_nodes(exec->nodes, exec->count);
    fake_forget(exec);
}

static unsigned destroy_exec(struct CUgraphExec_st *exec) {
    if (!fake_is(FAKE_EXEC, exec))
        return DRIVER_ERROR_INVALID_VALUE;
    fake_exec_free(exec);
    return 0;
}

unsigned cuGraphExecDestroy(struct CUgraphExec_st *exec) {
    FAKE_CALL("cuGraphExecDestroy", destroy_exec(exec));
}

static struct fake_operation *replay_of(const struct CUgraphExec_st *exec,
                                        struct CUctx_st *context) {
    struct fake_operation *replay = fake_operation_new(FAKE_REPLAY, context);

    replay->nodes = fake_zeroed(exec->count * sizeof(*replay->nodes));
    replay->node_count = exec->count;
    for (size_t i = 0; i < exec->count; i++) {
        replay->nodes[i] = exec->nodes[i]->operation;
        replay->nodes[i]->references++;
    }
    return replay;
}

/* [cuGraphLaunch] Behind what is in the stream, and behind earlier launches of the same exec. */
static unsigned launch(struct CUgraphExec_st *exec, struct CUstream_st *handle) {
    struct CUstream_st *stream;
    unsigned code = fake_stream(handle, &stream);

    if (code)
        return code;
    if (!fake_is(FAKE_EXEC, exec))
        return DRIVER_ERROR_INVALID_VALUE;
    if (stream->capture)
        return fake_enqueue(stream, replay_of(exec, stream->object.context));
    if (exec->last_stream && exec->last_stream != stream)
        fake_drain(exec->last_stream, exec->last_number);
    exec->last_stream = stream;
    exec->last_number = stream->queued + 1;
    return fake_enqueue(stream, replay_of(exec, stream->object.context));
}

unsigned cuGraphLaunch(struct CUgraphExec_st *exec, struct CUstream_st *stream) {
    FAKE_CALL("cuGraphLaunch", launch(exec, stream));
}

/* ---- Update ------------------------------------------------------------------------------ */

static bool same_dependencies(const struct CUgraphNode_st *left,
                              const struct CUgraphNode_st *right) {
    if (left->depends_count != right->depends_count)
        return false;
    for (size_t i = 0; i < left->depends_count; i++) {
        if (left->depends[i]->index != right->depends[i]->index)
            return false;
    }
    return true;
}

/* [cuGraphExecUpdate] What a node may not change. */
static unsigned compare_nodes(const struct CUgraphNode_st *have,
                              const struct CUgraphNode_st *want) {
    const struct fake_operation *old = have->operation, *new = want->operation;

    if (!same_dependencies(have, want))
        return DRIVER_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    if (have->type != want->type)
        return DRIVER_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    /* "The owning context of the function cannot change"; nor can it become cooperative. */
    if (old->kind == FAKE_LAUNCH &&
        (old->context != new->context || old->cooperative != new->cooperative))
        return DRIVER_GRAPH_EXEC_UPDATE_ERROR_FUNCTION_CHANGED;
    /* "Changing either the source or destination memory type is not supported." */
    if (old->kind == FAKE_COPY &&
        (old->to_device != new->to_device || old->from_device != new->from_device))
        return DRIVER_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    /* A child graph may change within the same rules; the double has it stay as large. */
    if (old->kind == FAKE_REPLAY && old->node_count != new->node_count)
        return DRIVER_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    return DRIVER_GRAPH_EXEC_UPDATE_SUCCESS;
}

static unsigned compare(const struct CUgraphExec_st *exec, const struct CUgraph_st *graph,
                        struct CUgraphNode_st **ret_node) {
    *ret_node = NULL;
    if (exec->count != graph->count)
        return DRIVER_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (size_t i = 0; i < graph->count; i++) {
        unsigned outcome = compare_nodes(exec->nodes[i], graph->nodes[i]);

        if (outcome) {
            *ret_node = graph->nodes[i];
            return outcome;
        }
    }
    return DRIVER_GRAPH_EXEC_UPDATE_SUCCESS;
}

static unsigned update(struct CUgraphExec_st *exec, struct CUgraph_st *graph,
                       struct CUgraphNode_st **ret_node, unsigned *outcome) {
    unsigned code;

    *outcome = DRIVER_GRAPH_EXEC_UPDATE_ERROR;
    if (!fake_is(FAKE_EXEC, exec) || find_graph(graph))
        return DRIVER_ERROR_INVALID_VALUE;
    code = fake_check_unsafe(); /* as instantiate() */
    if (code)
        return code;
    *outcome = compare(exec, graph, ret_node);
    if (*outcome)
        return DRIVER_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    free_nodes(exec->nodes, exec->count);
    exec->nodes = copy_nodes(graph);
    return 0;
}

unsigned cuGraphExecUpdate(struct CUgraphExec_st *exec, struct CUgraph_st *graph,
                           struct CUgraphNode_st **node, unsigned *outcome) {
    FAKE_CALL("cuGraphExecUpdate", update(exec, graph, node, outcome));
}

static unsigned update_with_info(struct CUgraphExec_st *exec, struct CUgraph_st *graph,
                                 struct CUgraphExecUpdateResultInfo_st *info) {
    info->errorFromNode = NULL;
    return update(exec, graph, &info->errorNode, &info->result);
}

unsigned cuGraphExecUpdate_v2(struct CUgraphExec_st *exec, struct CUgraph_st *graph,
                              struct CUgraphExecUpdateResultInfo_st *info) {
    FAKE_CALL("cuGraphExecUpdate_v2", update_with_info(exec, graph, info));
}
