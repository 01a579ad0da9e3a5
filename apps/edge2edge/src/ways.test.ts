import { describe, expect, test } from '@jest/globals';
import { AntirioError, generateIdentity, openIdentity } from '@antirio/kernel';
import { createWays, type Ways } from './ways.ts';

const to = openIdentity(generateIdentity()).edgeId;
const gone = (): Promise<string> => Promise.reject(new AntirioError('timeout', 'no answer'));
const answers = (what: string) => () => Promise.resolve(what);

function start(): { ways: Ways; pass: (ms: number) => void; probes: () => number } {
  let now = 0;
  let probes = 0;
  const probe = (): Promise<never> => {
    probes += 1;
    return Promise.reject(new AntirioError('timeout', 'no answer'));
  };
  const ways = createWays({ clock: { monotonic: () => now }, probe });
  return { ways, pass: (ms) => void (now += ms), probes: () => probes };
}

describe('the way to another edge', () => {
  test('is the direct one as long as the edge says anything at all, be it a refusal', async () => {
    const { ways } = start();
    expect(await ways.take(to, { direct: answers('direct'), central: answers('central') })).toBe('direct');
    const refusals = [
      new AntirioError('forbidden', 'no'),
      new AntirioError('tooLarge', 'no'),
      new AntirioError('unavailable', 'not signed', { status: 503 }),
    ];
    for (const refusal of refusals) {
      const refused = { direct: () => Promise.reject(refusal), central: answers('central') };
      await expect(ways.take(to, refused)).rejects.toBe(refusal);
    }
    expect(ways.of(to)).toBe('direct');
  });

  test('goes through the centre once the edge gives no answer, and is direct again when it has given one', async () => {
    const { ways, pass, probes } = start();
    let tried = 0;
    const direct = (): Promise<string> => {
      tried += 1;
      return gone();
    };
    for (let i = 0; i < 5; i++) expect(await ways.take(to, { direct, central: answers('c') })).toBe('c');
    expect([tried, probes(), ways.of(to)]).toEqual([1, 0, 'central']);
    for (let s = 0; s < 60; s++) {
      pass(1000);
      await ways.take(to, { direct, central: answers('c') });
    }
    // after 1, 2, 4, 8 and then every 15 s, and no request has waited for it
    expect([tried, probes()]).toEqual([1, 7]);
    ways.reached(to);
    expect(await ways.take(to, { direct: answers('d'), central: answers('c') })).toBe('d');
  });

  test('costs the centre little where it cannot bring an answer either', async () => {
    const { ways, pass } = start();
    let asked = 0;
    const central = (): Promise<string> => {
      asked += 1;
      return Promise.reject(new AntirioError('unavailable', 'not carried'));
    };
    for (let s = 0; s < 100; s += 0.1) {
      await expect(ways.take(to, { direct: gone, central })).rejects.toThrow();
      pass(100);
    }
    expect(asked).toBeGreaterThan(15);
    expect(asked).toBeLessThan(30);
    // what is told is why the edge itself was not reached
    pass(10_000);
    ways.reached(to);
    await expect(ways.take(to, { direct: gone, central })).rejects.toThrow('no answer');
  });
});
