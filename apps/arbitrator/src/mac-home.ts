import { Counter, type Registry } from 'prom-client';
import { z } from 'zod';
import { callJson, parseInput, sleep, type HttpPeer, type Log } from '@antirio/host';
import {
  describeError,
  fromUtf8,
  isAntirioError,
  openSealed,
  type Clock,
  type Identity,
} from '@antirio/kernel';
import type { ContractTerms, CustomerPhase, Standing } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { JoinHome } from './join-home.ts';
import { AT_ONCE, macBox, snapshots, type Snapshot } from './mac-snapshots.ts';
import { neighbourCall } from './peers.ts';

/**
 * What became of the devices' MAC layers as a provider left them. `behind`: taken too, but the provider had begun from an older state
 * than ours. `missing`: handbacks of which nothing came in time, or not all.
 */
export type HomeCounted = 'taken' | 'behind' | 'older' | 'unknown' | 'malformed' | 'missing';
type Counts = Readonly<Record<HomeCounted, number>>;
/** `why`: not all of it. */
interface Fetched {
  readonly counts: Counts;
  readonly why?: string;
  /** No more of it will ever come. */
  readonly isOver?: boolean;
  /** Of sessions that are not known here. */
  readonly isUnknown?: boolean;
}

const NOTHING: Counts = { taken: 0, behind: 0, older: 0, unknown: 0, malformed: 0, missing: 0 };
const count = z.int().min(0);
const takenHere = z.looseObject({
  taken: count,
  behind: count.default(0),
  older: count,
  unknown: count,
  malformed: count,
});
/** `isAll`: the provider's service told all of it. Older ones do not say. */
const homePage = z.looseObject({ totalCount: count, isAll: z.boolean().default(true), box: macBox });

const added = (one: Counts, other: Partial<Counts>): Counts => ({
  taken: one.taken + (other.taken ?? 0),
  behind: one.behind + (other.behind ?? 0),
  older: one.older + (other.older ?? 0),
  unknown: one.unknown + (other.unknown ?? 0),
  malformed: one.malformed + (other.malformed ?? 0),
  missing: one.missing + (other.missing ?? 0),
});

const DOCUMENT = 'listeningHome';
const cameHome = z.looseObject({
  epoch: z.int(),
  counts: z.record(z.string(), count),
  why: z.string().optional(),
  isOver: z.boolean().optional(),
});

/** What came home with the last handback; undefined where none was. */
export function cameHomeWith(
  store: Pick<ContractStore, 'document'>,
  contractId: string,
): z.output<typeof cameHome> | undefined {
  return cameHome.safeParse(store.document(contractId, DOCUMENT)).data;
}

/** The epoch of the last handback where more of it may come. */
function missingOf(store: Pick<ContractStore, 'document'>, contractId: string): number | undefined {
  const last = cameHomeWith(store, contractId);
  return last?.why === undefined || last.isOver === true ? undefined : last.epoch;
}

/** Our fence stays shut so long at most, from when we have the epoch again: what was sent before it may be on air for most of it anyway. */
const HELD_MS = 4000;
const AGAIN_MS = 250;
const CALL_MS = 1500;
/** What did not come in time is asked for so often, as long as the contract stands: its provider may be back by then. */
const LATE_EVERY_MS = 30_000;
const LATE_MS = 20_000;
/** For devices whose sessions are not known here yet, so often at most since the start. */
const LATE_TRIES = 20;
/** The provider knows of no such thing. */
const HOPELESS = ['notFound', 'forbidden', 'invalidInput', 'corrupt'] as const;
const isHopeless = (error: unknown): boolean => HOPELESS.some((code) => isAntirioError(error, code));

/** Under which epoch the provider served whose handback is under way. */
function servedEpoch(phase: CustomerPhase): number | undefined {
  if (phase.at === 'retaken') return phase.providerEpoch;
  return phase.at === 'stating' ? phase.statement.epoch : undefined;
}

const isFed = ({ confidentiality, set }: ContractTerms): boolean =>
  confidentiality !== 'relay' && set.devices.length > 0;

export interface MacHome {
  /** Whether our own devices are not to be sent to yet, because how they listen by now is on its way home; begins to fetch it. */
  holdsFence(contract: Standing): boolean;
  /** Since the start. */
  counts(): Counts;
  stop(): Promise<void>;
}

export interface MacHomePorts {
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly identity: Identity;
  readonly store: Pick<ContractStore, 'document' | 'putDocument' | 'note'>;
  /** Sessions that the provider made come first: what it knows of their devices is of no session otherwise. */
  readonly joins?: Pick<JoinHome, 'bring'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Some of a provider's states, given to our device service, which looks at each. `strangers`: of no device of the set. */
async function takeSome(
  deviceLora: HttpPeer,
  { set }: ContractTerms,
  epoch: number,
  some: readonly Snapshot[],
  { isFinal, timeoutMs, until }: { isFinal: boolean; timeoutMs: number; until: number },
): Promise<Counts & { readonly strangers: number }> {
  const ofSet = new Set(set.devices.map(({ devEui }) => devEui));
  const ours = some.filter(({ devEui }) => ofSet.has(devEui));
  const json = { setId: set.setId, epoch, until, isFinal, sessions: ours };
  const answer = await callJson(deviceLora, {
    method: 'POST',
    path: '/api/v3/lora/mac',
    json,
    timeoutMs,
  });
  return { ...added(NOTHING, parseInput(takenHere, answer)), strangers: some.length - ours.length };
}

function outcomeOf(counts: Counts, isAll: boolean, unknownHere: number): Fetched {
  if (!isAll) {
    const why = 'the provider’s service did not tell all of it';
    return { counts: added(counts, { missing: 1 }), why, isOver: true };
  }
  if (unknownHere === 0) return { counts };
  // as of a join that comes home later
  return { counts, why: `of ${unknownHere} sessions that are not known here`, isUnknown: true };
}

/** As a customer that has its devices back: what its provider made of their MAC layers is fetched before they are sent to. */
export function createMacHome({ peers, identity, store, joins, clock, log }: MacHomePorts): MacHome {
  const { deviceLora } = peers;
  const underWay = new Map<string, Promise<void>>();
  /** Newest epochs that were tried: what cannot be written down is not tried again and again, with the fence shut. */
  const settled = new Map<string, number>();
  /** By contract, how often it was asked for late, and its sessions were still not known. */
  const inVain = new Map<string, number>();
  /** By contract, when it was asked for last what did not come in time. */
  const askedLate = new Map<string, number>();
  let late: Promise<void> | undefined;
  let total = NOTHING;
  let isStopped = false;

  const isSettled = (contractId: string, epoch: number): boolean =>
    Math.max(settled.get(contractId) ?? 0, cameHomeWith(store, contractId)?.epoch ?? 0) >= epoch;

  /** Page by page, until all are here or it takes too long: then `counts` are of what was. */
  const fetchAll = async (
    terms: ContractTerms,
    epoch: number,
    { until, isLate }: { readonly until: number; readonly isLate: boolean },
  ): Promise<Fetched> => {
    const { contractId, provider, set } = terms;
    const withinMs = (): number => Math.max(1, Math.min(CALL_MS, until - clock.monotonic()));
    // of what is late only that is taken which can be told apart from what our devices were told when the fence was open again
    const untilThen = (): { timeoutMs: number; until: number } => {
      const timeoutMs = withinMs();
      return { timeoutMs, until: isLate ? 0 : clock.now() + timeoutMs };
    };
    let [counts, isAll, unknownHere] = [NOTHING, true, 0];
    for (let offset = 0, length = 1; offset < length; offset += AT_ONCE) {
      if (clock.monotonic() >= until) return { counts, why: `only ${offset} devices' were here in time` };
      const path = `/arbitrator/v1/contract/${contractId}/mac?epoch=${epoch}&offset=${offset}`;
      const answer = await neighbourCall(peers, provider, 'arbitrator', { path, timeoutMs: withinMs() });
      const page = parseInput(homePage, answer);
      // it answers once its fence is shut for good: there are no more of them
      if (offset === 0 && terms.rootKeys === true) await joins?.bring(terms);
      isAll &&= page.isAll;
      length = Math.min(page.totalCount, set.devices.length);
      const plain = JSON.parse(fromUtf8(openSealed(identity, page.box))) as unknown;
      const some = parseInput(snapshots, plain).snapshots;
      if (some.length === 0 || deviceLora === undefined) continue;
      const { strangers, ...taken } = await takeSome(deviceLora, terms, epoch, some, {
        ...untilThen(),
        isFinal: page.isAll,
      });
      unknownHere += taken.unknown;
      counts = added(added(counts, taken), { unknown: strangers });
    }
    return outcomeOf(counts, isAll, unknownHere);
  };
  const settle = ({ contractId }: ContractTerms, epoch: number, { counts, why, isOver }: Fetched): void => {
    total = added(total, counts);
    settled.set(contractId, epoch);
    const detail = {
      ...{ epoch, counts },
      ...(why === undefined ? {} : { why }),
      ...(isOver === true ? { isOver } : {}),
    };
    store.putDocument(contractId, DOCUMENT, detail);
    store.note(contractId, {
      ...{ at: clock.now(), monotonic: clock.monotonic() },
      ...{ milestone: 'listeningHome', detail },
    });
    if (why === undefined)
      log.info({ contract: contractId, epoch, ...counts }, 'how the devices listen came home');
    else log.warn({ contract: contractId, epoch, why }, 'how the devices listen did not come home');
  };
  /** Of what the provider was to send and says nothing of nobody knows whether it did: it is not sent again. */
  const endUntold = async (terms: ContractTerms, epoch: number): Promise<void> => {
    const { contractId, set, confidentiality } = terms;
    // where it cannot read them it was given none
    if (deviceLora === undefined || confidentiality !== 'process') return;
    const untold = set.devices.map(({ devEui }) => devEui);
    const json = { setId: set.setId, epoch, sessions: [], untold };
    const call = { method: 'POST', path: '/api/v3/lora/mac', json, timeoutMs: CALL_MS } as const;
    await callJson(deviceLora, call).catch((error: unknown) => {
      log.warn({ contract: contractId, error: describeError(error) }, 'downlinks may be sent twice');
    });
  };
  const bring = async (terms: ContractTerms, epoch: number): Promise<void> => {
    const until = clock.monotonic() + HELD_MS;
    for (;;) {
      try {
        const fetched = await fetchAll(terms, epoch, { until, isLate: false });
        if (fetched.why !== undefined) await endUntold(terms, epoch);
        settle(terms, epoch, fetched);
        return;
      } catch (error) {
        const isOver = isHopeless(error);
        if (isStopped) return;
        if (isOver || clock.monotonic() >= until) {
          await endUntold(terms, epoch);
          settle(terms, epoch, { counts: { ...NOTHING, missing: 1 }, why: describeError(error), isOver });
          return;
        }
      }
      await sleep(AGAIN_MS);
    }
  };
  const begin = (terms: ContractTerms, epoch: number): void => {
    const { contractId } = terms;
    const work = bring(terms, epoch)
      .catch((error: unknown) => {
        log.warn({ contract: contractId, error: describeError(error) }, 'how devices listen was not kept');
      })
      .finally(() => {
        // one that was cut short is not done: nothing is sent before the next start has brought it
        if (!isStopped || isSettled(contractId, epoch)) underWay.delete(contractId);
      });
    underWay.set(contractId, work);
  };
  const bringLate = async (terms: ContractTerms, epoch: number): Promise<void> => {
    try {
      const until = clock.monotonic() + LATE_MS;
      const { counts, ...rest } = await fetchAll(terms, epoch, { until, isLate: true });
      const tries = rest.isUnknown === true ? (inVain.get(terms.contractId) ?? 0) + 1 : 0;
      inVain.set(terms.contractId, tries);
      const isOver = rest.isOver === true || tries >= LATE_TRIES;
      // nothing new to tell of
      if (rest.isUnknown === true && !isOver && counts.taken + counts.behind === 0) return;
      // what had come in time is there already
      settle(terms, epoch, { ...rest, isOver, counts: { ...counts, older: 0 } });
    } catch (error) {
      const why = describeError(error);
      if (isHopeless(error)) settle(terms, epoch, { counts: NOTHING, why, isOver: true });
      else log.debug({ contract: terms.contractId, why }, 'how the devices listen does not come yet');
    }
  };
  /** What did not come in time: our devices are sent to already. One contract at a time. */
  const beginLate = (contract: Standing): void => {
    const { terms } = contract;
    const { contractId } = terms;
    const missing = missingOf(store, contractId);
    if (missing === undefined || isStopped || late !== undefined || contract.phase().at === 'ended') return;
    const now = clock.monotonic();
    const last = askedLate.get(contractId) ?? now;
    const isDue = now - last >= LATE_EVERY_MS;
    askedLate.set(contractId, isDue ? now : last);
    if (!isDue) return;
    late = bringLate(terms, missing)
      .catch((error: unknown) => {
        log.warn({ contract: contractId, error: describeError(error) }, 'how devices listen was not kept');
      })
      .finally(() => (late = undefined));
  };
  return {
    holdsFence(contract) {
      const { terms, role } = contract;
      const { contractId } = terms;
      if (role !== 'customer' || deviceLora === undefined || !isFed(terms)) return false;
      // the contract may have gone on meanwhile
      if (underWay.has(contractId)) return true;
      // a customer's contract has a customer's phase
      const epoch = servedEpoch(contract.phase() as CustomerPhase);
      if (epoch === undefined || isSettled(contractId, epoch)) {
        beginLate(contract);
        return false;
      }
      if (!isStopped) begin(terms, epoch);
      return true;
    },
    counts: () => total,
    async stop() {
      isStopped = true;
      await Promise.all([...underWay.values(), late]);
    },
  };
}

export function countMacHome(metrics: Registry, home: Pick<MacHome, 'counts'>): void {
  new Counter({
    name: 'antirio_listening_home_total',
    help: 'how devices listen, as providers left them: by what became of it, since the start; behind: taken, of a provider that began from an older state; missing: handbacks without all of it',
    labelNames: ['what'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const [what, value] of Object.entries(home.counts())) this.inc({ what }, value);
    },
  });
}
