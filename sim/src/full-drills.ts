import { fullDrillCounts, keys, type ContractRecord, type SetRecord } from '@antirio/ledger-machine';
import {
  customerFullDrillTurn,
  isEnded,
  providerFullDrillTurn,
  type FullDrill,
  type FullDrillLedger,
  type SignedWord,
} from '@antirio/service-contract';
import { createDrillDesk, type DrillDeskPorts, type DrillParty } from './drill-desk.ts';
import type { SimLedger } from './ledger.ts';
import { yieldWordOf } from './operator.ts';
import { ringRootThrough } from './ring-root.ts';
import type { SimContract } from './world.ts';

export interface FullDrillPorts extends DrillDeskPorts {
  readonly ledger: SimLedger;
  readonly contract: SimContract;
  /** None is begun after it. */
  readonly until: number;
  /** An operator holds this edge. */
  readonly held: (edge: 'A' | 'B') => boolean;
}

/** What the ledger says of the full drills of a contract. */
export function fullDrillView(ledger: SimLedger, { terms }: SimContract, wall: number): FullDrillLedger {
  const { contractId, set } = terms;
  const { life, openings, validatedAt, ...rest } = ledger.read(keys.contract(contractId)) as ContractRecord;
  const { epoch, takenAt } = ledger.read(keys.set(set.setId)) as SetRecord;
  const now = Math.floor(wall);
  const counts = fullDrillCounts({ ...rest, life, openings, validatedAt }, now);
  const newest =
    counts.started === 0 ? undefined : (ledger.read(keys.fullDrill(contractId, counts.started)) as FullDrill);
  const facts = { epoch, openings, over: isEnded(life), life: life.state, now };
  return { ...facts, validatedAt, takenAt, counts, newest };
}

/** Both halves of a contract's full drills, by the product's own rules; what they lead to is the machines' own. */
export function simulateFullDrills(ports: FullDrillPorts): { tell(): void } {
  const { hosts, ledger, contract } = ports;
  const { terms } = contract;
  const { contractId } = terms;
  const desk = createDrillDesk(ports);
  let told = false;

  const view = (): FullDrillLedger => fullDrillView(ledger, contract, hosts.central.clock.wall());
  const wordFor = (epoch: number): SignedWord =>
    yieldWordOf(hosts.A, contract.customerParty(), terms, epoch, 'drill');
  const customer: DrillParty<FullDrillLedger, object> = {
    host: hosts.A,
    fresh: () => ({}),
    turn(known, _memory, done) {
      const party = contract.customerParty();
      const phase = party.phase();
      const next = customerFullDrillTurn({
        ...{ terms, phase: phase.at, ledger: known, told, secret: 'cd'.repeat(16) },
        ...{ held: ports.held('A'), healthy: true, acts: party.mayAct(), othersMove: false, awaitsKeys: 0 },
      });
      switch (next.turn) {
        case 'ask': {
          if (phase.at !== 'guarded' || ports.engine.now > ports.until) {
            done();
            return;
          }
          const word = wordFor(phase.epoch);
          desk.submit('A', { type: 'drill/full', contractId, drill: next.drill, word }, () => {
            told = false;
            contract.customerParty().post({ type: 'yieldAsked', word });
            done();
          });
          return;
        }
        case 'give':
          party.post({ type: 'yieldAsked', word: next.word });
          done();
          return;
        case 'back':
          desk.submit('A', { type: 'drill/back', contractId, epoch: next.epoch }, done);
          return;
        case 'end':
          desk.submit(
            'A',
            { type: 'drill/full-end', contractId, drill: next.drill, givenUp: next.givenUp },
            done,
          );
          return;
        default:
          done();
      }
    },
  };
  const provider: DrillParty<FullDrillLedger, object> = {
    host: hosts.B,
    fresh: () => ({}),
    turn(known, _memory, done) {
      const party = contract.providerParty();
      const phase = party.phase();
      const next = providerFullDrillTurn({
        ...{ terms, phase: phase.at, ledger: known, held: ports.held('B'), firstReadingMs: 900 },
        epoch: phase.at === 'active' ? phase.epoch : undefined,
      });
      switch (next.turn) {
        case 'hear':
          party.post({ type: 'takeOverAsked', word: next.word });
          done();
          return;
        case 'decline':
          desk.submit('B', { type: 'drill/decline', contractId, drill: next.drill }, done);
          return;
        case 'askOpen': {
          const root = ringRootThrough('B', contractId, contract.provider.rooms().ring.last);
          desk.submit('B', { type: 'drill/full-open', contractId, drill: next.drill, root }, done);
          return;
        }
        case 'giveBack':
          party.post({ type: 'returnAsked', epoch: next.epoch });
          done();
          return;
        case 'tell': {
          const { drill, firstReadingMs } = next;
          desk.submit('B', { type: 'drill/first-reading', contractId, drill, firstReadingMs }, done);
          return;
        }
        case 'wait':
          done();
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
