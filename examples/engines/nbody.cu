// SPDX-License-Identifier: Apache-2.0
// A step of time for bodies that attract each other: accelerations of all pairs, then the step itself
// (semi-implicit Euler). A body is x, y, z and mass; a velocity is x, y, z and nothing.
//
// Where the number of bodies is known, so is whether the last tile is full: then no bound is looked at.

#define TILE 128

#ifdef CUBBY_DIM_bodies
#define SPECIALISE_BODIES bodies = CUBBY_DIM_bodies
#else
#define SPECIALISE_BODIES
#endif

static __device__ __forceinline__ bool inside(int index, int bodies) {
#ifdef CUBBY_DIM_bodies
    return bodies % TILE == 0 || index < bodies;
#else
    return index < bodies;
#endif
}

extern "C" __global__ void __launch_bounds__(TILE)
    accelerate(const float4 *__restrict__ body, float4 *__restrict__ acceleration, int bodies,
               float softening) {
    extern __shared__ float4 tile[];
    SPECIALISE_BODIES;
    int own = blockIdx.x * TILE + threadIdx.x;
    float4 at = inside(own, bodies) ? body[own] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    float3 sum = make_float3(0.0f, 0.0f, 0.0f);

    for (int start = 0; start < bodies; start += TILE) {
        int other = start + threadIdx.x;

        // One without mass attracts no one.
        tile[threadIdx.x] =
            inside(other, bodies) ? body[other] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        __syncthreads();
#pragma unroll 16
        for (int i = 0; i < TILE; i++) {
            float x = tile[i].x - at.x, y = tile[i].y - at.y, z = tile[i].z - at.z;
            float inverse = rsqrtf(x * x + y * y + z * z + softening * softening);
            float pull = tile[i].w * inverse * inverse * inverse;

            sum.x += x * pull;
            sum.y += y * pull;
            sum.z += z * pull;
        }
        __syncthreads();
    }
    if (inside(own, bodies))
        acceleration[own] = make_float4(sum.x, sum.y, sum.z, 0.0f);
}

extern "C" __global__ void __launch_bounds__(TILE)
    advance(const float4 *__restrict__ body, const float4 *__restrict__ velocity,
            const float4 *__restrict__ acceleration, float4 *__restrict__ next_body,
            float4 *__restrict__ next_velocity, int bodies, float step) {
    SPECIALISE_BODIES;
    int own = blockIdx.x * TILE + threadIdx.x;

    if (!inside(own, bodies))
        return;
    float4 at = body[own], speed = velocity[own], change = acceleration[own];

    speed.x += change.x * step;
    speed.y += change.y * step;
    speed.z += change.z * step;
    at.x += speed.x * step;
    at.y += speed.y * step;
    at.z += speed.z * step;
    next_velocity[own] = speed;
    next_body[own] = at;
}
