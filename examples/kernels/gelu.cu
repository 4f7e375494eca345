// SPDX-License-Identifier: Apache-2.0
// Bias and GELU in one kernel (tanh form), four values a thread where the row allows it.
// Any launch shape; columns must be a multiple of 4.

__device__ float gelu(float x) {
    return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

extern "C" __global__ void bias_gelu(const float4 *__restrict__ x, const float4 *__restrict__ bias,
                                     float4 *__restrict__ y, unsigned rows, unsigned columns) {
    unsigned quads = columns / 4;
    unsigned long long total = (unsigned long long)rows * quads;

    for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < total;
         i += gridDim.x * (unsigned long long)blockDim.x) {
        float4 value = x[i], add = bias[i % quads];

        y[i] = make_float4(gelu(value.x + add.x), gelu(value.y + add.y), gelu(value.z + add.z),
                           gelu(value.w + add.w));
    }
}
