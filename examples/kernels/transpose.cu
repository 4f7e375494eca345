// SPDX-License-Identifier: Apache-2.0
// Matrix transpose through a padded tile, so that reads and writes are both coalesced and shared
// memory has no bank conflicts. Block: 32 x 8 threads. Grid: ceil(columns / 32) x ceil(rows / 32).

constexpr int TILE = 32, ROWS_AT_ONCE = 8;

extern "C" __global__ void transpose(const float *__restrict__ in, float *__restrict__ out, int rows,
                                     int columns) {
    __shared__ float tile[TILE][TILE + 1];
    int column = blockIdx.x * TILE + threadIdx.x;
    int row = blockIdx.y * TILE + threadIdx.y;

    for (int i = 0; i < TILE; i += ROWS_AT_ONCE) {
        if (row + i < rows && column < columns)
            tile[threadIdx.y + i][threadIdx.x] = in[(long long)(row + i) * columns + column];
    }
    __syncthreads();
    column = blockIdx.y * TILE + threadIdx.x;
    row = blockIdx.x * TILE + threadIdx.y;
    for (int i = 0; i < TILE; i += ROWS_AT_ONCE) {
        if (row + i < columns && column < rows)
            out[(long long)(row + i) * rows + column] = tile[threadIdx.x][threadIdx.y + i];
    }
}
