import { expect, test } from '@jest/globals';
import { driveCustomer, driveProvider, terms, tick } from './contract.fixture.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import type { Observed, PartyEffect, PartyEvent } from './party.ts';
import { createProvider, type ProviderState } from './provider-state.ts';

const { frames, forMs } = terms.deaf;
const seen = (observed: Observed): PartyEvent => ({ type: 'observed', observed });
const causes = (effects: readonly PartyEffect[]): string[] =>
  effects.flatMap((effect) => (effect.type === 'lastGasp' ? [effect.cause] : []));
const claims = (effects: readonly PartyEffect[]): unknown[] =>
  effects.flatMap((effect) =>
    effect.type === 'send' && effect.datagram.kind === 'deaf' ? [effect.datagram.body] : [],
  );

/** A provider that hears beats all the time: they are nothing to it here. */
function listening(state: ProviderState, from: number, until: number, ring: Observed['ring']) {
  const said: unknown[] = [];
  for (let now = from; now <= until; now += 500) {
    const detector = { ...state.watch.detector, lastHeardAt: now };
    const alive = { ...state, watch: { ...state.watch, detector } };
    const turn = driveProvider(driveProvider(alive, seen({ ring }), now).state, tick, now);
    state = turn.state;
    said.push(...claims(turn.effects));
  }
  return { state, said };
}

test('a provider tells its customer when the same frames stay unacknowledged, and opens nothing', () => {
  const ready = createProvider(terms, { at: 'ready' }, 'boot-b', 0);
  const few = listening(ready, 0, 2 * forMs, { from: 1, next: frames });
  expect(few.said).toEqual([]);
  const soon = listening(ready, 0, forMs - 500, { from: 1, next: 1 + frames });
  expect(soon.said).toEqual([]);
  const told = listening(soon.state, forMs, forMs + 500, { from: 1, next: 4 + frames });
  const { contractId } = terms;
  expect(told.said).toEqual([{ contractId, through: 3 + frames, unacknowledged: 3 + frames }]);
  expect(told.state.phase.at).toBe('ready');
  const moved = listening(told.state, forMs + 1000, 2 * forMs - 500, { from: 2, next: 40 + frames });
  expect(moved.said).toEqual([]);
});

const claim = (through: number, from = terms.provider): PartyEvent => ({
  type: 'datagram',
  from,
  datagram: { kind: 'deaf', body: { contractId: terms.contractId, through, unacknowledged: through } },
});

function guardedWith(events: readonly (readonly [number, PartyEvent])[]): {
  readonly state: CustomerState;
  readonly said: string[];
} {
  let state = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', 0);
  const said: string[] = [];
  for (const [now, event] of events) {
    const turn = driveCustomer(state, event, now);
    state = turn.state;
    said.push(...causes(turn.effects));
  }
  return { state, said };
}

const behind = seen({ source: { pulledThrough: 2, caughtUp: false } });
const wellNow = seen({ source: { pulledThrough: 2, caughtUp: true } });

test('a customer gives its word only where its own senses agree', () => {
  const late = forMs + 10;
  expect(
    guardedWith([
      [0, behind],
      [late, claim(2 + frames)],
    ] as const).said,
  ).toEqual(['deaf']);
  expect(
    guardedWith([
      [0, behind],
      [late, claim(1 + frames)],
    ] as const).said,
  ).toEqual([]);
  expect(
    guardedWith([
      [0, behind],
      [forMs - 1, claim(99)],
    ] as const).said,
  ).toEqual([]);
  expect(
    guardedWith([
      [0, behind],
      [500, wellNow],
      [late, claim(99)],
    ] as const).said,
  ).toEqual([]);
  expect(
    guardedWith([
      [0, behind],
      [late, claim(99, terms.central)],
    ] as const).said,
  ).toEqual([]);
  const held: PartyEvent = { type: 'held', held: true };
  expect(
    guardedWith([
      [0, behind],
      [1, held],
      [late, claim(99)],
    ] as const).said,
  ).toEqual([]);
});

test('a store that refuses writes is told once a second, a passing refusal not at all', () => {
  const bad = seen({ storeOk: false });
  expect(
    guardedWith([
      [0, bad],
      [1900, tick],
      [1950, seen({ storeOk: true })],
      [2500, tick],
    ] as const).said,
  ).toEqual([]);
  const stays = guardedWith([
    [0, bad],
    [2000, tick],
    [2020, tick],
    [3000, tick],
  ] as const);
  expect(stays.said).toEqual(['disk', 'disk']);
  const paused = { ...stays.state, yieldPause: { until: 40_000, forMs: 30_000 } };
  expect(causes(driveCustomer(paused, tick, 39_900).effects)).toEqual([]);
  expect(causes(driveCustomer(paused, tick, 40_000).effects)).toEqual(['disk']);
});

test('beats tell of the gateways now and then, the most silent first, in one datagram', () => {
  const gateways = Array.from({ length: 20 }, (_, n) => ({
    id: `00000000000000${String(n).padStart(2, '0')}`,
    heardMsAgo: n * 1_000_000,
    uplinkMsAgo: n * 1_000_000,
  }));
  let state = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', 0);
  state = driveCustomer(state, seen({ gateways: [...gateways, { id: 'never' }] }), 0).state;
  const told: (readonly (string | undefined)[])[] = [];
  for (let now = 0; now < 10_000; now += 200) {
    const turn = driveCustomer(state, tick, now);
    state = turn.state;
    for (const effect of turn.effects)
      if (effect.type === 'send' && effect.datagram.kind === 'beat' && effect.datagram.body.gateways) {
        told.push(effect.datagram.body.gateways.map(({ id }) => id.slice(-2)));
        expect(JSON.stringify(effect.datagram).length).toBeLessThan(1000);
      }
  }
  expect(told).toHaveLength(2);
  expect(told[0]).toEqual(['er', '19', '18', '17', '16', '15', '14', '13']);
});
