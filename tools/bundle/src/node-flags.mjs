/**
 * Flags that Node is started with for the product. Small halves of the young generation: where they may grow, as V8 has it, an edge
 * holds a fifth more memory and works no faster for it. The old generation is collected when it has doubled: V8 by itself lets it grow
 * further while much comes in, and then keeps it; core-data under load holds a quarter less so, and its slowest answers are quicker.
 */
export const nodeFlags = ['--max-semi-space-size=2', '--heap-growing-percent=100'];
