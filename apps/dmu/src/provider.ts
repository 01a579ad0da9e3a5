import { z } from 'zod';
import { repeat, type HttpPeer, type Repeating } from '@antirio/host';
import { AntirioError, signDocument, toHex, type EdgeId, type Random } from '@antirio/kernel';
import { keys, type MatchRecord } from '@antirio/ledger-machine';
import {
  COMMITMENT_KIND,
  MAX_RECEIPTS,
  commitTo,
  hear,
  lacksCapacity,
  ofKeeping,
  openNegotiation,
  providerJudge,
  say,
  signedOffer,
  withCost,
  type Capacity,
  type Commitment,
  type Judge,
  type Negotiation,
  type Receipt,
  type ReceiptBatch,
  type SignedOffer,
} from '@antirio/market';
import { termsHash } from '@antirio/service-contract';
import { committed, freeCapacity, openSessions, type ProviderParts } from './offer.ts';
import { storageCost } from './storage-cost.ts';
import type { Agreed, Session } from './store.ts';
import { checkOffer, signOffer } from './talk.ts';

const devAddr = z.string().regex(/^[0-9a-f]{8}$/);

export const trialBody = z.discriminatedUnion('say', [
  z.strictObject({ say: z.literal('start'), devAddrs: z.array(devAddr).max(10_000) }),
  z.strictObject({ say: z.literal('commitments'), after: z.int().min(0) }),
  z.strictObject({ say: z.literal('reveal'), batches: z.array(z.int().min(1)).min(1).max(64) }),
]);
export type TrialBody = z.output<typeof trialBody>;

export const negotiationBody = z.strictObject({ offer: signedOffer });

const COMMITMENTS_AT_ONCE = 64;
const HOLD_MS = 600_000;
/** A trial whose customer has not asked for so long makes no batches: nobody would check them. */
const UNASKED_MS = 10_000;

export interface Provider {
  trial(peer: EdgeId, matchId: string, body: TrialBody): Promise<unknown>;
  negotiate(
    peer: EdgeId,
    matchId: string,
    offer: SignedOffer,
  ): Promise<{ offer?: SignedOffer; outcome: string }>;
  /** How far trial and negotiation of a match are. */
  status(peer: EdgeId, matchId: string): { trial: unknown; negotiation: unknown };
  stop(): Promise<void>;
}

export interface ProviderSideParts extends ProviderParts {
  readonly random: Random;
  /** Says what storing costs; undefined where this edge has none. */
  readonly contentStore: HttpPeer | undefined;
}

/** Who keeps frames only runs nothing: it promises its ring. */
const neededFor = ({ confidentiality, capacity }: MatchRecord): Capacity =>
  confidentiality === 'relay' ? ofKeeping(capacity) : capacity;

class ProviderSide implements Provider {
  readonly #parts: ProviderSideParts;
  readonly #asked = new Map<string, number>();
  readonly #committing: Repeating;
  /** One message of a match after the other. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(parts: ProviderSideParts) {
    this.#parts = parts;
    const { receiptIntervalMs } = parts.options.provider;
    this.#committing = repeat('receipts', receiptIntervalMs, parts.log, () => this.#commitAll());
  }

  async stop(): Promise<void> {
    await this.#committing.stop();
    await Promise.all(this.#queues.values());
  }

  #inTurn<T>(matchId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(matchId) ?? Promise.resolve();
    const result = before.then(work);
    const settled = result
      .catch(() => undefined)
      .finally(() => {
        if (this.#queues.get(matchId) === settled) this.#queues.delete(matchId);
      });
    this.#queues.set(matchId, settled);
    return result;
  }

  /** The match must be ours to serve. @throws AntirioError forbidden | gone | notFound */
  async #reserved(peer: EdgeId, matchId: string): Promise<MatchRecord> {
    const { ledger, identity, options } = this.#parts;
    if (!options.provider.enabled) throw new AntirioError('forbidden', 'this edge insures nobody');
    const match = await ledger.read(keys.match(matchId));
    if (match === undefined) throw new AntirioError('notFound', 'there is no such match');
    if (match.provider !== identity.edgeId || match.customer !== peer)
      throw new AntirioError('forbidden', 'this match is not between the two of us');
    if (match.state !== 'reserved') throw new AntirioError('gone', `the match is ${match.state}`);
    return match;
  }

  #session(peer: EdgeId, matchId: string): Session {
    const session = this.#parts.store.session(matchId);
    if (session === undefined) throw new AntirioError('notFound', 'there is no trial of this match');
    if (session.customer !== peer) throw new AntirioError('forbidden', 'this trial is of another edge');
    return session;
  }

  status(peer: EdgeId, matchId: string): { trial: unknown; negotiation: unknown } {
    const { devAddrs, batches, startedAt, negotiation } = this.#session(peer, matchId);
    return {
      trial: { matchId, devices: devAddrs.length, batches, startedAt },
      negotiation: {
        matchId,
        rounds: negotiation?.said.length ?? 0,
        outcome: negotiation?.outcome ?? 'open',
      },
    };
  }

  trial(peer: EdgeId, matchId: string, body: TrialBody): Promise<unknown> {
    return this.#inTurn(matchId, async () => {
      if (body.say === 'start') return this.#start(peer, matchId, body.devAddrs);
      const session = this.#session(peer, matchId);
      this.#asked.set(matchId, this.#parts.clock.monotonic());
      return body.say === 'commitments'
        ? this.#commitments(session, body.after)
        : this.#reveal(session, body.batches);
    });
  }

  async #start(peer: EdgeId, matchId: string, devAddrs: readonly string[]): Promise<unknown> {
    const { store, rooms, options, clock } = this.#parts;
    const match = await this.#reserved(peer, matchId);
    this.#asked.set(matchId, clock.monotonic());
    const wanted = [...new Set(devAddrs)].sort();
    const known = store.session(matchId);
    if (known !== undefined && known.devAddrs.join() !== wanted.join())
      throw new AntirioError('conflict', 'the trial is under way with other devices');
    if (known === undefined) this.#admit(wanted.length, match);
    await rooms.makeRing(matchId, wanted, options.provider.trialRingBytes, peer);
    await rooms.holdMatch(matchId, clock.now() + HOLD_MS);
    if (known === undefined) {
      const { standby, confidentiality } = match;
      const capacity = neededFor(match);
      const fresh = { matchId, customer: peer, devAddrs: wanted, standby, confidentiality, capacity };
      store.putSession({ ...fresh, cursor: 0, batches: 0, startedAt: clock.now() });
    }
    return { state: 'running', devices: wanted.length };
  }

  /** @throws AntirioError forbidden | busy */
  #admit(devices: number, match: MatchRecord): void {
    const { options, store } = this.#parts;
    const needed = neededFor(match);
    const lacking = lacksCapacity(freeCapacity(this.#parts), needed);
    if (lacking !== undefined) throw new AntirioError('busy', `there is too little ${lacking} left`);
    const { maxContracts, policy } = options.provider;
    if (devices > policy.maxDevices)
      throw new AntirioError('forbidden', `at most ${policy.maxDevices} devices`);
    if (committed(store).contracts >= maxContracts)
      throw new AntirioError('busy', `at most ${maxContracts} contracts at once`);
  }

  #sign(batch: ReceiptBatch): unknown {
    return signDocument<Commitment>(this.#parts.identity, COMMITMENT_KIND, commitTo(batch));
  }

  #commitments(session: Session, after: number): unknown {
    const batches = this.#parts.store.batches(session.matchId, after, COMMITMENTS_AT_ONCE);
    return { commitments: batches.map((batch) => this.#sign(batch)) };
  }

  #reveal({ matchId }: Session, wanted: readonly number[]): unknown {
    const found = wanted.flatMap((n) =>
      this.#parts.store.batches(matchId, n - 1, 1).filter(({ batch }) => batch === n),
    );
    if (found.length < wanted.length) throw new AntirioError('notFound', 'there is no such batch');
    return { batches: found };
  }

  async #commitAll(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    for (const session of openSessions(this.#parts.store)) {
      const asked = this.#asked.get(session.matchId);
      if (asked !== undefined && now - asked < UNASKED_MS)
        await this.#inTurn(session.matchId, () => this.#commit(session.matchId));
    }
  }

  /** A new batch of what was heard since the last one: on the disk before anybody hears of it. */
  async #commit(matchId: string): Promise<void> {
    const { store, rooms, random } = this.#parts;
    const session = store.session(matchId);
    if (session === undefined) return;
    const receipts: Receipt[] = [];
    let cursor = session.cursor;
    for (let full = true; full && receipts.length <= MAX_RECEIPTS - 500;) {
      const page = await rooms.ringOffers(matchId, cursor);
      receipts.push(...page.frames.map(({ devAddr: addr, fcnt, mic }) => ({ devAddr: addr, fcnt, mic })));
      cursor = page.next;
      full = page.full;
    }
    if (receipts.length === 0) return;
    const batch = session.batches + 1;
    const made = { matchId, batch, salt: toHex(random.bytes(16)), receipts };
    store.addBatch({ ...session, cursor, batches: batch }, made);
  }

  negotiate(
    peer: EdgeId,
    matchId: string,
    offer: SignedOffer,
  ): Promise<{ offer?: SignedOffer; outcome: string }> {
    return this.#inTurn(matchId, async () => {
      if (offer.by !== peer) throw new AntirioError('forbidden', 'the offer is of another edge');
      checkOffer(offer);
      const session = this.#session(peer, matchId);
      if (session.negotiation?.outcome !== 'agreed') await this.#reserved(peer, matchId);
      return this.#answer(session, offer, await this.#storageCost(session, offer));
    });
  }

  /** What the image takes of the disk, for as long as the contract lasts. */
  async #storageCost({ capacity, confidentiality }: Session, { body }: SignedOffer): Promise<number> {
    const { options, clock, log, contentStore } = this.#parts;
    const isStored = options.provider.storageCost && confidentiality !== 'relay';
    if (!isStored || contentStore === undefined) return 0;
    const need = { bytes: capacity.storageMiB * 2 ** 20, ms: body.terms.expiresAt - clock.now() };
    return storageCost(contentStore, need, log);
  }

  #judge(session: Session, cost: number): Judge {
    const { matchId, customer, standby, confidentiality, devAddrs, capacity } = session;
    const { options, identity, clock } = this.#parts;
    const { central, provider } = options;
    if (central === undefined)
      throw new AntirioError('badConfig', 'dmu.central: no central arbitrator is configured');
    return providerJudge(withCost(provider.policy, cost), {
      self: identity.edgeId,
      customer,
      central: central.edgeId,
      matchId,
      now: clock.now(),
      // The session's own part is free for its own contract.
      freeRingBytes: freeCapacity(this.#parts).ringBytes + capacity.ringBytes,
      standby,
      confidentiality,
      devAddrs: new Set(devAddrs),
    });
  }

  #opened({ negotiation, matchId, customer }: Session): Negotiation {
    const { identity, clock, options } = this.#parts;
    if (negotiation !== undefined) return negotiation;
    const { negotiationMs, maxRounds } = options;
    const deadline = clock.now() + negotiationMs;
    return openNegotiation({ matchId, self: identity.edgeId, other: customer, deadline, maxRounds });
  }

  #answer(session: Session, offer: SignedOffer, cost: number): { offer?: SignedOffer; outcome: string } {
    const { store, clock, identity } = this.#parts;
    const before = this.#opened(session);
    const step = hear(before, offer, this.#judge(session, cost), clock.now());
    const reply = step.reply === undefined ? undefined : signOffer(identity, step.reply);
    const negotiation = reply === undefined ? step.negotiation : say(step.negotiation, reply);
    if (negotiation !== session.negotiation)
      store.putSession({ ...session, negotiation }, this.#agreement(session, negotiation));
    if (step.error !== undefined) throw new AntirioError('conflict', step.error);
    return { offer: reply ?? step.repeat, outcome: negotiation.outcome };
  }

  #agreement(session: Session, { agreed: terms }: Negotiation): Agreed | undefined {
    if (terms === undefined) return undefined;
    const { matchId, capacity } = session;
    const agreedAt = this.#parts.clock.now();
    return { termsHash: termsHash(terms), matchId, terms, capacity, agreedAt, over: false };
  }
}

/** As the insurer: answers to trials and offers of customers that the market matched with this edge. */
export function startProvider(parts: ProviderSideParts): Provider {
  return new ProviderSide(parts);
}
