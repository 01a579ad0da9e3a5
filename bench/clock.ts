/** Milliseconds that no step of the wall clock moves. */
export const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;
