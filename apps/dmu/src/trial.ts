import { z } from 'zod';
import { AntirioError, verifyDocument, type EdgeId } from '@antirio/kernel';
import { parseInput, type HttpCall } from '@antirio/host';
import {
  COMMITMENT_KIND,
  commitment,
  evaluateCoverage,
  judgeCoverage,
  opens,
  receiptBatch,
  type Commitment,
  type Coverage,
  type CoverageVerdict,
  type CustomerPolicy,
  type HeardFrame,
  type Receipt,
} from '@antirio/market';
import { edgeId } from '@antirio/service-contract';
import type { Rooms } from './rooms.ts';

const signedCommitment = z.object({
  kind: z.literal(COMMITMENT_KIND),
  by: edgeId,
  body: commitment,
  signature: z.string().max(128),
});
const commitments = z.looseObject({ commitments: z.array(signedCommitment).max(64) });
const revealed = z.looseObject({ batches: z.array(receiptBatch).max(64) });

const REVEALED_AT_ONCE = 8;
/** Frames of one trial; more tell nothing new. */
const MAX_FRAMES = 50_000;

interface Committed {
  readonly commitment: Commitment;
  readonly committedAt: number;
  receipts?: readonly Receipt[];
}

export interface TrialOptions {
  readonly policy: CustomerPolicy;
  readonly commitWithinMs: number;
  readonly maxTrialMs: number;
}

export interface TrialResult {
  readonly coverage: Coverage;
  readonly verdict: CoverageVerdict;
}

/** The provider listens from then on, and has the match in hand. */
export function beginTrial(
  rooms: Rooms,
  provider: EdgeId,
  matchId: string,
  devAddrs: readonly string[],
): Promise<unknown> {
  const json = { say: 'start', devAddrs };
  return rooms.neighbour(provider, { method: 'POST', path: `/dmu/dmu/v1/trial/${matchId}`, json });
}

/**
 * A coverage trial as the customer runs it: its own ring says what was on air, the provider's commitments, by the time at which they
 * arrived, what the provider had. It lives in memory: a trial that was broken off is begun again, because its commitments would
 * all have come late.
 */
export class CoverageTrial {
  readonly #rooms: Rooms;
  readonly #provider: EdgeId;
  readonly #matchId: string;
  readonly #devAddrs: ReadonlySet<string>;
  readonly #options: TrialOptions;
  readonly #committed = new Map<number, Committed>();
  readonly #heard: HeardFrame[] = [];
  #cursor: number | undefined;
  #startedAt = 0;
  #lastBatch = 0;

  constructor(
    rooms: Rooms,
    provider: EdgeId,
    matchId: string,
    devAddrs: readonly string[],
    options: TrialOptions,
  ) {
    this.#rooms = rooms;
    this.#provider = provider;
    this.#matchId = matchId;
    this.#devAddrs = new Set(devAddrs);
    this.#options = options;
  }

  #ask(json: unknown): Promise<unknown> {
    const call: HttpCall = { method: 'POST', path: `/dmu/dmu/v1/trial/${this.#matchId}`, json };
    return this.#rooms.neighbour(this.#provider, call);
  }

  async #begin(now: () => number): Promise<void> {
    await beginTrial(this.#rooms, this.#provider, this.#matchId, [...this.#devAddrs]);
    this.#cursor = await this.#rooms.ownRingEnd();
    this.#startedAt = now();
  }

  async #collect(now: () => number): Promise<void> {
    const answer = parseInput(commitments, await this.#ask({ say: 'commitments', after: this.#lastBatch }));
    const committedAt = now();
    for (const document of answer.commitments) {
      const { body } = document;
      if (document.by !== this.#provider || !verifyDocument(document, COMMITMENT_KIND))
        throw new AntirioError('forbidden', 'a commitment is not signed by the provider');
      if (body.matchId !== this.#matchId || body.batch <= this.#lastBatch) continue;
      this.#committed.set(body.batch, { commitment: body, committedAt });
      this.#lastBatch = body.batch;
    }
  }

  async #hear(): Promise<void> {
    let full = true;
    while (full && this.#heard.length < MAX_FRAMES) {
      const page = await this.#rooms.ringOffers('own', this.#cursor ?? 0);
      this.#heard.push(...page.frames.filter(({ devAddr }) => this.#devAddrs.has(devAddr)));
      this.#cursor = page.next;
      full = page.full;
    }
  }

  async #reveal(): Promise<void> {
    const closed = [...this.#committed]
      .filter(([, { receipts }]) => receipts === undefined)
      .map(([batch]) => batch);
    for (let i = 0; i < closed.length; i += REVEALED_AT_ONCE) {
      const wanted = closed.slice(i, i + REVEALED_AT_ONCE);
      const { batches } = parseInput(revealed, await this.#ask({ say: 'reveal', batches: wanted }));
      for (const batch of batches) this.#open(batch);
    }
  }

  #open(batch: z.output<typeof receiptBatch>): void {
    const known = this.#committed.get(batch.batch);
    if (known === undefined) return;
    if (!opens(known.commitment, batch))
      throw new AntirioError('forbidden', `batch ${batch.batch} is not what the provider committed to`);
    known.receipts = batch.receipts;
  }

  #judge(now: number): TrialResult {
    const { policy, commitWithinMs, maxTrialMs } = this.#options;
    // The newest frames may still be committed to in time.
    const settled = this.#heard.filter(({ receivedAt }) => receivedAt <= now - commitWithinMs);
    const batches = [...this.#committed.values()].map(({ committedAt, receipts = [] }) => ({
      committedAt,
      receipts,
    }));
    const coverage = evaluateCoverage(settled, batches, commitWithinMs);
    const timeIsUp = now - this.#startedAt >= maxTrialMs;
    return { coverage, verdict: judgeCoverage(coverage, [...this.#devAddrs], policy, timeIsUp) };
  }

  /** Goes on with the trial; `now` is wall time. @throws AntirioError forbidden when the provider cheats. */
  async advance(now: () => number): Promise<TrialResult> {
    if (this.#cursor === undefined) await this.#begin(now);
    await this.#collect(now);
    await this.#hear();
    await this.#reveal();
    return this.#judge(now());
  }
}
