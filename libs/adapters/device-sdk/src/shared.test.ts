import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { withShared } from './shared.ts';

test('what is shared equals what was given', () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const near = fc.record({ a: json, b: fc.array(fc.constantFrom(1, 2)), c: fc.constantFrom('x', 'y') });
  fc.assert(fc.property(json, json, (value, model) => expect(withShared(value, model)).toEqual(value)));
  fc.assert(fc.property(near, near, (value, model) => expect(withShared(value, model)).toEqual(value)));
});

test('equal parts are the very ones of the model, the rest is not', () => {
  const model = {
    name: 'one',
    labels: ['lorawan', 'pier'],
    protocols: { lorawan: { devEUI: '1', more: [1] } },
  };
  const value = structuredClone({
    ...model,
    name: 'two',
    protocols: { lorawan: { devEUI: '2', more: [1] } },
  });
  const shared = withShared(value, model);
  expect(shared).toEqual(value);
  expect(shared.labels).toBe(model.labels);
  expect(shared.protocols.lorawan.more).toBe(model.protocols.lorawan.more);
  expect(shared.protocols).not.toBe(model.protocols);
  expect(withShared(structuredClone(model), model)).toBe(model);
  expect(withShared({ ...model, extra: undefined }, model)).not.toBe(model);
});
