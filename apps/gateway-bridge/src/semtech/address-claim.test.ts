import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { claimAddress, isHeld, type Address, type AddressClaim } from './address-claim.ts';

const home: Address = { host: '10.0.0.1', port: 1000 };
const homeLater: Address = { host: '10.0.0.1', port: 2000 };
const stranger: Address = { host: '10.0.0.9', port: 1000 };

/** PULL_DATA one after another; gives what became of each, and who holds the id in the end. */
function run(pulls: readonly (readonly [ms: number, from: Address])[]): {
  outcomes: string[];
  holder: Address | undefined;
} {
  let claim: AddressClaim | undefined;
  const outcomes = pulls.map(([ms, from]) => {
    const step = claimAddress(claim, from, ms);
    claim = step.claim;
    return step.outcome;
  });
  return { outcomes, holder: claim?.address };
}

describe("who gets a gateway's downlinks", () => {
  test('a forwarder that was restarted is found at its new port at once', () => {
    expect(
      run([
        [0, home],
        [10_000, home],
        [12_000, homeLater],
      ]),
    ).toEqual({
      outcomes: ['kept', 'kept', 'changed'],
      holder: homeLater,
    });
  });

  test('another host gets nothing while the gateway goes on asking, however often it asks', () => {
    const pulls = Array.from({ length: 600 }, (_, i): [number, Address] => [
      i * 100,
      i % 100 === 0 ? home : stranger,
    ]);
    const { outcomes, holder } = run(pulls);
    expect(holder).toEqual(home);
    expect(outcomes.filter((outcome) => outcome === 'contested')).toHaveLength(594);
  });

  test('another host is believed once the gateway has been silent for two and a half of its intervals', () => {
    expect(
      run([
        [0, home],
        [5000, home],
        [10_000, home],
        [20_000, stranger],
      ]).outcomes.at(-1),
    ).toBe('contested');
    expect(
      run([
        [0, home],
        [5000, home],
        [10_000, home],
        [35_001, stranger],
      ]).outcomes.at(-1),
    ).toBe('changed');
  });

  test('a second process under the same id on the same host is found out when the first one asks again', () => {
    expect(
      run([
        [0, home],
        [1000, homeLater],
        [5000, home],
        [6000, homeLater],
        [10_000, home],
        [11_000, homeLater],
      ]),
    ).toEqual({
      outcomes: ['kept', 'changed', 'reinstated', 'contested', 'kept', 'contested'],
      holder: home,
    });
  });

  test('whoever holds the id asked for it himself, and nobody takes it from a holder on another host in time', () => {
    const addresses = [home, homeLater, stranger];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(40_000), fc.constantFrom(...addresses)), { minLength: 1, maxLength: 60 }),
        (steps) => {
          let claim: AddressClaim | undefined;
          let now = 0;
          for (const [gap, from] of steps) {
            now += gap;
            const before = claim;
            ({ claim } = claimAddress(before, from, now));
            const moved = before !== undefined && claim.address.host !== before.address.host;
            if (moved) expect(isHeld(before, now)).toBe(false);
            expect([before?.address, from]).toContainEqual(claim.address);
          }
        },
      ),
    );
  });
});
