import { expect, test } from '@jest/globals';
import { customerPolicy, providerPolicy, undecidedBorne } from './policy.ts';

test('no policy asks for a contract that could not be settled, and one that does so is told why', () => {
  for (const policy of [customerPolicy, providerPolicy]) {
    expect(policy.parse({}).confidentiality).toEqual(['process', 'forward']);
    expect(() => policy.parse({ confidentiality: ['process', 'relay'] })).toThrow(/could never be settled/);
  }
});

test('who bears some undecided disputes of anybody bears a share of them, too, and by default any number', () => {
  for (const policy of [customerPolicy, providerPolicy]) {
    expect(undecidedBorne(policy.parse({}))).toEqual({});
    const some = { maxUndecided: 2, maxUndecidedPermille: 100 };
    expect(undecidedBorne(policy.parse({ maxUndecided: 2 }))).toEqual(some);
  }
});
