import { expect, test } from '@jest/globals';
import transformer from './strip-types.ts';

const SOURCE = `import { type A, b } from './a.ts';
export const c = (d: A): string =>
  b(d as unknown as string);
`;

test('types are gone, and all that stays is where it was', () => {
  const { code } = transformer.process(SOURCE);
  expect(code).not.toMatch(/unknown|: string|type A/);
  expect(code.split('\n')).toHaveLength(SOURCE.split('\n').length);
  for (const kept of ["from './a.ts'", 'export const c', 'b(d'])
    expect(code.indexOf(kept)).toBe(SOURCE.indexOf(kept));
});

test('what was made of other text is not taken for it', () => {
  expect(transformer.getCacheKey(SOURCE)).toBe(transformer.getCacheKey(SOURCE));
  expect(transformer.getCacheKey(SOURCE)).not.toBe(transformer.getCacheKey(`${SOURCE} `));
});
