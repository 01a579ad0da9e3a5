import { describe, expect, test } from '@jest/globals';
import { createTakeoverTurns, isCutOff, type HeardCustomer } from './takeover-turns.ts';

function edge(atOnce: number, customers: HeardCustomer[] = []) {
  const world = { now: 1000, centreHeardAt: 1000, opening: new Set<string>() };
  const turns = createTakeoverTurns({
    atOnce,
    now: () => world.now,
    random: () => 0.5,
    isUnderWay: (id) => world.opening.has(id),
    customers: () => customers,
    centreHeardAt: () => world.centreHeardAt,
  });
  const ask = (ids: string): string =>
    Array.from(ids)
      .filter((id) => turns.mayBegin(id) && world.opening.add(id))
      .join('');
  /** Asks again and again, as machines do. */
  const askFor = (ids: string, ms: number): string => {
    let begun = '';
    for (const end = world.now + ms; world.now < end; world.now += 10)
      begun += ask(
        Array.from(ids)
          .filter((id) => !begun.includes(id))
          .join(''),
      );
    return begun;
  };
  return { world, turns, ask, askFor };
}

describe('when many customers fall silent at once', () => {
  test('so many takeovers begin as are allowed, apart, in the order in which they were asked for', () => {
    const { world, turns, ask, askFor } = edge(2);
    expect(ask('cab')).toBe('c');
    expect(ask('ba')).toBe('');
    expect(askFor('ba', 100)).toBe('a');
    expect(turns.waiting()).toEqual(['b']);
    world.opening.delete('c');
    expect(askFor('bd', 100)).toBe('b');
    world.opening.clear();
    expect(askFor('d', 100)).toBe('d');
  });

  test('one that gets no further, and one that asks no more, hold up nobody', () => {
    const { world, askFor, ask } = edge(1);
    expect(ask('a')).toBe('a');
    expect(askFor('bc', 200)).toBe('');
    expect(askFor('c', 1500)).toBe('');
    world.opening.clear();
    expect(askFor('c', 100)).toBe('c');
    expect(askFor('d', 29_000)).toBe('');
    expect(askFor('d', 2000)).toBe('d');
  });
});

describe('who hears nobody', () => {
  const silent = (customer: string, heardAt = 100): HeardCustomer => ({ customer, heardAt, silenceMs: 600 });

  test('is itself cut off, where it hears nothing of the centre either', () => {
    const all = [silent('A'), silent('C', 150)];
    expect(isCutOff(all, 120, 1000)).toBe(true);
    expect(isCutOff(all, 151, 1000)).toBe(false);
    expect(isCutOff([...all, silent('D', 900)], 120, 1000)).toBe(false);
  });

  test('cannot tell of one customer alone, nor of one beside those that have been away for long', () => {
    expect(isCutOff([], 0, 1000)).toBe(false);
    expect(isCutOff([silent('A'), silent('A')], 50, 1000)).toBe(false);
    expect(isCutOff([silent('A', 100_000), silent('C', 10_000)], 50, 200_000)).toBe(false);
  });

  test('opens nothing until the centre answers', () => {
    const { world, askFor } = edge(8, [silent('A'), silent('C')]);
    world.centreHeardAt = 90;
    expect(askFor('ac', 500)).toBe('');
    world.centreHeardAt = world.now;
    expect(askFor('ac', 500)).toBe('ac');
  });
});
