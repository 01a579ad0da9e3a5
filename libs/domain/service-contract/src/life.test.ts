import { expect, test } from '@jest/globals';
import { generateIdentity, parseEdgeId } from '@antirio/kernel';
import { advance, isEnded, type ContractLife, type LifeStep } from './life.ts';

const holder = parseEdgeId(generateIdentity().edgeId);

function live(...steps: readonly LifeStep[]): ContractLife {
  let life: ContractLife = { state: 'DRAFT' };
  for (const step of steps) {
    const next = advance(life, step);
    if (!next.ok) throw new TypeError(next.error);
    life = next.value;
  }
  return life;
}

test('an honoured takeover runs from DRAFT to SETTLED', () => {
  const life = live(
    { step: 'sign' },
    { step: 'validate' },
    { step: 'ready' },
    { step: 'activate', epoch: 2, holder },
    { step: 'release', epoch: 2 },
    { step: 'handBack', epoch: 2 },
    { step: 'settle', row: 'honoured' },
  );
  expect(life).toEqual({ state: 'SETTLED', row: 'honoured' });
  expect(isEnded(life)).toBe(true);
});

test('steps that skip a state are refused with the state they found', () => {
  expect(advance({ state: 'SIGNED' }, { step: 'ready' })).toEqual({
    ok: false,
    error: 'cannot ready a contract that is SIGNED',
  });
  expect(advance({ state: 'VALIDATED' }, { step: 'activate', epoch: 2, holder })).toMatchObject({
    ok: false,
  });
  expect(advance({ state: 'SETTLED', row: 'honoured' }, { step: 'cancel' })).toMatchObject({ ok: false });
});

test('only the active epoch can be released', () => {
  expect(advance({ state: 'ACTIVE', epoch: 3, holder }, { step: 'release', epoch: 2 })).toMatchObject({
    ok: false,
  });
});
