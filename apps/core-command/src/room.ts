import type { Clock, Random } from '@antirio/kernel';
import type { Bus, HttpPeer, Log, RimAccess } from '@antirio/host';
import type { Commands } from './commands.ts';
import type { Metadata } from './metadata.ts';
import type { CoreCommandOptions } from './options.ts';

export interface CoreCommandPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus?: Bus | undefined;
  /** `core-metadata` is needed. */
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

/** What the parts of the room share while it runs. */
export interface Room {
  readonly options: CoreCommandOptions;
  readonly ports: CoreCommandPorts;
  readonly metadata: Metadata;
  readonly commands: Commands;
  /** How clients reach this room. */
  readonly url: () => string;
}
