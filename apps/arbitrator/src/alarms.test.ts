import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { ContractTerms } from '@antirio/service-contract';
import { ALARMS, findTroubles, type AlarmName, type ContractFacts, type EdgeFacts } from './alarm-rules.ts';
import { ALARM_TOPIC, createAlarmBoard } from './alarms.ts';

const terms = { contractId: 'C', expiresAt: 100_000_000, maxActiveS: 86_400 } as ContractTerms;
const well: ContractFacts = {
  terms,
  role: 'customer',
  phase: 'guarded',
  mayAct: true,
  cannotActForMs: 0,
  held: false,
  ledger: { state: 'READY', exposed: false, disputed: false },
  dropped: 0,
};
const edge: EdgeFacts = {
  contracts: [well],
  protects: true,
  dropped: 0,
  grantorDownForMs: 100,
  now: 1000,
};
const namesOf = (facts: EdgeFacts): string[] => findTroubles(facts).map(({ name }) => name);
const withContract = (changes: Partial<ContractFacts>): EdgeFacts => ({
  ...edge,
  contracts: [{ ...well, ...changes }],
});
const ledger = { state: 'READY', exposed: false, disputed: false };

test('an edge where all is well has no alarm', () => {
  expect(namesOf(edge)).toEqual([]);
});

const cases: readonly (readonly [AlarmName, EdgeFacts])[] = [
  ['countersNearLimit', { ...edge, counterGaps: [{ devAddr: '01000001', next: 4096, proven: 0 }] }],
  ['noReadyProvider', withContract({ phase: 'ended', ledger: undefined })],
  ['noReadyProvider', withContract({ providerSilentMs: 61_000 })],
  ['noReadyProvider', { ...edge, contracts: [] }],
  ['noReadyProvider', withContract({ phase: 'stated', ledger: { ...ledger, state: 'HANDED_BACK' } })],
  ['degraded', withContract({ ledger: { ...ledger, state: 'DEGRADED' } })],
  ['degraded', withContract({ ledger: { ...ledger, state: 'DEGRADED' }, sensorsDeaf: true })],
  ['ringBeganAnew', withContract({ ringLives: 2 })],
  ['roomSilent', withContract({ roomsOut: ['gatewayBridge'] })],
  ['unsealed', withContract({ phase: 'recovering' })],
  ['unsealed', withContract({ role: 'provider', phase: 'active' })],
  ['exposed', withContract({ ledger: { ...ledger, exposed: true } })],
  ['leaseLost', withContract({ collides: '01000001' })],
  ['drops', withContract({ dropped: 3 })],
  ['drops', { ...edge, dropped: 1 }],
  ['notForwarded', withContract({ forwarding: { state: 'revoked', lost: 0 } })],
  ['notForwarded', withContract({ forwarding: { state: 'forwarding', lost: 2 } })],
  ['conflict', withContract({ ledger: { ...ledger, disputed: true } })],
  ['leaseLost', withContract({ mayAct: false, cannotActForMs: 30_000 })],
  ['endingWhileActive', { ...withContract({ phase: 'recovering' }), now: terms.expiresAt - 1000 }],
  ['grantorDown', { ...edge, grantorDownForMs: 11_000 }],
  ['held', withContract({ held: true })],
  ['drillFailed', withContract({ drill: { number: 2, state: 'failed', reason: 'notRead', penalty: 5 } })],
  ['drillFailed', withContract({ drill: { number: 2, state: 'void', reason: 'holdersSilent' } })],
  ['drillFailed', withContract({ fullDrill: { number: 2, state: 'failed', reason: 'notOpened' } })],
  ['drillFailed', withContract({ fullDrill: { number: 2, state: 'void', reason: 'declined' } })],
];
test.each(cases)('%s is found', (name, facts) => {
  expect(namesOf(facts)).toContain(name);
});

test('that the end of a contract counts as an exposure of its keys is no news of an opening', () => {
  for (const state of ['EXPIRED', 'CANCELLED', 'SETTLED'])
    expect(namesOf(withContract({ ledger: { ...ledger, state, exposed: true } }))).toEqual([]);
});

test('who only keeps frames is no provider that stands by, and the alarm says so', () => {
  const kept = { ...well, terms: { ...terms, confidentiality: 'relay', disputeS: 60 } as ContractTerms };
  const [found] = findTroubles({ ...edge, contracts: [kept] });
  expect(found).toMatchObject({
    name: 'noReadyProvider',
    detail: expect.stringMatching(/keeps its frames, and nobody would take over/),
  });
  expect(namesOf({ ...edge, contracts: [kept, well] })).toEqual([]);
  // nor is anything said to be kept by who has gone, or hears nothing
  for (const gone of [{ providerSilentMs: 61_000 }, { ledger: { ...ledger, state: 'DEGRADED' } }]) {
    const [silent] = findTroubles({ ...edge, contracts: [{ ...kept, ...gone }] });
    expect(silent?.detail).toBe('no provider stands by for our service');
  }
});

test('the alarm of two frames under one counter names device and identity', () => {
  const devEui = '0102030405060708';
  const one = { device: 'pier-1', devEui, session: '00000000000000ab', fCnt: 17, unseen: 2 };
  const [found, ...more] = findTroubles({ ...edge, frameConflicts: [one] });
  expect(more).toEqual([]);
  expect(found).toMatchObject({ name: 'conflict', about: 'pier-1' });
  for (const part of ['2 genuine frames', devEui, 'session 00000000000000ab', 'counter 17'])
    expect(found?.detail).toContain(part);
  // of another network server's, as far as that tells
  const [theirs] = findTroubles({ ...edge, frameConflicts: [{ ...one, session: null }] });
  expect(theirs?.detail).toContain(`(${devEui}, counter 17)`);
});

test('a contract whose time is over while its provider serves is not said to end then', () => {
  const detailAt = (now: number): string | undefined =>
    findTroubles({ ...withContract({ role: 'provider', phase: 'active' }), now }).find(
      ({ name }) => name === 'endingWhileActive',
    )?.detail;
  expect(detailAt(terms.expiresAt - 1000)).toContain('ends at');
  expect(detailAt(terms.expiresAt + 1000)).toContain('would have ended at');
});

test('a provider whose customer may still claim for the outage takes over as before', () => {
  const state = { ...ledger, state: 'HANDED_BACK', claimable: true };
  expect(namesOf(withContract({ phase: 'stated', ledger: state }))).toEqual([]);
});

test('the alarm of a grantor that is away says how many sensors have no counters left', () => {
  const details = (sensorsWithoutBlocks?: number): string[] =>
    findTroubles({
      ...edge,
      grantorDownForMs: 11_000,
      ...(sensorsWithoutBlocks === undefined ? {} : { sensorsWithoutBlocks }),
    }).map(({ detail }) => detail);
  expect(details(2)[0]).toContain('2 sensors have no downlink counters left');
  for (const none of [undefined, 0]) expect(details(none)[0]).not.toContain('sensors');
});

test('a drill that is passed, under way, or void for nobody’s fault alarms nobody', () => {
  for (const state of ['passed', 'asked', 'opened', 'void'] as const)
    expect(namesOf(withContract({ drill: { number: 3, state, reason: 'takeover' } }))).toEqual([]);
  for (const reason of ['served', 'takeover', 'givenUp', 'degraded', 'contractOver'] as const)
    expect(namesOf(withContract({ fullDrill: { number: 3, state: 'void', reason } }))).toEqual([]);
});

test('the end of maxActiveS is told before it comes, and until the customer has its sensors back', () => {
  const serving = (activeLeftMs: number | undefined, phase: string) =>
    namesOf(withContract({ role: 'provider', phase, activeLeftMs }));
  expect(serving(well.terms.maxActiveS * 1000, 'active')).not.toContain('endingWhileActive');
  expect(serving(60_000, 'active')).toContain('endingWhileActive');
  expect(serving(0, 'stated')).toContain('endingWhileActive');
  expect(serving(undefined, 'stated')).not.toContain('endingWhileActive');
  expect(serving(0, 'ended')).not.toContain('endingWhileActive');
});

test('a provider that is heard is one, a short break of the network is nothing, and one of two is enough', () => {
  expect(namesOf(withContract({ providerSilentMs: 59_000 }))).toEqual([]);
  const gone = { ...well, providerSilentMs: 3_600_000 };
  expect(namesOf({ ...edge, contracts: [gone, { ...well, providerSilentMs: 500 }] })).toEqual([]);
  expect(namesOf({ ...edge, contracts: [], protects: false })).toEqual([]);
});

test('a silence after a start is no lost lease, and who is fenced on purpose has lost none', () => {
  expect(namesOf(withContract({ mayAct: false, cannotActForMs: 5000 }))).toEqual([]);
  const fenced = withContract({ phase: 'recovering', mayAct: false, cannotActForMs: 60_000 });
  expect(namesOf(fenced)).not.toContain('leaseLost');
});

test('every alarm has its page, and every page its alarm', () => {
  const folder = new URL('../../../docs/runbooks/', import.meta.url);
  expect(readdirSync(folder).toSorted()).toEqual(ALARMS.map((name) => `${name}.md`).toSorted());
  for (const name of ALARMS) {
    const page = readFileSync(new URL(`${name}.md`, folder), 'utf8');
    for (const part of [
      `Alarm \`${name}\`.`,
      'What it means',
      'What to look at',
      'What to do',
      'When to call whom',
    ])
      expect([name, page.includes(part) ? part : '']).toEqual([name, part]);
  }
});

test('alarms are told as they begin and end, once each, and counted', async () => {
  const told: { name: string; on: boolean; runbook: string }[] = [];
  const metrics = new Registry();
  let now = 10;
  const log = { warn: () => undefined, debug: () => undefined };
  const bus = {
    publish(topic: string, text: string) {
      expect(topic).toBe(ALARM_TOPIC);
      told.push(JSON.parse(text) as (typeof told)[number]);
      return Promise.resolve();
    },
  };
  const clock = { now: () => now, monotonic: () => now };
  const ports = { bus, clock, log, metrics } as unknown as Parameters<typeof createAlarmBoard>[0];
  const board = createAlarmBoard(ports);
  const held = { name: 'held', about: 'C', detail: 'by ann' } as const;
  board.found([held]);
  now = 20;
  board.found([{ ...held, detail: 'by ben' }]);
  board.raise({ name: 'ledgerRolledBack', about: 'central', detail: 'height 5 after 9' });
  expect(board.all()).toMatchObject([
    { name: 'held', since: 10, detail: 'by ben', runbook: 'docs/runbooks/held.md' },
    { name: 'ledgerRolledBack', since: 20 },
  ]);
  expect(await metrics.metrics()).toContain('antirio_alarm{name="held"} 1');
  board.found([]);
  expect(board.all().map(({ name }) => name)).toEqual(['ledgerRolledBack']);
  board.clear('ledgerRolledBack', 'central');
  board.clear('ledgerRolledBack', 'central');
  expect(told.map(({ name, on }) => [name, on])).toEqual([
    ['held', true],
    ['ledgerRolledBack', true],
    ['held', false],
    ['ledgerRolledBack', false],
  ]);
});
