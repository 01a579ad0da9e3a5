import { signDocument } from '@antirio/kernel';
import { keys, type ContractRecord } from '@antirio/ledger-machine';
import {
  COVERAGE_KIND,
  judgeClaim,
  type ClosingMark,
  type CoverageMark,
  type HandbackStatement,
  type SignedMark,
} from '@antirio/service-contract';
import type { CentralNode } from './central-node.ts';
import type { EdgeNode } from './edge.ts';
import type { Engine } from './engine.ts';
import type { Frame, Session } from './frames.ts';
import type { Host } from './host.ts';
import { identities } from './identities.ts';
import { sign, type Payload, type SimLedger } from './ledger.ts';
import type { Motes } from './motes.ts';
import type { Network } from './network.ts';
import type { openRing } from './ring.ts';
import type { Dice } from './random.ts';
import type { SimContract } from './world.ts';

/** Who is not honest about how well a provider hears, if anybody is. */
export interface CoverageScenario {
  /** The provider throws every other frame away while it serves. */
  readonly thief: boolean;
  /** The customer claims whatever was heard, with ends far beyond the return. */
  readonly liar: boolean;
}

export interface CoveragePorts {
  readonly engine: Engine;
  readonly network: Network;
  readonly hosts: Readonly<Record<'A' | 'B' | 'central', Host>>;
  readonly central: () => CentralNode;
  readonly ledger: SimLedger;
  readonly dice: Dice;
  readonly contract: SimContract;
  readonly customer: EdgeNode;
  readonly motes: Motes;
  /** Of the provider's gateway. */
  readonly loss: number;
  readonly scenario: CoverageScenario;
}

const LOOK_MS = 500;
const MARK_MS = 1000;
const TIMEOUT_MS = 5000;
const FAR = 400;
const BASELINE = 200;
const SERVES: ReadonlySet<string> = new Set(['reading', 'active']);
const GUARDS: ReadonlySet<string> = new Set(['guarded', 'stated']);
const STANDS: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED']);

/** A ring that loses every other frame of a mote while its provider serves. */
export function thievingRing(
  open: typeof openRing,
  phase: () => string,
  fcntOf: (frame: Frame) => number,
  thrown: Set<string>,
): typeof openRing {
  return (host, disk, onStored) => {
    const ring = open(host, disk, onStored);
    return {
      ...ring,
      get last() {
        return ring.last;
      },
      take(frame, radio, now, durable) {
        const steals = SERVES.has(phase()) && fcntOf(frame) % 2 === 1;
        if (steals) thrown.add(frame.bytes);
        else ring.take(frame, radio, now, durable);
      },
    };
  };
}

/** Marks, claims and answers of both parties, by the product's own rules, over the simulated network and the real ledger machine. */
export function simulateCoverage(ports: CoveragePorts): void {
  const { engine, network, hosts, ledger, dice, contract, customer, motes, loss, scenario } = ports;
  const { terms, provider } = contract;
  const { contractId } = terms;
  const marks = new Map<string, CoverageMark>();
  const baselines = new Map(
    motes.motes.map(({ session }) => {
      const shown = Array.from({ length: BASELINE }, () => !dice.chance(loss)).filter(Boolean).length;
      return [session.devEui, shown] as const;
    }),
  );
  let ringAtMark = 0;

  const fcntOf = ({ bytes }: Frame): number => motes.sent.get(bytes)?.fcnt ?? -1;
  const record = (): ContractRecord => ledger.read(keys.contract(contractId)) as ContractRecord;
  const newestOwn = ({ devAddr }: Session): number =>
    customer.disk.ring.frames.reduce(
      (newest, { frame, radio }) =>
        radio && frame.devAddr === devAddr ? Math.max(newest, fcntOf(frame)) : newest,
      -1,
    );
  const mark = (session: Session, last: number): CoverageMark => {
    const { devEui, devAddr, fingerprint } = session;
    const shown = baselines.get(devEui) ?? 0;
    const half = Math.floor(shown / 2);
    return {
      ...{ contractId, devEui, devAddr, session: fingerprint, keyVersion: 1, at: 0 },
      ...{ from: last, last, shown: 0, seq: ringAtMark + 1, settings: {} },
      ...{ before: { sent: BASELINE / 2, shown: half }, since: { sent: BASELINE / 2, shown: shown - half } },
      receipts: { chain: '', batch: 0, hash: '0'.repeat(64) },
    };
  };
  const signed = (body: CoverageMark): SignedMark => ({
    body,
    signatures: {
      customer: signDocument(identities.A, COVERAGE_KIND, body).signature,
      provider: signDocument(identities.B, COVERAGE_KIND, body).signature,
    },
  });
  const isCut = (): boolean => network.link('A', 'B').cut || network.link('B', 'A').cut;
  const mayMark = (): boolean => {
    const { life, coverage } = record();
    const isServed = SERVES.has(contract.providerParty().phase().at);
    const both = hosts.A.running && hosts.B.running && !isCut();
    const guards = GUARDS.has(contract.customerParty().phase().at);
    return both && guards && !isServed && STANDS.has(life.state) && coverage === undefined;
  };
  const guard = (): void => {
    engine.after(MARK_MS, guard);
    if (!mayMark()) return;
    for (const { session } of motes.motes) {
      const last = newestOwn(session);
      if (last >= 0) marks.set(session.devEui, mark(session, last));
    }
    ringAtMark = provider.rooms().ring.last;
  };
  /** Each mote's first uplink after what was stated, as the provider's ring has it. */
  const firsts = ({ through }: HandbackStatement): ClosingMark[] => {
    const found = new Map<string, number>();
    for (const { frame, seq } of provider.disk.ring.frames) {
      const session = motes.sent.get(frame.bytes)?.session;
      if (seq > through && session !== undefined && !found.has(session.devEui))
        found.set(session.devEui, fcntOf(frame));
    }
    return [...found].map(([devEui, first]) => ({ devEui, first }));
  };
  const submit = (by: 'A' | 'B', payload: Payload, done: () => void): void => {
    const tx = sign(identities[by], dice, payload);
    network.call<unknown>(
      hosts[by],
      hosts.central,
      TIMEOUT_MS,
      (reply) => {
        ports.central().transact(tx, reply);
      },
      done,
    );
  };
  const claim = (epoch: number, statement: HandbackStatement, isLate: boolean, done: () => void): void => {
    const before = [...marks.values()].filter(({ seq }) => seq < statement.from);
    const closings = firsts(statement).filter(({ devEui }) => before.some((one) => one.devEui === devEui));
    const far = before.map(({ devEui, last }) => ({ devEui, first: last + FAR }));
    const honest = { marks: before.map(signed), changed: [], closings };
    const finding =
      before.length > 0 ? judgeClaim({ terms, claim: honest, statement, answer: undefined }) : undefined;
    const isBreach = finding?.ok === true && finding.judgement.verdict === 'breach';
    if (before.length > 0 && (isBreach || scenario.liar)) {
      const said = scenario.liar ? { ...honest, closings: far } : honest;
      submit('A', { type: 'coverage/claim', contractId, epoch, claim: said }, done);
    } else if (isLate || closings.length === before.length)
      submit('A', { type: 'coverage/waive', contractId, epoch }, done);
    else done();
  };
  const turn = (by: 'A' | 'B', done: () => void): void => {
    const { coverage } = record();
    if (coverage === undefined) {
      done();
      return;
    }
    const { epoch, until } = coverage;
    const claimed = ledger.read(keys.coverageClaim(contractId, epoch)) as { answer?: unknown } | undefined;
    const { statement } = ledger.read(keys.statement(contractId, epoch, 'provider')) as {
      statement: HandbackStatement;
    };
    const now = Math.floor(hosts.central.clock.wall());
    if (claimed?.answer !== undefined || now > until)
      submit(by, { type: 'coverage/rule', contractId, epoch }, done);
    else if (by === 'A' && claimed === undefined)
      claim(epoch, statement, now > until - terms.coverage.claimWithinMs / 2, done);
    else if (by === 'B' && claimed !== undefined)
      submit(
        'B',
        { type: 'coverage/answer', contractId, epoch, answer: { closings: firsts(statement) } },
        done,
      );
    else done();
  };
  const run = (by: 'A' | 'B'): void => {
    let life = -1;
    let busy = false;
    const look = (): void => {
      engine.after(LOOK_MS, look);
      const host = hosts[by];
      if (host.incarnation !== life) [life, busy] = [host.incarnation, false];
      if (!host.running || busy) return;
      busy = true;
      const mine = life;
      turn(by, () => {
        if (host.incarnation === mine) busy = false;
      });
    };
    engine.after(LOOK_MS, look);
  };
  engine.after(MARK_MS, guard);
  run('A');
  run('B');
}
