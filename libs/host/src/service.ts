/** One thing a health answer knows of: the store, the bus, a peer. */
export interface Check {
  readonly ok: boolean;
  readonly detail?: string;
}

export type Health = Readonly<Record<string, Check>>;

/** A room as its host sees it: built from options and ports, started once, stopped once. */
export interface Service {
  readonly name: string;
  start(): Promise<void>;
  /** A signal ends the process: the last that can be done while everything still runs, in bounded time. */
  leave?(): Promise<void>;
  /** Stops taking work, finishes what is under way, releases what it holds. Idempotent. */
  stop(): Promise<void>;
  health(): Health | Promise<Health>;
  /** Why only stopping it and building it again helps, where that is so. */
  readonly broken?: string | undefined;
}

export function isHealthy(health: Health): boolean {
  return Object.values(health).every((check) => check.ok);
}
