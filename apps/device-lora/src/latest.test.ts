import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Reading } from '@antirio/edgex-contracts';
import { createLatest } from './latest.ts';

const readingOf = (deviceName: string, resourceName: string, value: string): Reading => ({
  ...{ origin: 1n, deviceName, profileName: 'p', resourceName },
  ...{ valueType: 'Int8', kind: 'simple', value },
});

test('the newest reading of each resource is known, whatever came with it', () => {
  const latest = createLatest();
  const of = (resource: string, value: string) => readingOf('d', resource, value);
  latest.set('d', [of('a', '1'), of('b', '2')]);
  latest.set('d', [of('b', '3')]);
  latest.set('e', [readingOf('e', 'a', '4')]);
  latest.set('d', [of('c', '5')]);
  const values = ['a', 'b', 'c', 'x'].map((resource) => latest.get('d', resource));
  expect(values).toEqual([of('a', '1'), of('b', '3'), of('c', '5'), undefined]);
  expect([latest.get('e', 'a'), latest.get('f', 'a')]).toEqual([readingOf('e', 'a', '4'), undefined]);
});

const resource = fc.constantFrom('a', 'b', 'c', 'd');
const base = fc.record({
  resourceName: resource,
  origin: fc.bigInt({ min: 0n, max: 3n }),
  profileName: fc.constantFrom('p', 'q'),
});
const simple = fc.record({ value: fc.oneof(fc.string(), fc.constant('1\u00002')), units: fc.constant('°C') });
const reading = fc
  .tuple(
    base,
    fc.oneof(
      simple.map((rest) => ({ ...rest, valueType: 'String', kind: 'simple' }) as const),
      simple.map(({ value }) => ({ value, valueType: 'Int8', kind: 'simple', tags: { t: 1 } }) as const),
      fc
        .uint8Array()
        .map(
          (binaryValue) => ({ binaryValue, valueType: 'Binary', kind: 'binary', mediaType: 'a/b' }) as const,
        ),
    ),
  )
  .map(([head, rest]) => ({ ...head, ...rest }));

test('readings come back as they were, of whatever kind', () => {
  const frame = fc.record({
    device: fc.constantFrom('x', 'y'),
    readings: fc.uniqueArray(reading, { maxLength: 4, selector: ({ resourceName }) => resourceName }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), (frames) => {
      const latest = createLatest();
      const expected = new Map<string, Reading>();
      for (const { device, readings } of frames) {
        const all: Reading[] = readings.map((one) => ({ ...one, deviceName: device }));
        latest.set(device, all);
        for (const one of all) expected.set(`${device}/${one.resourceName}`, one);
      }
      for (const device of ['x', 'y'])
        for (const name of ['a', 'b', 'c', 'd'])
          expect(latest.get(device, name)).toEqual(expected.get(`${device}/${name}`));
    }),
  );
});

test('more kinds of frames than are told apart are known all the same', () => {
  const latest = createLatest();
  const names = Array.from({ length: 400 }, (_, n) => `r${String(n)}`);
  for (const name of names) latest.set(name, [readingOf(name, name, name)]);
  for (const name of names) expect(latest.get(name, name)).toEqual(readingOf(name, name, name));
});
