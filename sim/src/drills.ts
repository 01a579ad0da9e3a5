import { sha256Hex, signDocument, utf8 } from '@antirio/kernel';
import { drillCounts, keys, type ContractRecord, type SetRecord } from '@antirio/ledger-machine';
import {
  DRILL_RECEIPT_KIND,
  customerDrillTurn,
  drillAnswerHash,
  isEnded,
  mayReleaseDrill,
  providerDrillTurn,
  type Drill,
  type DrillAnswer,
  type DrillLedger,
} from '@antirio/service-contract';
import { createDrillDesk, type DrillDeskPorts, type DrillParty } from './drill-desk.ts';
import { identities } from './identities.ts';
import { sign, type Payload, type SimLedger } from './ledger.ts';
import { ringRootThrough } from './ring-root.ts';
import type { SimContract } from './world.ts';

/** Which share a holder gives for a drill: a mutant gives that of the contract's own keys. */
export interface DrillPieces {
  readonly drillShare: () => 'drill' | 'real';
}

export interface DrillPorts extends DrillDeskPorts {
  readonly ledger: SimLedger;
  readonly contract: SimContract;
  readonly pieces: DrillPieces;
  readonly startMs: number;
  readonly activateMs: number;
  /** A drill has opened the contract's own keys. */
  readonly onRealKeys: () => void;
  /** Until then a greedy customer ends its drills once more, to be paid again. */
  readonly until: number;
}

const LOOK_MS = 200;
const TIMEOUT_MS = 5000;
const NEARBY_MS = 3;

/** What a drill's service reads, once its keys are open. */
function answerOf(drill: number): DrillAnswer {
  return {
    session: sha256Hex(utf8(`session/${drill}`)).slice(0, 16),
    payloads: [sha256Hex(utf8(`drill/${drill}`))],
  };
}

/** Both halves of a contract's drills, by the product's own rules, over the simulated network and the real ledger machine. */
export function simulateDrills(ports: DrillPorts): { tell(): void } {
  const { engine, network, hosts, ledger, dice, contract, pieces } = ports;
  const { terms } = contract;
  const { contractId } = terms;
  /** On the customer's disk, and on the provider's. */
  const disk = { delivered: false, given: false };
  let told = false;

  const view = (): DrillLedger => {
    const record = ledger.read(keys.contract(contractId)) as ContractRecord;
    const { epoch } = ledger.read(keys.set(terms.set.setId)) as SetRecord;
    const now = Math.floor(hosts.central.clock.wall());
    const { started, month, passed, judged } = drillCounts(record, now);
    const newest = started === 0 ? undefined : (ledger.read(keys.drill(contractId, started)) as Drill);
    const { life, openings, validatedAt } = record;
    const facts = { epoch, openings, over: isEnded(life), now, life: life.state };
    return { ...facts, validatedAt, month, passed, judged, newest };
  };
  const desk = createDrillDesk(ports);
  const { atCentre, submit } = desk;

  const start = (drill: number, done: () => void): void => {
    const frames = ['40'.repeat(16)];
    const answer = drillAnswerHash(answerOf(drill));
    const body = { contractId, keyVersion: 1 };
    const receipt = {
      ...signDocument(identities.B, DRILL_RECEIPT_KIND, body),
      kind: DRILL_RECEIPT_KIND,
    } as const;
    submit('A', { type: 'drill/start', contractId, drill, keyVersion: 1, frames, answer, receipt }, () => {
      told = false;
      done();
    });
  };
  const greedy = (ended: Drill | undefined): void => {
    if (ended === undefined || ended.state !== 'failed' || engine.now > ports.until) return;
    submit('A', { type: 'drill/end', contractId, drill: ended.number, givenUp: false }, () => undefined);
  };
  const customer: DrillParty<DrillLedger, object> = {
    host: hosts.A,
    fresh: () => ({}),
    turn(known, _memory, done) {
      const phase = contract.customerParty().phase().at;
      const secret = 'ab'.repeat(16);
      const next = customerDrillTurn({
        terms,
        phase,
        ledger: known,
        delivered: disk.delivered,
        secret,
        told,
      });
      if (dice.chance(0.1)) greedy(known.newest);
      switch (next.turn) {
        case 'deliver':
          network.call<unknown>(
            hosts.A,
            hosts.B,
            TIMEOUT_MS,
            (reply) => {
              disk.given = true;
              reply({ ok: true, value: {} });
            },
            (result) => {
              disk.delivered = result.ok;
              done();
            },
          );
          return;
        case 'start':
          start(next.drill, done);
          return;
        case 'end':
          submit('A', { type: 'drill/end', contractId, drill: next.drill, givenUp: next.givenUp }, done);
          return;
        default:
          done();
      }
    },
  };

  interface Guest {
    begun: number;
    service: 'none' | 'standby' | 'active';
    keys: boolean;
    read: boolean;
  }
  /** The centre holds the one share: it gives it against a drill that the ledger has open, and says so there first. */
  const askShare = (drill: Drill, done: (share: 'drill' | 'real' | undefined) => void): void => {
    atCentre<'drill' | 'real'>(
      hosts.B,
      (reply) => {
        const known = view();
        const asked = { terms, asker: terms.provider, holder: terms.central, newest: drill.number };
        const refused = mayReleaseDrill({ ...asked, drill: known.newest, ledger: known });
        if (refused !== undefined) {
          reply({ ok: false, code: refused });
          return;
        }
        const payload: Payload = { type: 'drill/release', contractId, drill: drill.number };
        ports.central().transact(sign(identities.central, dice, payload), (result) => {
          reply(result.ok ? { ok: true, value: pieces.drillShare() } : result);
        });
      },
      (result) => {
        done(result.ok ? result.value : undefined);
      },
    );
  };
  const gather = (guest: Guest, drill: Drill, done: () => void): void => {
    if (terms.opening === 'autonomous') {
      guest.keys = true;
      done();
      return;
    }
    askShare(drill, (share) => {
      if (share === 'real') ports.onRealKeys();
      guest.keys = share === 'drill';
      done();
    });
  };
  const rootOf = () => ringRootThrough('B', contractId, contract.provider.rooms().ring.last);
  const later = (afterMs: number, change: () => void, done: () => void): void => {
    hosts.B.after(afterMs, () => {
      change();
      done();
    });
  };
  const provider: DrillParty<DrillLedger, Guest> = {
    host: hosts.B,
    fresh: () => ({ begun: -1, service: 'none', keys: false, read: false }),
    turn(known, guest, done) {
      const phase = contract.providerParty().phase().at;
      const { begun, service, keys: keysOpen, read: allRead } = guest;
      const next = providerDrillTurn({ terms, phase, ledger: known, begun, service, keysOpen, allRead });
      const forget = (): void =>
        void Object.assign(guest, { begun: 0, service: 'none', keys: false, read: false });
      switch (next.turn) {
        case 'wait':
          done();
          return;
        case 'undo':
          later(NEARBY_MS, forget, done);
          return;
        case 'prepare':
          guest.begun = next.drill.number;
          later(
            disk.given ? ports.startMs : LOOK_MS,
            () => (guest.service = disk.given ? 'standby' : 'none'),
            done,
          );
          return;
        case 'open':
          submit('B', { type: 'drill/open', contractId, drill: next.drill.number, root: rootOf() }, done);
          return;
        case 'gather':
          gather(guest, next.drill, done);
          return;
        case 'read':
          later(ports.activateMs, () => (guest.read = true), done);
          return;
        case 'answer': {
          const { number: drill } = next.drill;
          const times = { standbyMs: 0, keysMs: 0, readMs: 0 };
          submit('B', { type: 'drill/read', contractId, drill, answer: answerOf(drill), times }, done);
        }
      }
    },
  };

  desk.run(view, customer);
  desk.run(view, provider);
  return {
    tell() {
      told = true;
    },
  };
}
