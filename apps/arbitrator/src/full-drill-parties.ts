import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { toHex, type Clock, type Identity, type Random } from '@antirio/kernel';
import {
  customerFullDrillTurn,
  isFullDrillOver,
  providerFullDrillTurn,
  vitalRoomsOf,
  type FullDrillLedger,
  type FullDrillWait,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { holdOf } from './operator.ts';
import { signedRootOf } from './party-calls.ts';
import type { PartyDriver } from './party-driver.ts';
import type { PartyRooms } from './party-rooms.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { wordOf } from './yield-word.ts';

/** One party's half of a contract's full drills. */
export interface FullDrillSide {
  /** One step; whether there is more to be done soon. */
  advance(known: FullDrillLedger): Promise<boolean>;
  /** Of a customer's: an operator wants one as soon as may be. */
  tell?(): void;
  /** Of a customer's: why none is begun now. */
  waits?(): FullDrillWait | undefined;
}

export interface FullDrillSidePorts {
  readonly driver: Pick<PartyDriver, 'terms' | 'phase' | 'post' | 'ledgerTime'>;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Pick<ContractStore, 'document' | 'putDocument'>;
  readonly ledger: Pick<LedgerClient, 'submit'>;
}

export interface FullDrillCustomerPorts extends FullDrillSidePorts {
  readonly rooms: Pick<PartyRooms, 'senses'>;
  /** Devices of the set that could have new keys, and have not. */
  readonly awaitsKeys: () => number;
  /** Our machine may act now. */
  readonly acts: () => boolean;
  /** Another contract over the set moves, or is drilled. */
  readonly othersMove: () => boolean;
}

const SECRET = 'fullDrillSecret';

function secretOf({ store, random, driver }: FullDrillSidePorts): string {
  const { contractId } = driver.terms;
  const kept = store.document(contractId, SECRET);
  if (typeof kept === 'string') return kept;
  const made = toHex(random.bytes(16));
  store.putDocument(contractId, SECRET, made);
  return made;
}

/** Whether our rooms answer and our gateways hear, as far as they are a matter of the contract, and our stores take writes. */
async function isHealthy({ rooms, driver }: FullDrillCustomerPorts): Promise<boolean> {
  const { storeOk, gateways = [], rooms: states = {} } = await rooms.senses();
  const { set, hearing } = driver.terms;
  const answers = vitalRoomsOf(driver.terms).every((room) => (states[room] ?? 'well') === 'well');
  const isHeard = ({ heardMsAgo = Infinity }: { readonly heardMsAgo?: number | undefined }): boolean =>
    heardMsAgo < hearing.silentMs;
  const heard = set.devices.length === 0 || (gateways.length > 0 && gateways.every(isHeard));
  return storeOk !== false && answers && heard;
}

/** The customer's half: it puts its word on the ledger, gives it, and asks for its service back. */
export function fullDrillCustomer(ports: FullDrillCustomerPorts): FullDrillSide {
  const { driver, ledger, store } = ports;
  const { terms } = driver;
  const { contractId } = terms;
  const submitPatiently = createPatientSubmit(ledger, ports);
  let told = false;
  let timesTold = 0;
  let why: FullDrillWait | undefined;

  const ask = async (drill: number): Promise<boolean> => {
    const word = wordOf(ports, driver, 'drill');
    if (word === undefined) return false;
    // an operator who tells us again may have put right what it was refused for
    await submitPatiently(`full drill ${drill}/${timesTold}`, {
      type: 'drill/full',
      contractId,
      drill,
      word,
    });
    told = false;
    driver.post({ type: 'yieldAsked', word });
    return true;
  };
  return {
    tell() {
      told = true;
      timesTold++;
    },
    waits: () => why,
    async advance(known) {
      const healthy = await isHealthy(ports);
      const turn = customerFullDrillTurn({
        ...{ terms, ledger: known, told, healthy, secret: secretOf(ports) },
        phase: driver.phase().at,
        held: holdOf(store, contractId) !== undefined,
        acts: ports.acts(),
        othersMove: ports.othersMove(),
        awaitsKeys: ports.awaitsKeys(),
      });
      why = turn.turn === 'wait' ? turn.why : undefined;
      switch (turn.turn) {
        case 'wait':
          return turn.why === 'underWay';
        case 'ask':
          return ask(turn.drill);
        case 'give':
          driver.post({ type: 'yieldAsked', word: turn.word });
          return true;
        case 'back':
          await submitPatiently(`back ${turn.epoch}`, { type: 'drill/back', contractId, epoch: turn.epoch });
          return true;
        case 'end': {
          const { drill, givenUp } = turn;
          await submitPatiently(`end ${drill}`, { type: 'drill/full-end', contractId, drill, givenUp });
          return true;
        }
      }
    },
  };
}

const stored = z.object({
  events: z.array(z.looseObject({ deviceName: z.string() })),
});

/** Whether core-data has a reading of the contract's that was received since then, wall ms. */
async function hasRead(coreData: HttpPeer, contractId: string, since: number): Promise<boolean> {
  const path = `/api/v3/event/start/${Math.floor(since)}000000/end/${Number.MAX_SAFE_INTEGER}000?limit=200`;
  const { events } = parseInput(stored, await callJson(coreData, { path }));
  return events.some(({ deviceName }) => deviceName.startsWith(`${contractId}.`));
}

export interface FullDrillProviderPorts extends FullDrillSidePorts {
  readonly rooms: Pick<PartyRooms, 'ring' | 'ringRoot'>;
  readonly coreData: HttpPeer | undefined;
}

/** The provider's half: it hears the word and the customer's wish also by the ledger, and tells when it read. */
export function fullDrillProvider(ports: FullDrillProviderPorts): FullDrillSide {
  const { driver, ledger, clock, store, coreData } = ports;
  const { terms } = driver;
  const { contractId } = terms;
  const submitPatiently = createPatientSubmit(ledger, ports);
  let heard: { readonly drill: number; readonly at: number; readonly wall: number } | undefined;
  let firstReadingMs: number | undefined;

  const isUnderWay = ({ newest }: FullDrillLedger): boolean =>
    newest !== undefined && !isFullDrillOver(newest);
  const listen = ({ newest }: FullDrillLedger): void => {
    if (newest?.state !== 'asked' || heard?.drill === newest.number) return;
    heard = { drill: newest.number, at: clock.monotonic(), wall: clock.now() };
    firstReadingMs = undefined;
  };
  const look = async (known: FullDrillLedger): Promise<void> => {
    listen(known);
    if (!isUnderWay(known) || firstReadingMs !== undefined || coreData === undefined) return;
    if (heard === undefined || heard.drill !== known.newest?.number) return;
    if (await hasRead(coreData, contractId, heard.wall))
      firstReadingMs = Math.round(clock.monotonic() - heard.at);
  };
  return {
    async advance(known) {
      await look(known).catch(() => undefined);
      const phase = driver.phase();
      const turn = providerFullDrillTurn({
        ...{ terms, ledger: known, firstReadingMs },
        phase: phase.at,
        epoch: phase.at === 'active' ? phase.epoch : undefined,
        held: holdOf(store, contractId) !== undefined,
      });
      switch (turn.turn) {
        case 'wait':
          return isUnderWay(known);
        case 'hear':
          driver.post({ type: 'takeOverAsked', word: turn.word });
          return true;
        case 'decline':
          await submitPatiently(`decline ${turn.drill}`, {
            type: 'drill/decline',
            contractId,
            drill: turn.drill,
          });
          return true;
        case 'askOpen': {
          const { drill } = turn;
          const root = await signedRootOf({ terms, ...ports });
          await submitPatiently(`opening ${drill}`, { type: 'drill/full-open', contractId, drill, root });
          return true;
        }
        case 'giveBack':
          driver.post({ type: 'returnAsked', epoch: turn.epoch });
          return true;
        case 'tell': {
          const { drill, firstReadingMs: ms } = turn;
          await submitPatiently(`read ${drill}`, {
            ...{ type: 'drill/first-reading', contractId, drill, firstReadingMs: ms },
          });
          return true;
        }
      }
    },
  };
}
