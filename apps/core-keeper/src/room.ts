import type { Clock, Random } from '@antirio/kernel';
import type { Bus, GroupCommit, HttpPeer, Log, RimAccess } from '@antirio/host';
import type { HealthChecks } from './health-checks.ts';
import type { KeyStore } from './key-store.ts';
import type { Registrations } from './registrations.ts';

export interface CoreKeeperPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus?: Bus | undefined;
  readonly peers?: Readonly<Record<string, HttpPeer>>;
}

/** What the parts of the room share while it runs. */
export interface Room {
  readonly ports: CoreKeeperPorts;
  readonly commit: Pick<GroupCommit, 'run'>;
  readonly keys: KeyStore;
  readonly registrations: Registrations;
  readonly checks: HealthChecks;
}
