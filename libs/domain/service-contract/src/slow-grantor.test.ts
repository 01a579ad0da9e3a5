import { describe, expect, test } from '@jest/globals';
import { terms } from './contract.fixture.ts';
import { answerLease, createGrantor, type GrantorState } from './grantor.ts';
import { mayAct } from './lease.ts';
import type { Datagram, LeaseRequest } from './messages.ts';
import { actUnder, createActing, leaseNews, renew, type Acting } from './party.ts';

const { leaseMs, customer } = terms;
const { setId } = terms.set;
const facts = { record: { epoch: 1, holder: customer, released: false }, leaseMs, slot: 0 };
const STEP_MS = 5;
const [SLOW_FROM, SLOW_UNTIL, END] = [10_000, 40_000, 100_000];

interface Asked {
  readonly request: LeaseRequest;
  readonly receivedAt: number;
}

/**
 * A holder, and a grantor that works at one request after the other.
 *
 * @param workMs how long one takes it at a time; undefined where the answer is lost
 * @param newestOnly of several that wait only the newest is answered, as the central arbitrator does it
 * @returns how many requests were sent, and when the lease was held
 */
function course(workMs: (now: number) => number | undefined, newestOnly: boolean) {
  let grantor: GrantorState = createGrantor('boot-c', -60_000);
  let acting: Acting = actUnder(createActing(leaseMs, 'boot-a', -60_000), 1, -60_000);
  let queue: Asked[] = [];
  let work: { readonly asked: Asked; readonly doneAt: number } | undefined;
  let requests = 0;
  const held: number[] = [];

  const answer = ({ request, receivedAt }: Asked, now: number): void => {
    const [next, answered] = answerLease(grantor, customer, request, facts, receivedAt, now);
    grantor = next;
    if (answered.kind === 'silence') return;
    const body = answered.kind === 'granted' ? { ...answered.body, blocks: [] } : answered.body;
    const kind = answered.kind === 'granted' ? 'leaseGrant' : 'leaseRefused';
    acting = leaseNews(acting, setId, { kind, body } as Datagram)?.acting ?? acting;
  };
  const send = (now: number): void => {
    const [next, effects] = renew(acting, terms, () => [], now);
    acting = next;
    for (const effect of effects) {
      if (effect.type !== 'send' || effect.datagram.kind !== 'leaseRequest') continue;
      requests += 1;
      const asked = { request: effect.datagram.body, receivedAt: now };
      queue = newestOnly ? [asked] : [...queue, asked];
    }
  };
  for (let now = 0; now < END; now += STEP_MS) {
    if (work !== undefined && work.doneAt <= now) {
      answer(work.asked, now);
      work = undefined;
    }
    const asked = work === undefined ? queue.shift() : undefined;
    const takes = workMs(now);
    if (asked !== undefined && takes !== undefined) work = { asked, doneAt: now + takes };
    send(now);
    if (mayAct(acting.lease, now)) held.push(now);
  }
  return { requests, held };
}

const slowThen =
  (slowMs: number | undefined, laterMs: number) =>
  (now: number): number | undefined =>
    now >= SLOW_FROM && now < SLOW_UNTIL ? slowMs : laterMs;

/** How long after the bad time the lease is held again; NaN where it is lost once more. */
function backAfter({ held }: ReturnType<typeof course>): number {
  const later = held.filter((at) => at >= SLOW_UNTIL);
  const [first = Infinity] = later;
  const gaps = later.some((at, i) => i > 0 && at - (later[i - 1] ?? at) > STEP_MS);
  return gaps ? Number.NaN : first - SLOW_UNTIL;
}

describe('a lease from a slow grantor', () => {
  test.each([
    [400, 400],
    [1200, 300],
    [2000, 600],
    [5000, 100],
    [5000, 700],
    [30_000, 20],
    [undefined, 20],
  ])('that took %s ms for an answer, and then %i, is held again within two seconds', (slowMs, laterMs) => {
    expect(backAfter(course(slowThen(slowMs, laterMs), true))).toBeLessThan(2000);
  });

  test('is held again as soon as a queue of old requests is worked off, which does not grow by itself', () => {
    const { held } = course(slowThen(5000, 100), false);
    expect(held.filter((at) => at >= 50_000)).toHaveLength((END - 50_000) / STEP_MS);
    const usual = course(() => 20, false).requests;
    for (const slowMs of [900, 2000, 5000])
      expect(course(slowThen(slowMs, 300), false).requests).toBeLessThan(usual * 1.1);
  });
});
