import { expect, test } from '@jest/globals';
import { customerPolicy, providerPolicy } from './policy.ts';

test('no policy asks for a contract that could not be settled, and one that does so is told why', () => {
  for (const policy of [customerPolicy, providerPolicy]) {
    expect(policy.parse({}).confidentiality).toEqual(['process', 'forward']);
    expect(() => policy.parse({ confidentiality: ['process', 'relay'] })).toThrow(/could never be settled/);
  }
});
