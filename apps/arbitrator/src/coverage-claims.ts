import { z } from 'zod';
import type { Log } from '@antirio/host';
import { describeError, fromBase64, type Clock } from '@antirio/kernel';
import { keys, type CoverageClaimRecord, type CoverageRecord } from '@antirio/ledger-machine';
import {
  MOST_CLAIMED,
  baselineOf,
  haveChanged,
  isLeftOut,
  judgeClaim,
  signedMark,
  type ClosingMark,
  type ContractTerms,
  type CoverageAnswer,
  type CoverageClaim,
  type CoverageSettings,
  type HandbackStatement,
  type SignedMark,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { keptChanges } from './coverage-judge.ts';
import { keptMark, keptMarks } from './coverage-store.ts';
import { createGenuine } from './genuine-frames.ts';
import type { LedgerClient } from './ledger-client.ts';
import { framesBetween, offersAfter, readRing, type AskBridge, type RingPageFrame } from './ring-pages.ts';
import type { Secrets } from './sealed-keys.ts';

/** What both parties do where the ledger rules how well a provider heard: one claims or waives, the other answers. */
export interface CoverageClaims {
  /** This party has stated what was handed back: the marks of now are those of before the outage. */
  stated(statement: Pick<HandbackStatement, 'epoch'>): void;
  look(): Promise<void>;
}

export interface CoverageClaimsPorts {
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  readonly clock: Clock;
  readonly store: ContractStore;
  readonly ledger: Pick<LedgerClient, 'fetch' | 'submit' | 'time'>;
  /** The provider's ring, of either party's view. */
  readonly ring: AskBridge;
  readonly ownSecrets: () => Secrets;
  readonly settings: () => Promise<ReadonlyMap<string, CoverageSettings>>;
  readonly log: Log;
}

const frozen = z.object({ epoch: z.int(), marks: z.array(signedMark) });
const FROZEN = 'coverageFrozen';
const LOOK_EVERY_MS = 5000;
/** Pages of the ring that are looked through for first uplinks. */
const PAGES_LOOKED_AT = 60;

interface Open {
  readonly coverage: CoverageRecord;
  readonly claimed: CoverageClaimRecord | undefined;
  readonly statement: HandbackStatement;
  readonly now: number;
}

/** Those that a claim is to name: of more baselines than it may the first in the set's order. */
function withBaseline(store: ContractStore, terms: ContractTerms): SignedMark[] {
  return keptMarks(store, terms)
    .filter((mark) => baselineOf(mark.body).atLeast !== undefined)
    .slice(0, MOST_CLAIMED);
}

/** Each device's first uplink after the return, of those that our keys verify, and the devices that sent it otherwise than before. */
async function closingsOf(
  { ring, terms, ownSecrets }: CoverageClaimsPorts,
  marks: readonly SignedMark[],
  { through }: HandbackStatement,
): Promise<{ readonly closings: ClosingMark[]; readonly changed: string[] }> {
  const floors = new Map(marks.map(({ body }) => [body.session, body.last]));
  const genuine = createGenuine(ownSecrets(), floors);
  const wanted = new Map(marks.map(({ body }) => [body.devEui, body]));
  const firsts = new Map<string, number>();
  const changed = new Set<string>();
  const note = ({ phyPayload, rx }: RingPageFrame): void => {
    const found = genuine(fromBase64(phyPayload));
    const mark = found && wanted.get(found.session.devEui);
    if (found === undefined || mark?.session !== found.session.session || firsts.has(mark.devEui)) return;
    firsts.set(mark.devEui, found.fcnt);
    const dataRate = `SF${rx.spreadingFactor}BW${rx.bandwidth}`;
    if (haveChanged(mark.settings, { dataRate })) changed.add(mark.devEui);
  };
  const { next } = await readRing(ring, terms.contractId);
  let pages = 0;
  for await (const frames of framesBetween(ring, terms.contractId, through, next - 1)) {
    frames.forEach(note);
    pages += 1;
    if (firsts.size === wanted.size || pages >= PAGES_LOOKED_AT) break;
  }
  const closings = [...firsts].map(([devEui, first]) => ({ devEui, first }));
  return { closings, changed: [...changed] };
}

/** The least counter after `last` whose lower 16 bits these are. */
function counterAfter(last: number, fcnt16: number): number {
  return last + 1 + ((fcnt16 - last - 1) & 0xffff);
}

/** What our own ring says of a claim: it has no keys, and goes by addresses. */
async function answerTo(
  { ring, terms, store }: CoverageClaimsPorts,
  claim: CoverageClaim,
  statement: HandbackStatement,
  before: readonly SignedMark[],
): Promise<CoverageAnswer> {
  const { contractId } = terms;
  const wanted = new Map(claim.marks.map(({ body }) => [body.devAddr, body]));
  const firsts = new Map<string, number>();
  let after = statement.through;
  for (let pages = 0; pages < PAGES_LOOKED_AT && firsts.size < wanted.size; pages++) {
    const { offers, last } = await offersAfter(ring, contractId, after);
    for (const { devAddr, fcnt } of offers) {
      const mark = wanted.get(devAddr);
      if (mark !== undefined && !firsts.has(mark.devEui))
        firsts.set(mark.devEui, counterAfter(mark.last, fcnt));
    }
    after = offers.at(-1)?.seq ?? last;
    if (offers.length === 0 || after >= last) break;
  }
  const leftOut = before.filter((mark) => isLeftOut({ terms, claim, statement }, mark));
  const changed = claim.marks.flatMap(({ body }) => {
    const newest = keptMark(store, contractId, body.devEui);
    return newest && haveChanged(body.settings, newest.body.settings) ? [newest] : [];
  });
  return {
    closings: [...firsts].map(([devEui, first]) => ({ devEui, first })),
    marks: [...leftOut, ...changed].slice(0, MOST_CLAIMED),
  };
}

export function createCoverageClaims(ports: CoverageClaimsPorts): CoverageClaims {
  const { terms, role, clock, store, ledger, log } = ports;
  const { contractId } = terms;
  let lookedAt = -Infinity;
  let told = '';

  const keptBefore = (epoch: number): readonly SignedMark[] => {
    const found = store.document(contractId, FROZEN);
    const kept = found === undefined ? undefined : frozen.parse(found);
    return kept?.epoch === epoch ? kept.marks : [];
  };
  const note = (milestone: string, detail: Readonly<Record<string, unknown>>): void => {
    const key = `${milestone}/${JSON.stringify(detail)}`;
    if (key === told) return;
    told = key;
    store.note(contractId, { at: clock.now(), monotonic: clock.monotonic(), milestone, detail });
  };
  const findOpen = async (): Promise<Open | undefined> => {
    const coverage = (await ledger.fetch(keys.contract(contractId)))?.coverage;
    if (coverage === undefined) return undefined;
    const { epoch } = coverage;
    const [claimed, stated, now] = await Promise.all([
      ledger.fetch(keys.coverageClaim(contractId, epoch)),
      ledger.fetch(keys.statement(contractId, epoch, 'provider')),
      ledger.time(),
    ]);
    return stated && { coverage, claimed, statement: stated.statement, now };
  };
  const rule = async ({ coverage: { epoch } }: Open): Promise<void> => {
    const ruled = await ledger.submit({ type: 'coverage/rule', contractId, epoch });
    const { ruled: found } = (await ledger.fetch(keys.coverageClaim(contractId, epoch))) ?? {};
    note('coverageRuled', { epoch, ...found, ...ruled });
    log.warn({ epoch, ...found }, 'what the provider heard of an outage is ruled');
  };
  const waive = async ({ coverage: { epoch } }: Open): Promise<void> => {
    await ledger.submit({ type: 'coverage/waive', contractId, epoch });
  };
  const prepare = async (
    marks: readonly SignedMark[],
    seen: readonly string[],
    { statement }: Open,
  ): Promise<CoverageClaim> => {
    const [{ closings, changed }, settings] = await Promise.all([
      closingsOf(ports, marks, statement),
      ports.settings(),
    ]);
    const sendsOtherwise = ({ body: { devEui, settings: known } }: SignedMark): boolean => {
      const { dataRate: _unused, ...now } = settings.get(devEui) ?? {};
      return seen.includes(devEui) || changed.includes(devEui) || haveChanged(known, now);
    };
    const others = marks.filter(sendsOtherwise).map(({ body }) => body.devEui);
    return { marks: [...marks], closings, changed: others };
  };
  const claimNow = async (open: Open): Promise<void> => {
    const { coverage, statement, now } = open;
    const { epoch, until } = coverage;
    const marks = keptBefore(epoch).filter(({ body }) => body.seq < statement.from);
    const isLate = now > until - terms.coverage.claimWithinMs / 2;
    // our own look at the outage tells which devices send otherwise now
    const seen = keptChanges(store, contractId, epoch);
    if (marks.length === 0 || (seen === undefined && isLate)) return waive(open);
    if (seen === undefined) return;
    const claim = await prepare(marks, seen, open);
    const finding = judgeClaim({ terms, claim, statement, answer: undefined });
    if (finding.ok && finding.judgement.verdict === 'breach') {
      await ledger.submit({ type: 'coverage/claim', contractId, epoch, claim });
      const { devices, expected, heard } = finding.judgement;
      note('coverageClaimed', { epoch, devices, expected, heard });
      log.error({ epoch, ...finding.judgement }, 'claimed: the provider handed back less than it hears');
    } else if (isLate || claim.closings.length === marks.length) await waive(open);
  };
  const step = async (open: Open): Promise<void> => {
    const { coverage, claimed, statement, now } = open;
    const { epoch, until } = coverage;
    if (claimed?.answer !== undefined || now > until) return rule(open);
    if (role === 'customer') return claimed === undefined ? claimNow(open) : undefined;
    if (claimed === undefined) return;
    const answer = await answerTo(ports, claimed.claim, statement, keptBefore(epoch));
    await ledger.submit({ type: 'coverage/answer', contractId, epoch, answer });
    note('coverageAnswered', { epoch, closings: answer.closings.length, marks: answer.marks.length });
    log.warn({ epoch }, 'the customer claims that we handed back too little: answered by our own ring');
  };
  return {
    stated({ epoch }) {
      if (terms.coverage.breach !== 'ruled' || epoch === 0 || keptBefore(epoch).length > 0) return;
      try {
        store.putDocument(contractId, FROZEN, { epoch, marks: withBaseline(store, terms) });
      } catch (error) {
        log.warn({ error: describeError(error) }, 'the marks of before the outage are not on the disk');
      }
    },
    async look() {
      const now = clock.monotonic();
      if (terms.coverage.breach !== 'ruled' || now - lookedAt < LOOK_EVERY_MS) return;
      lookedAt = now;
      const open = await findOpen();
      if (open !== undefined) await step(open);
    },
  };
}
