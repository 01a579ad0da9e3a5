import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { companions, companionsIn, startOrder, type Companions } from './companions.ts';

const service = (...dependsOn: string[]) => ({ imageName: 'i:1', imageCid: 'bafy', depends_on: dependsOn });
const named = (services: Readonly<Record<string, object>>): Companions => companions.parse(services);

test('services start after what they depend on, the rest by name', () => {
  expect(
    startOrder(named({ web: service('cache', 'db'), cache: service('db'), db: service(), a: service() })),
  ).toEqual(['a', 'db', 'cache', 'web']);
  expect(startOrder({})).toEqual([]);
});

test('whatever depends on what, nothing starts before what it needs, and everything once', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const edges = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 8 });
  fc.assert(
    fc.property(edges, (pairs) => {
      const needs = (i: number): string[] =>
        names.filter((_, j) => pairs.some(([x, y]) => Math.max(x, y) === i && Math.min(x, y) === j && j < i));
      const services = named(Object.fromEntries(names.map((name, i) => [name, service(...needs(i))])));
      const order = startOrder(services);
      expect(order.toSorted()).toEqual(names);
      for (const name of names)
        for (const other of services[name]?.depends_on ?? [])
          expect(order.indexOf(other)).toBeLessThan(order.indexOf(name));
    }),
    { seed: 7, numRuns: 200 },
  );
});

test.each([
  ['a circle', { a: service('b'), b: service('c'), c: service('a') }, /a > b > c > a/],
  ['itself', { a: service('a') }, /a > a/],
  ['nobody', { a: service('nobody') }, /a depends on nobody, which is no service here/],
  [
    'what every object has',
    { a: service('constructor') },
    /depends on constructor, which is no service here/,
  ],
  ['too many', Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`s${i}`, service()])), /at most 8/],
  ['a name that is no part of a path', { '../a': service() }, /services/],
  ['a variable of ours', { a: { ...service(), env: { ANTIRIO_RUN_DIR: '/' } } }, /services/],
])('%s is refused with its reason', (_name, services, reason) => {
  expect(() => companionsIn({ services })).toThrow(reason);
});

test('a configuration without further images has none', () => {
  expect(companionsIn({ serviceName: 'x' })).toEqual({});
  expect(companionsIn(undefined)).toEqual({});
});
