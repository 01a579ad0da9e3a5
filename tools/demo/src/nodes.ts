import type { AnyParty, ExtraName, PartyName } from './network.ts';
import { portOf, type Room } from '@antirio/testing/port-offsets';
import type { OwnProcess, Processes, ProcessSpec } from './processes.ts';
import { answers } from './rest.ts';
import { waitFor, type Waiter } from './wait.ts';

/** One party as a process of the product: the centre or an edge. */
export interface PartyNode {
  readonly party: AnyParty;
  /** For the reader: `edge A`. */
  readonly title: string;
  readonly edgeId: string;
  readonly offset: number;
  /** Its data folder. */
  readonly folder: string;
  /** Of its process; undefined before its first start. */
  readonly pid: number | undefined;
  url(room: Room): string;
  /** Starts it, also again after its end. */
  start(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, as from an operating system that shuts down; resolves when it is gone. */
  terminate(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** The room alone that is a process of its own, where one is. */
  startRoom(): Promise<void>;
  killRoom(): Promise<void>;
  /** Waits until every room answers. */
  answering(waiter: Waiter, withinMs: number): Promise<void>;
}

export const TITLES: Readonly<Record<AnyParty, string>> = {
  ...{ central: 'central', a: 'edge A', b: 'edge B' },
  ...{ c: 'edge C', d: 'edge D' },
};

/** Everybody on the stage. */
export type Nodes = Readonly<Record<PartyName, PartyNode> & Partial<Record<ExtraName, PartyNode>>>;

/** By then a party that was started answers, ms. */
export const START_MS = 90_000;

/** The rooms of an edge that answer HTTP. */
export const EDGE_ROOMS: readonly Room[] = [
  ...(['coreData', 'coreMetadata', 'coreCommand', 'coreKeeper', 'deviceLora', 'orchestrator'] as const),
  ...(['migration', 'filecoinInterface', 'dmu', 'arbitrator', 'marketplace', 'edge2edge'] as const),
  ...(['gatewayBridge', 'brokerHttp'] as const),
];
export const CENTRAL_ROOMS: readonly Room[] = ['arbitrator', 'edge2edge', 'ledger'];

/** What a party is made of. */
export interface NodeSpec {
  readonly party: AnyParty;
  /** Where there are others of its kind. */
  readonly title?: string;
  readonly edgeId: string;
  readonly offset: number;
  readonly folder: string;
  /** How its process is started. */
  readonly process: ProcessSpec;
  /** Where a room of it is a process of its own. */
  readonly room?: ProcessSpec | undefined;
}

class ProductNode implements PartyNode {
  readonly party: AnyParty;
  readonly title: string;
  readonly edgeId: string;
  readonly offset: number;
  readonly folder: string;
  readonly #processes: Processes;
  readonly #spec: ProcessSpec;
  readonly #roomSpec: ProcessSpec | undefined;
  #process: OwnProcess | undefined;
  #room: OwnProcess | undefined;

  constructor({ party, title, edgeId, offset, folder, process, room }: NodeSpec, processes: Processes) {
    this.party = party;
    this.title = title ?? TITLES[party];
    this.edgeId = edgeId;
    this.offset = offset;
    this.folder = folder;
    this.#spec = process;
    this.#roomSpec = room;
    this.#processes = processes;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  url(room: Room): string {
    return `http://127.0.0.1:${portOf(room, this.offset)}`;
  }

  async startRoom(): Promise<void> {
    if (this.#roomSpec !== undefined) this.#room = await this.#processes.start(this.#roomSpec);
  }

  async killRoom(): Promise<void> {
    this.#room?.signal('SIGKILL');
    await this.#room?.ended;
  }

  async start(): Promise<void> {
    if (this.#room?.isRunning() !== true) await this.startRoom();
    this.#process = await this.#processes.start(this.#spec);
  }

  async kill(): Promise<void> {
    this.#process?.signal('SIGKILL');
    await this.#process?.ended;
  }

  async terminate(): Promise<void> {
    this.#process?.signal('SIGTERM');
    await this.#process?.ended;
  }

  async freeze(): Promise<void> {
    this.#process?.signal('SIGSTOP');
  }

  async thaw(): Promise<void> {
    this.#process?.signal('SIGCONT');
  }

  async answering(waiter: Waiter, withinMs: number): Promise<void> {
    const rooms = this.party === 'central' ? CENTRAL_ROOMS : EDGE_ROOMS;
    const silent = new Set(rooms);
    await waitFor<true>(waiter, {
      subject: `${this.title} answers`,
      withinMs,
      everyMs: 20,
      look: async () => {
        await Promise.all(
          [...silent].map(async (room) => {
            if (await answers(`${this.url(room)}/api/v3/ping`)) silent.delete(room);
          }),
        );
        return silent.size === 0 ? { found: true } : { seen: `no answer from ${[...silent].join(', ')}` };
      },
    });
  }
}

export function createNode(spec: NodeSpec, processes: Processes): PartyNode {
  return new ProductNode(spec, processes);
}
