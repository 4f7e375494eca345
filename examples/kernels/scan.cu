// SPDX-License-Identifier: Apache-2.0
// Inclusive prefix sum in two kernels. scan_blocks scans 1024 elements a block and leaves each
// block's sum; once those sums are scanned themselves, add_offsets adds them. Block: 1024 threads.

constexpr int BLOCK = 1024;

extern "C" __global__ void __launch_bounds__(BLOCK)
    scan_blocks(const int *__restrict__ x, int *__restrict__ y, int *block_sums, int n) {
    __shared__ int warp_sums[32];
    int i = blockIdx.x * BLOCK + threadIdx.x;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int value = i < n ? x[i] : 0;

    for (int offset = 1; offset < 32; offset *= 2) {
        int other = __shfl_up_sync(0xffffffffu, value, offset);

        if (lane >= offset)
            value += other;
    }
    if (lane == 31)
        warp_sums[warp] = value;
    __syncthreads();
    if (warp == 0) {
        int sum = warp_sums[lane];

        for (int offset = 1; offset < 32; offset *= 2) {
            int other = __shfl_up_sync(0xffffffffu, sum, offset);

            if (lane >= offset)
                sum += other;
        }
        warp_sums[lane] = sum;
    }
    __syncthreads();
    if (warp > 0)
        value += warp_sums[warp - 1];
    if (i < n)
        y[i] = value;
    if (threadIdx.x == BLOCK - 1)
        block_sums[blockIdx.x] = value;
}

extern "C" __global__ void add_offsets(int *y, const int *__restrict__ scanned_sums, int n) {
    int i = blockIdx.x * BLOCK + threadIdx.x;

    if (i < n && blockIdx.x > 0)
        y[i] += scanned_sums[blockIdx.x - 1];
}
