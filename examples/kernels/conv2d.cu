// SPDX-License-Identifier: Apache-2.0
// 5 x 5 convolution of one image with zero padding; the filter lies in constant memory.
// Block: 16 x 16 threads. Grid: ceil(width / 16) x ceil(height / 16).

constexpr int RADIUS = 2, TILE = 16, PADDED = TILE + 2 * RADIUS;

extern "C" {
__constant__ float filter[(2 * RADIUS + 1) * (2 * RADIUS + 1)];
}

extern "C" __global__ void conv2d(const float *__restrict__ in, float *__restrict__ out, int width,
                                  int height) {
    __shared__ float tile[PADDED][PADDED];
    int left = blockIdx.x * TILE - RADIUS, top = blockIdx.y * TILE - RADIUS;

    for (int i = threadIdx.y * TILE + threadIdx.x; i < PADDED * PADDED; i += TILE * TILE) {
        int x = left + i % PADDED, y = top + i / PADDED;
        bool inside = x >= 0 && x < width && y >= 0 && y < height;

        tile[i / PADDED][i % PADDED] = inside ? in[y * width + x] : 0.0f;
    }
    __syncthreads();

    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    float sum = 0.0f;

    for (int dy = 0; dy <= 2 * RADIUS; dy++) {
        for (int dx = 0; dx <= 2 * RADIUS; dx++)
            sum = fmaf(filter[dy * (2 * RADIUS + 1) + dx],
                       tile[threadIdx.y + dy][threadIdx.x + dx], sum);
    }
    if (x < width && y < height)
        out[y * width + x] = sum;
}
