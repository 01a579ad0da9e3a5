// How devices listen, on its way home: a guest on a bus, its edge that hands back, and the customer that fetches it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { silentLog, systemRandom, type Bus, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { eu868, newMacState, type MacState } from '@antirio/lorawan';
import type { CustomerPhase, ProviderPhase, Standing } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { contractId, customer, sealKeyOf, terms } from './escrow.fixture.ts';
import { createMacHandback, type MacHandback } from './mac-handback.ts';
import { createMacHome, type MacHome } from './mac-home.ts';

const [device] = terms.set.devices;
export const devEui = device?.devEui ?? '';
export const session = '0123456789abcdef';
export const stateOf = (rx1DelayS: number): MacState => ({ ...newMacState(eu868), rx1DelayS });
export const told = (rx1DelayS: number, more: object[] = []): Told => ({
  ...{ incarnation: 'life', serial: 4, totalCount: 1 },
  sessions: [{ session, devEui, state: stateOf(rx1DelayS) }, ...more],
});
export const retaken: CustomerPhase = { at: 'retaken', epoch: 4, providerEpoch: 3 };
export const ALL = { taken: 1, older: 0, unknown: 0, malformed: 0 };

interface Asked {
  readonly given?: object;
  readonly requestId: string;
  readonly offset?: number;
  readonly limit: number;
}
export interface Told {
  readonly incarnation: string;
  readonly serial: number;
  readonly totalCount: number;
  readonly sessions: readonly object[];
}

export function room(answer: (call: HttpCall) => unknown, calls: HttpCall[] = []): HttpPeer {
  return {
    call: (call) => {
      calls.push(call);
      const json = answer(call);
      return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(1), json: () => json });
    },
    close: () => undefined,
  };
}

export const standing = (
  phase: CustomerPhase | ProviderPhase,
  role: Standing['role'] = 'customer',
): Standing => ({ ...{ terms, role }, phase: () => phase });

/** For each test of a file a disk of its own, and a clock that stands still. */
export class MacScene {
  now = 1000;
  readonly clock = { now: () => this.now, monotonic: () => this.now };
  readonly closers: (() => unknown)[] = [];
  #folder = '';
  #store: ContractStore | undefined;

  constructor() {
    beforeEach(() => {
      this.#folder = mkdtempSync(join(tmpdir(), 'home-'));
      this.#store = openContractStore(join(this.#folder, 'contracts.db'));
      this.now = 1000;
    });
    afterEach(async () => {
      for (const close of this.closers.splice(0).reverse()) await close();
      this.store.close();
      rmSync(this.#folder, { recursive: true });
    });
  }

  get store(): ContractStore {
    if (this.#store === undefined) throw new AntirioError('internal', 'before the first test');
    return this.#store;
  }

  /** A guest on the bus that answers as it is told to; undefined: not at all. */
  async openGuest(
    answers: { next: Told | undefined; given?: unknown[] },
    through = (bus: Bus): Bus => bus,
  ): Promise<MacHandback> {
    const listeners = [{ socketPath: join(this.#folder, 'bus.sock'), anonymous: 'all' as const }];
    const broker = createBroker({ secret: new Uint8Array(32), listeners }, silentLog);
    await broker.start();
    this.closers.push(() => broker.stop());
    const bus = createLocalBus(broker, silentLog);
    this.closers.push(() => bus.close());
    const prefix = `contract/${contractId}/antirio/mac`;
    await bus.subscribe(`${prefix}/asked`, async (_, payload) => {
      const asked = JSON.parse(Buffer.from(payload).toString()) as Asked;
      const { requestId, offset = 0, limit, given } = asked;
      if (answers.next === undefined) return;
      const sessions = answers.next.sessions.slice(offset, offset + limit);
      if (given !== undefined) answers.given?.push(given);
      // it has no keys yet when it is asked first
      const hasTaken = given !== undefined && (answers.given?.length ?? 0) > 1;
      const answer = { requestId, ...answers.next, sessions, ...(hasTaken ? { hasTaken } : {}) };
      await bus.publish(`${prefix}/told`, JSON.stringify(answer));
    });
    const handback = createMacHandback({
      ...{ bus: through(bus), store: this.store, clock: this.clock, random: systemRandom, log: silentLog },
      sealKeyOf: (edge) => Promise.resolve(sealKeyOf(edge)),
    });
    this.closers.push(() => handback.stop());
    return handback;
  }

  /** A customer whose provider answers with what the test says. */
  openCustomer(
    page: (call: HttpCall) => unknown,
    taken: object,
    calls: HttpCall[] = [],
    kept: Pick<ContractStore, 'document' | 'putDocument' | 'note'> = this.store,
  ): MacHome {
    const home = createMacHome({
      peers: { edge2edge: room(page), deviceLora: room(() => taken, calls) },
      ...{ identity: customer, store: kept, clock: this.clock, log: silentLog },
    });
    this.closers.push(() => home.stop());
    return home;
  }
}
