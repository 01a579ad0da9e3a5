import { expect, test } from '@jest/globals';
import { customerPolicy, providerPolicy, rentAsked, rentBid, towards, undecidedBorne } from './policy.ts';

test('a policy may name providers that only keep frames, and does not by itself', () => {
  for (const policy of [customerPolicy, providerPolicy]) {
    expect(policy.parse({}).confidentiality).toEqual(['process', 'forward']);
    expect(policy.parse({ confidentiality: ['relay'] }).confidentiality).toEqual(['relay']);
  }
});

test('who bears some undecided disputes of anybody bears a share of them, too, and by default any number', () => {
  for (const policy of [customerPolicy, providerPolicy]) {
    expect(undecidedBorne(policy.parse({}))).toEqual({});
    const some = { maxUndecided: 2, maxUndecidedPermille: 100 };
    expect(undecidedBorne(policy.parse({ maxUndecided: 2 }))).toEqual(some);
  }
});

test('orders say nothing of rent where nobody asks for any, and name the levels that cost something', () => {
  expect([rentAsked(providerPolicy.parse({})), rentBid(customerPolicy.parse({}))]).toEqual([{}, {}]);
  const hot = { first: 9, limit: 5 };
  expect(rentAsked(providerPolicy.parse({ rent: { hot } }))).toEqual({ rent: { hot: 5 } });
  expect(rentBid(customerPolicy.parse({ rent: { first: 1, limit: 7 } }))).toEqual({ rent: 7 });
  const pays = customerPolicy.parse({ rent: { first: 1, limit: 7 } });
  expect([towards(pays, {}).rent.limit, towards(pays, { rent: 2 }).rent.limit]).toEqual([0, 7]);
  expect(customerPolicy.safeParse({ rent: { first: 0, limit: 1.5 } }).success).toBe(false);
});
