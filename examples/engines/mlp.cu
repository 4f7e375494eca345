// SPDX-License-Identifier: Apache-2.0
// A multilayer perceptron of two layers: y = gelu(x w1 + b1) w2 + b2, all matrices row by row.
//
// The kernels get the sizes as arguments. Where the engine has specialised them for a size, the constant
// takes the argument's place: loops have known ends, and bounds that cannot be exceeded are not looked at.

#define TILE 16

// The part of a row or column that a tile covers is whole wherever the size is a multiple of TILE.
static __device__ __forceinline__ bool inside(int index, int size) {
    return size % TILE == 0 || index < size;
}

static __device__ __forceinline__ float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}

// One element of y for each thread: a block goes along k in tiles of x and w that it shares.
template <bool ACTIVATE>
static __device__ __forceinline__ void layer(const float *__restrict__ x, const float *__restrict__ w,
                                             const float *__restrict__ b, float *__restrict__ y,
                                             int rows, int depth, int columns) {
    __shared__ float x_tile[TILE][TILE];
    __shared__ float w_tile[TILE][TILE + 1];
    int row = blockIdx.y * TILE + threadIdx.y;
    int column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;

    for (int start = 0; start < depth; start += TILE) {
        int x_column = start + threadIdx.x;
        int w_row = start + threadIdx.y;

        x_tile[threadIdx.y][threadIdx.x] =
            inside(row, rows) && inside(x_column, depth) ? x[(long long)row * depth + x_column] : 0.0f;
        w_tile[threadIdx.y][threadIdx.x] =
            inside(w_row, depth) && inside(column, columns) ? w[(long long)w_row * columns + column] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; k++)
            sum += x_tile[threadIdx.y][k] * w_tile[k][threadIdx.x];
        __syncthreads();
    }
    if (inside(row, rows) && inside(column, columns)) {
        sum += b[column];
        y[(long long)row * columns + column] = ACTIVATE ? gelu(sum) : sum;
    }
}

#ifdef CUBBY_DIM_batch
#define SPECIALISE_BATCH batch = CUBBY_DIM_batch
#else
#define SPECIALISE_BATCH
#endif
#ifdef CUBBY_DIM_features
#define SPECIALISE_FEATURES features = CUBBY_DIM_features
#else
#define SPECIALISE_FEATURES
#endif
#ifdef CUBBY_DIM_hidden
#define SPECIALISE_HIDDEN hidden = CUBBY_DIM_hidden
#else
#define SPECIALISE_HIDDEN
#endif

// Either layer: the first one activates, and goes from features to hidden, the second one goes back.
template <bool FIRST>
__global__ void mlp_layer(const float *x, const float *w, const float *b, float *y, int batch,
                          int features, int hidden) {
    SPECIALISE_BATCH;
    SPECIALISE_FEATURES;
    SPECIALISE_HIDDEN;
    if (FIRST)
        layer<true>(x, w, b, y, batch, features, hidden);
    else
        layer<false>(x, w, b, y, batch, hidden, features);
}
