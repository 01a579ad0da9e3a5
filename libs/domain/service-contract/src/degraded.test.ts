import { describe, expect, test } from '@jest/globals';
import { called, driveProvider, recorded, terms, tick } from './contract.fixture.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderState } from './provider-state.ts';

const { silentMs } = terms.hearing;
const heard = (...ages: (number | undefined)[]): PartyEvent => ({
  type: 'observed',
  observed: {
    gateways: ages.map((heardMsAgo, i) => ({
      id: String(i),
      ...(heardMsAgo === undefined ? {} : { heardMsAgo }),
    })),
  },
});
const told = (method: 'degrade' | 'ready'): PartyEvent => ({ type: 'answer', method, ok: true, value: {} });

/** A provider that stands by, with a customer that beats, and what the ledger says of it. */
function standing(
  state = 'READY',
  of = terms,
): { step: (event: PartyEvent, now: number) => string[]; notes: string[] } {
  let provider: ProviderState = createProvider(of, { at: 'ready' }, 'boot', 0);
  const notes: string[] = [];
  const drive = (event: PartyEvent, now: number): string[] => {
    const driven = driveProvider(provider, event, now);
    provider = driven.state;
    for (const effect of driven.effects) if (effect.type === 'note') notes.push(effect.milestone);
    return called(driven.effects);
  };
  drive(recorded({ state }), 0);
  return {
    notes,
    step(event, now) {
      const { detector } = provider.watch;
      provider = { ...provider, watch: { ...provider.watch, detector: { ...detector, lastHeardAt: now } } };
      return drive(event, now);
    },
  };
}

describe('a provider that hears nothing', () => {
  test('says so on the ledger, and that it hears again', () => {
    const { step, notes } = standing();
    step(heard(undefined), 1);
    expect(step(tick, silentMs - 1)).not.toContain('degrade');
    expect(step(tick, silentMs)).toContain('degrade');
    step(told('degrade'), silentMs + 1);
    expect(notes).toContain('degraded');
    step(recorded({ state: 'DEGRADED' }), silentMs + 2);
    expect(step(tick, silentMs + 3)).not.toContain('ready');
    step(heard(undefined, 10), silentMs + 5000);
    expect(step(tick, silentMs + 5001)).toContain('ready');
    step(told('ready'), silentMs + 5002);
    expect(notes).toContain('ready');
  });

  test('is as good as any for a service that no sensor on the radio feeds', () => {
    const drone = { ...terms, set: { ...terms.set, devices: [] } };
    const { step } = standing('READY', drone);
    step(heard(), 1);
    expect(step(tick, silentMs * 2)).not.toContain('degrade');
    step(recorded({ state: 'DEGRADED' }), silentMs * 2 + 1);
    expect(step(tick, silentMs * 2 + 2)).toContain('ready');
  });

  test('is one whose gateways are all silent; one that lives is enough', () => {
    const { step } = standing('READY_EXPOSED');
    step(heard(silentMs * 2, 400), silentMs);
    expect(step(tick, silentMs + 1)).not.toContain('degrade');
    step(heard(silentMs * 2, silentMs), silentMs * 2);
    expect(step(tick, silentMs * 2)).toContain('degrade');
  });

  test('says nothing where it does not know its gateways, or serves, or is in no such state', () => {
    expect(standing().step(tick, silentMs * 2)).not.toContain('degrade');
    for (const state of ['VALIDATED', 'ACTIVE', 'HANDED_BACK', 'DEGRADED']) {
      const { step } = standing(state);
      step(heard(), 1);
      expect(step(tick, silentMs * 2)).not.toContain('degrade');
    }
  });
});

describe('a provider whose sensors do not hear it', () => {
  const motesDeaf = (is: boolean): PartyEvent => ({
    type: 'observed',
    observed: { gateways: [{ id: '0', heardMsAgo: 10 }], motesDeaf: is },
  });

  test('says so on the ledger where the terms ask for it, and that they do again', () => {
    const { step } = standing();
    expect(step(motesDeaf(false), 1)).not.toContain('degrade');
    step(motesDeaf(true), 2);
    expect(step(tick, 3)).toContain('degrade');
    step(told('degrade'), 4);
    step(recorded({ state: 'DEGRADED' }), 5);
    expect(step(tick, 6)).not.toContain('ready');
    step(motesDeaf(false), 5000);
    expect(step(tick, 5001)).toContain('ready');
  });
});
