// SPDX-License-Identifier: Apache-2.0
// One leapfrog step of an n-body system under gravity, all pairs, bodies in tiles of shared memory.
// Position: x, y, z and mass in w. Block: 128 threads. Grid: ceil(n / 128).

constexpr int BODIES = 128;

__device__ void attract(float3 &acceleration, float4 self, float4 other, float softening) {
    float dx = other.x - self.x, dy = other.y - self.y, dz = other.z - self.z;
    float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + softening);
    float pull = other.w * inverse * inverse * inverse;

    acceleration.x = fmaf(dx, pull, acceleration.x);
    acceleration.y = fmaf(dy, pull, acceleration.y);
    acceleration.z = fmaf(dz, pull, acceleration.z);
}

extern "C" __global__ void __launch_bounds__(BODIES)
    nbody_step(const float4 *__restrict__ position, float4 *__restrict__ next_position,
               float4 *velocity, int n, float dt, float softening) {
    __shared__ float4 tile[BODIES];
    int i = blockIdx.x * BODIES + threadIdx.x;
    float4 self = i < n ? position[i] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    float3 acceleration = make_float3(0.0f, 0.0f, 0.0f);

    for (int start = 0; start < n; start += BODIES) {
        int j = start + threadIdx.x;

        tile[threadIdx.x] = j < n ? position[j] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        __syncthreads();
#pragma unroll 8
        for (int k = 0; k < BODIES; k++)
            attract(acceleration, self, tile[k], softening);
        __syncthreads();
    }
    if (i >= n)
        return;
    float4 v = velocity[i];

    v.x = fmaf(acceleration.x, dt, v.x);
    v.y = fmaf(acceleration.y, dt, v.y);
    v.z = fmaf(acceleration.z, dt, v.z);
    velocity[i] = v;
    next_position[i] =
        make_float4(fmaf(v.x, dt, self.x), fmaf(v.y, dt, self.y), fmaf(v.z, dt, self.z), self.w);
}
