/**
 * Flags that Node is started with for the product. Small halves of the young generation: where they may grow, as V8 has it, an edge
 * holds a fifth more memory and works no faster for it. The old generation is collected when it has doubled: V8 by itself lets it grow
 * further while much comes in, and then keeps it; core-data under load holds a quarter less so, and its slowest answers are quicker.
 */
export const nodeFlags = ['--max-semi-space-size=2', '--heap-growing-percent=100'];

/**
 * And its environment, under what the user says. One arena for the allocations of all threads: glibc gives each thread its own, up to
 * eight for each core, and what V8's and libuv's threads let go of stays in them, a tenth of what an edge holds under load. An edge's
 * own work is done by one thread, so that nothing waits for that. Blocks from 64 KiB on have pages of their own, which go back when
 * they do: glibc raises that limit with each large block that is let go of, and its heap is full of holes then.
 */
export const nodeEnvironment = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '65536' };
