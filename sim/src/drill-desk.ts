import type { CentralNode } from './central-node.ts';
import type { Engine } from './engine.ts';
import type { Host } from './host.ts';
import { identities } from './identities.ts';
import { sign, type Payload } from './ledger.ts';
import type { Network, Reply } from './network.ts';
import type { Dice } from './random.ts';
import type { Trace } from './trace.ts';

export interface DrillDeskPorts {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly network: Network;
  readonly hosts: Readonly<Record<'A' | 'B' | 'central', Host>>;
  readonly central: () => CentralNode;
  readonly dice: Dice;
}

const LOOK_MS = 200;
const TIMEOUT_MS = 5000;

/** A party's process as far as drills go: what it has in memory is gone with it. */
export interface DrillParty<Ledger, Memory> {
  readonly host: Host;
  readonly fresh: () => Memory;
  readonly turn: (ledger: Ledger, memory: Memory, done: () => void) => void;
}

/** How parties of drills get at the ledger, which is the centre's. */
export interface DrillDesk {
  readonly atCentre: <T>(host: Host, serve: (reply: Reply<T>) => void, done: Reply<T>) => void;
  readonly submit: (by: 'A' | 'B', payload: Payload, done: () => void) => void;
  /** Looks at the ledger, takes one step, and looks again. */
  run<Ledger, Memory>(view: () => Ledger, party: DrillParty<Ledger, Memory>): void;
}

export function createDrillDesk(ports: DrillDeskPorts): DrillDesk {
  const { engine, trace, network, hosts, dice } = ports;
  const atCentre = <T>(host: Host, serve: (reply: Reply<T>) => void, done: Reply<T>): void => {
    network.call<T>(host, hosts.central, TIMEOUT_MS, serve, done);
  };
  return {
    atCentre,
    submit(by, payload, done) {
      const tx = sign(identities[by], dice, payload);
      atCentre<unknown>(
        hosts[by],
        (reply) => {
          ports.central().transact(tx, reply);
        },
        (result) => {
          trace.note(by, payload.type, () => (result.ok ? 'done' : result.code));
          done();
        },
      );
    },
    run<Ledger, Memory>(view: () => Ledger, { host, fresh, turn }: DrillParty<Ledger, Memory>) {
      let life = -1;
      let memory = fresh();
      let busy = false;
      const look = (): void => {
        engine.after(LOOK_MS, look);
        if (host.incarnation !== life) {
          [life, memory, busy] = [host.incarnation, fresh(), false];
        }
        if (!host.running || busy) return;
        busy = true;
        const mine = life;
        const done = (): void => {
          if (host.incarnation === mine) busy = false;
        };
        atCentre<Ledger>(
          host,
          (reply) => {
            reply({ ok: true, value: view() });
          },
          (result) => {
            if (result.ok) turn(result.value, memory, done);
            else done();
          },
        );
      };
      engine.after(LOOK_MS, look);
    },
  };
}
