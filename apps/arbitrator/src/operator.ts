import { z } from 'zod';
import { AntirioError, parseEdgeId, signDocument, toHex, verifyDocument, type Signed } from '@antirio/kernel';
import { KEEPS_ONLY, keepsOnly, signedAs, type SignedWord, type YieldCause } from '@antirio/service-contract';
import { sleep } from '@antirio/host';
import type { Contracts } from './contracts.ts';
import type { ContractStore } from './contract-store.ts';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { PartyDriver } from './party-driver.ts';
import { wordOf } from './yield-word.ts';

/** What an operator's key signs besides the edge's own: one act, in answer to one challenge. */
export const FORCE_KIND = 'antirio/force/1';

const forceBody = z.strictObject({
  contractId: z.uuid(),
  act: z.enum(['return', 'takeover']),
  challenge: z.string().max(64),
});
export const signedForce = signedAs(FORCE_KIND, forceBody);
type SignedForce = z.output<typeof signedForce>;
type Act = z.output<typeof forceBody>['act'];

const HOLD = 'hold';
const holdDocument = z.object({ held: z.boolean(), by: z.string(), at: z.number() });
export type Hold = z.output<typeof holdDocument>;

/** What an operator has said about a contract's automatic steps; undefined where nothing is held. */
export function holdOf(store: Pick<ContractStore, 'document'>, contractId: string): Hold | undefined {
  const kept = holdDocument.safeParse(store.document(contractId, HOLD));
  return kept.success && kept.data.held ? kept.data : undefined;
}

export interface Operator {
  /** The customer's service goes to its provider, which reads before we release. @throws AntirioError conflict */
  handOver(contractId: string, by: string): unknown;
  hold(contractId: string, held: boolean, by: string): unknown;
  /**
   * A takeover without a failure: with keys of its own, or (`full`) the service itself, by our word.
   * @throws AntirioError conflict | forbidden
   */
  drill(contractId: string, by: string, full: boolean): unknown;
  /** A number that two confirmations are given for, once and within two minutes. */
  challenge(contractId: string): { readonly challenge: string };
  /** The customer's sensors come back. @throws AntirioError conflict | forbidden */
  giveBack(contractId: string, by: string, force?: SignedForce): unknown;
  /** The provider takes over as if it had found its customer silent. @throws AntirioError conflict | forbidden */
  takeOver(contractId: string, by: string, force: SignedForce): unknown;
  /** To the provider: its customer's word. */
  heardWord(contractId: string, word: SignedWord): unknown;
  /** Gives away what is guarded, and resolves when it is released or the time is up. */
  lastGasp(cause: YieldCause, boundMs: number): Promise<void>;
}

const CHALLENGE_LIVES_MS = 120_000;
const CHALLENGES_KEPT = 64;
const LOOK_EVERY_MS = 20;

export function createOperator(
  options: Pick<ArbitratorOptions, 'operatorKeys'>,
  { identity, clock, random, log }: ArbitratorPorts,
  contracts: Contracts,
  store: ContractStore,
): Operator {
  const challenges = new Map<string, { readonly contractId: string; readonly until: number }>();

  const driverOf = (contractId: string, role: 'customer' | 'provider'): PartyDriver => {
    const { role: ours } = contracts.get(contractId);
    const driver = contracts.drivers.get(contractId);
    if (ours !== role)
      throw new AntirioError('conflict', `this edge is the contract's ${ours}, not its ${role}`);
    if (driver === undefined) throw new AntirioError('conflict', 'the contract is not under way');
    return driver;
  };
  /** @throws AntirioError conflict where its provider only keeps frames */
  const takerOf = (contractId: string, role: 'customer' | 'provider'): PartyDriver => {
    const driver = driverOf(contractId, role);
    if (keepsOnly(driver.terms)) throw new AntirioError('conflict', KEEPS_ONLY);
    return driver;
  };
  const record = (contractId: string, act: string, by: string, more: Record<string, unknown> = {}): void => {
    const detail = { act, by, ...more };
    store.note(contractId, { at: clock.now(), monotonic: clock.monotonic(), milestone: 'operator', detail });
    log.warn({ contract: contractId, ...detail }, 'an operator acts');
  };
  const yieldNow = (driver: PartyDriver, cause: YieldCause): void => {
    const word = wordOf({ identity, clock }, driver, cause);
    if (word !== undefined) driver.post({ type: 'yieldAsked', word });
  };
  const ofEachSet = (leave: (ones: readonly PartyDriver[]) => PartyDriver[]): PartyDriver[] => {
    const customers = [...contracts.drivers.values()].filter(({ role }) => role === 'customer');
    return [...Map.groupBy(customers, ({ terms }) => terms.set.setId).values()].flatMap(leave);
  };
  const leavesNow = (one: PartyDriver, cause: YieldCause): boolean => {
    if (one.phase().at !== 'guarded') return false;
    yieldNow(one, cause);
    return one.phase().at !== 'guarded';
  };
  /** Each word opens the keys at the provider that has it: one provider of a set at a time. */
  const leaveByOne = (ones: readonly PartyDriver[], cause: YieldCause): PartyDriver[] => {
    if (ones.some((one) => ['yielding', 'yielded'].includes(one.phase().at))) return [];
    const first = ones.find((one) => leavesNow(one, cause));
    return first === undefined ? [] : [first];
  };
  /** Half the time is gone and nobody serves: whoever can takes over. */
  const leaveByAll = (ones: readonly PartyDriver[], cause: YieldCause): PartyDriver[] =>
    ones.some((one) => one.phase().at === 'recovering') ? [] : ones.filter((one) => leavesNow(one, cause));
  /** The operator's key is the second of two signatures; ours is the first. */
  const confirmed = (contractId: string, act: Act, force: SignedForce): Signed<unknown> => {
    const { body, by } = force;
    const known = challenges.get(body.challenge);
    challenges.delete(body.challenge);
    if (body.contractId !== contractId || body.act !== act)
      throw new AntirioError('forbidden', 'the confirmation is for something else');
    if (known?.contractId !== contractId || known.until < clock.monotonic())
      throw new AntirioError('forbidden', 'the challenge is not ours, or too old: ask for another');
    if (by === identity.edgeId || !options.operatorKeys.includes(by))
      throw new AntirioError('forbidden', 'no such operator key: see arbitrator.operatorKeys', { by });
    if (!verifyDocument({ ...force, by: parseEdgeId(by) }, FORCE_KIND))
      throw new AntirioError('unauthenticated', 'the confirmation does not verify');
    return signDocument(identity, FORCE_KIND, body);
  };
  const phaseOf = (driver: PartyDriver): unknown => ({ phase: driver.phase().at });

  return {
    handOver(contractId, by) {
      const driver = takerOf(contractId, 'customer');
      const { at } = driver.phase();
      if (at !== 'guarded' && at !== 'yielding')
        throw new AntirioError('conflict', `nothing can be handed over while the contract is ${at}`);
      record(contractId, 'handover', by);
      yieldNow(driver, 'planned');
      if (driver.phase().at === 'guarded')
        throw new AntirioError('unavailable', 'the provider has not been heard for a while');
      return phaseOf(driver);
    },
    hold(contractId, held, by) {
      contracts.get(contractId);
      store.putDocument(contractId, HOLD, { held, by, at: clock.now() } satisfies Hold);
      record(contractId, held ? 'hold' : 'hold ended', by);
      contracts.drivers.get(contractId)?.post({ type: 'held', held });
      return { held };
    },
    drill(contractId, by, full) {
      const driver = takerOf(contractId, 'customer');
      if (full) {
        contracts.fullDrills.tell(contractId);
        record(contractId, 'full drill', by);
        return phaseOf(driver);
      }
      const isSampled = contracts.downlinkDrills.sampleNow(contractId);
      if (!isSampled || driver.terms.drills.perMonth > 0) contracts.drills.tell(contractId);
      record(contractId, 'drill', by);
      return phaseOf(driver);
    },
    challenge(contractId) {
      contracts.get(contractId);
      const now = clock.monotonic();
      for (const [challenge, { until }] of challenges) if (until < now) challenges.delete(challenge);
      if (challenges.size >= CHALLENGES_KEPT)
        throw new AntirioError('busy', 'too many confirmations are waited for');
      const challenge = toHex(random.bytes(16));
      challenges.set(challenge, { contractId, until: now + CHALLENGE_LIVES_MS });
      return { challenge };
    },
    giveBack(contractId, by, force) {
      const driver = driverOf(contractId, 'customer');
      const { at } = driver.phase();
      if (at !== 'recovering')
        throw new AntirioError('conflict', `nothing is to be returned while the contract is ${at}`);
      const forced = force !== undefined;
      if (!forced && holdOf(store, contractId) !== undefined)
        throw new AntirioError('conflict', 'the contract is held: end that, or force the return');
      const both = forced ? [confirmed(contractId, 'return', force), force] : undefined;
      record(contractId, 'return', by, both === undefined ? {} : { forced, confirmations: both });
      driver.post({ type: 'returnTold', forced });
      return phaseOf(driver);
    },
    takeOver(contractId, by, force) {
      const driver = takerOf(contractId, 'provider');
      const { at } = driver.phase();
      if (at !== 'ready' && at !== 'stated')
        throw new AntirioError('conflict', `nothing is to be taken over while the contract is ${at}`);
      const both = [confirmed(contractId, 'takeover', force), force];
      record(contractId, 'takeover', by, { confirmations: both });
      driver.post({ type: 'takeoverTold', by });
      return phaseOf(driver);
    },
    heardWord(contractId, word) {
      const driver = takerOf(contractId, 'provider');
      driver.post({ type: 'takeOverAsked', word });
      return phaseOf(driver);
    },
    async lastGasp(cause, boundMs) {
      const leaving = ofEachSet((ones) => leaveByOne(ones, cause));
      if (leaving.length === 0) return;
      log.warn({ cause, contracts: leaving.length }, 'take over now');
      const began = clock.monotonic();
      const gone = (one: PartyDriver): boolean => ['recovering', 'guarded', 'ended'].includes(one.phase().at);
      const wait = async (until: number): Promise<void> => {
        while (clock.monotonic() < until && !leaving.every(gone)) await sleep(LOOK_EVERY_MS);
      };
      await wait(began + boundMs / 2);
      if (cause === 'terminating') leaving.push(...ofEachSet((ones) => leaveByAll(ones, cause)));
      await wait(began + boundMs);
    },
  };
}
