import { describe, expect, test } from '@jest/globals';
import { newEdge } from './contract.fixture.ts';
import {
  answerLease,
  beginTake,
  createGrantor,
  endTake,
  grantedSet,
  leaseRuns,
  quietMs,
  type GrantorState,
} from './grantor.ts';
import { LEAD_BY_GRANTOR_MS } from './lease.ts';
import type { LeaseRequest } from './messages.ts';

const a = newEdge();
const b = newEdge();
const leaseMs = 3000;
const byB = { epoch: 2, holder: b, leaseMs };
const setId = 'bridge';
const record = { epoch: 1, holder: a, released: false };
const facts = { record, leaseMs, slot: 0 };
const grantor = createGrantor('boot-c', 0);
const request = (changes: Partial<LeaseRequest> = {}): LeaseRequest => ({
  setId,
  epoch: 1,
  bootId: 'boot-a',
  sequence: 1,
  challenge: '',
  reserve: [],
  ...changes,
});

/** What a holder gets that repeats the challenge it was just given. */
function lease(state: GrantorState, now: number, changes: Partial<LeaseRequest> = {}) {
  const [asked, first] = answerLease(state, a, request(), facts, now);
  const challenge = first.kind === 'refused' ? first.body.challenge : '';
  return answerLease(asked, a, request({ challenge, ...changes }), facts, now);
}

describe('the grantor', () => {
  test('promises nothing to a request that does not repeat its challenge, recorded as it may be', () => {
    const [, first] = answerLease(grantor, a, request(), facts, 10_000);
    expect(first).toMatchObject({ kind: 'refused', body: { reason: 'stale' } });
    const [granted, answer] = lease(grantor, 10_000);
    expect(answer.kind).toBe('granted');
    const challenge = answer.kind === 'granted' ? answer.body.challenge : '';
    const replayed = request({ challenge });
    expect(answerLease(granted, a, replayed, facts, 12_000)[1].kind).toBe('granted');
    expect(answerLease(granted, a, replayed, facts, 14_000)[1]).toMatchObject({ body: { reason: 'stale' } });
    const restarted = createGrantor('boot-d', 0);
    expect(answerLease(restarted, a, replayed, facts, 10_100)[1]).toMatchObject({
      body: { reason: 'stale' },
    });
  });

  test('promises a provider nothing more that has served for as long as it may; what it had ends in its time', () => {
    const [granted, first] = lease(grantor, 10_000);
    const challenge = first.kind === 'granted' ? first.body.challenge : '';
    const [after, answer] = answerLease(
      granted,
      a,
      request({ challenge }),
      { ...facts, servedOut: true },
      11_000,
    );
    expect(answer).toMatchObject({ kind: 'refused', body: { reason: 'servedOut', holder: a } });
    expect(leaseRuns(after, setId, record, leaseMs, 13_059)).toBe(true);
    expect(leaseRuns(after, setId, record, leaseMs, 13_060)).toBe(false);
  });

  test('promises nobody anything while an epoch is on its way to the ledger', () => {
    const [taking, begun] = beginTake(grantor, setId, record, 1, leaseMs, 10_000);
    expect(begun.ok).toBe(true);
    expect(lease(taking, 10_001)[1].kind).toBe('silence');
    expect(beginTake(taking, setId, record, 1, leaseMs, 10_001)[1]).toMatchObject({ ok: false });
    const refused = endTake(taking, setId, undefined, 10_001);
    expect(lease(refused, 10_002)[1].kind).toBe('granted');
  });

  test('goes by no record that was read before it gave a later epoch', () => {
    const [taking] = beginTake(grantor, setId, record, 1, leaseMs, 10_000);
    const taken = endTake(taking, setId, { ...byB, actFrom: 13_000 }, 10_000);
    expect(lease(taken, 10_100)[1].kind).toBe('silence');
    expect(beginTake(taken, setId, record, 1, leaseMs, 10_100)[1]).toMatchObject({ reason: 'superseded' });
  });

  test('lets the next taker wait for what may be on air under the epoch before the last', () => {
    const [taking, begun] = beginTake(grantor, setId, record, 1, leaseMs, 10_000);
    const actFrom = begun.ok ? begun.actFrom : 0;
    expect(actFrom).toBe(10_000 + LEAD_BY_GRANTOR_MS);
    const taken = endTake(taking, setId, { ...byB, actFrom: 20_000 }, 10_000);
    const [, next] = beginTake(taken, setId, { epoch: 2, holder: b, released: true }, 2, leaseMs, 10_100);
    expect(next).toMatchObject({ ok: true, actFrom: 20_000 });
  });

  test('leaves the taker of an epoch time for its first lease: of several that want it, the first has it', () => {
    const [taking] = beginTake(grantor, setId, record, 1, leaseMs, 10_000);
    const taken = endTake(taking, setId, { ...byB, actFrom: 13_000 }, 10_000);
    const held = { epoch: 2, holder: b, released: false };
    expect(leaseRuns(taken, setId, held, leaseMs, 10_100)).toBe(true);
    expect(beginTake(taken, setId, held, 2, leaseMs, 13_000)[1]).toMatchObject({ reason: 'leaseRuns' });
    expect(leaseRuns(taken, setId, held, leaseMs, 13_061)).toBe(false);
    expect(beginTake(taken, setId, held, 2, leaseMs, 13_061)[1]).toMatchObject({ ok: true });
    expect(leaseRuns(taken, setId, { ...held, released: true }, leaseMs, 10_100)).toBe(false);
  });

  test('that has just started says of every lease that it may run', () => {
    const held = { epoch: 2, holder: b, released: false };
    const fresh = createGrantor('boot-c', 10_000);
    expect(leaseRuns(fresh, setId, held, leaseMs, 13_059)).toBe(true);
    expect(leaseRuns(fresh, setId, held, leaseMs, 13_061)).toBe(false);
    expect(quietMs(fresh, setId, 11_000)).toBe(2060);
  });

  test('gives the next epoch only when the promise is over, and says how long that is ago', () => {
    const [promised] = lease(grantor, 10_000);
    const { promise } = grantedSet(promised, setId);
    const until = promise?.until ?? 0;
    expect(until).toBeCloseTo(10_000 + leaseMs * 1.02);
    expect(beginTake(promised, setId, record, 1, leaseMs, until - 1)[1]).toMatchObject({
      reason: 'leaseRuns',
    });
    const [, begun] = beginTake(promised, setId, record, 1, leaseMs, until + 500);
    expect(begun).toMatchObject({ ok: true, endedMsAgo: 500, actFrom: until + LEAD_BY_GRANTOR_MS });
  });

  test('counts the whole time on air while it does not know whether its take is on the ledger', () => {
    const [taking, begun] = beginTake(grantor, setId, { ...record, released: true }, 1, leaseMs, 20_000);
    expect(begun).toMatchObject({ ok: true });
    expect(quietMs(taking, setId, 20_500)).toBe(LEAD_BY_GRANTOR_MS);
  });

  test('reserves counter blocks in the slot of the edge, and in no other', () => {
    const reserve = [
      { devAddr: '0000000a', slot: 0, above: -1 },
      { devAddr: '0000000b', slot: 1, above: -1 },
    ];
    expect(lease(grantor, 10_000, { reserve })[1]).toMatchObject({ reserve: [{ devAddr: '0000000a' }] });
  });

  test('keeps silent for one lease after its start', () => {
    expect(lease(grantor, 2000)[1].kind).toBe('silence');
    expect(beginTake(grantor, setId, record, 1, leaseMs, 2000)[1]).toMatchObject({ reason: 'restarted' });
  });
});
