/** The simulator's time: one monotonic reading (comparable between processes of one machine) and its wall time. */
export interface Clock {
  /** CLOCK_MONOTONIC in ms, with fractions. */
  monoMs(): number;
  /** Wall time in ns since 1970 of a monotonic reading. */
  wallNs(monoMs: number): bigint;
}

/** The machine's clock. Wall time runs on from its value at this call, so that a step of it reorders nothing. */
export function systemClock(): Clock {
  const monoMs = (): number => Number(process.hrtime.bigint()) / 1e6;
  const startWallNs = BigInt(Date.now()) * 1_000_000n;
  const startMonoMs = monoMs();
  return { monoMs, wallNs: (at) => startWallNs + BigInt(Math.round((at - startMonoMs) * 1e6)) };
}
