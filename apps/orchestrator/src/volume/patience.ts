/** How long a homecoming has been waited for, on disk. */
export interface Waited {
  readonly epoch: number;
  /** Added up by the clocks of the processes that waited: no jump of the time of day ends it early. */
  readonly ms: number;
}

const WRITTEN_EVERY_MS = 10_000;

/** Waiting that a restart does not begin anew. */
export class Patience {
  readonly #known = new Map<string, Waited & { readonly at: number }>();

  /**
   * @param before what the disk says
   * @param now monotonic ms
   */
  waited(name: string, epoch: number, before: Waited | undefined, now: number): Waited {
    const same = before?.epoch === epoch ? before.ms : 0;
    const found = this.#known.get(name);
    const known = found?.epoch === epoch ? found : { epoch, ms: same, at: now };
    const ms = known.ms + Math.max(0, now - known.at);
    this.#known.set(name, { epoch, ms, at: now });
    return { epoch, ms };
  }

  static isToBeWritten(before: Waited | undefined, { epoch, ms }: Waited): boolean {
    return before?.epoch !== epoch || ms - before.ms >= WRITTEN_EVERY_MS;
  }
}
