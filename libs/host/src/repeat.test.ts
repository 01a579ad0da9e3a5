import { expect, test } from '@jest/globals';
import { repeat, type Log, type Ran } from './index.ts';

test('a failure is said once until the work has been done again: a run that had nothing to do yet says nothing of it', async () => {
  const said: string[] = [];
  const log = {
    info: (_about: object, text: string) => said.push(text),
    warn: ({ error }: { error: string }) => said.push(error),
  } as unknown as Log;
  const runs: (Ran | 'fails')[] = [
    'rested',
    'fails',
    'rested',
    'fails',
    'rested',
    'worked',
    'worked',
    'fails',
  ];
  const all = Promise.withResolvers<undefined>();
  const repeating = repeat('it', 0, log, async (): Promise<Ran> => {
    const run = runs.shift();
    if (run === undefined) all.resolve(undefined);
    if (run === 'fails') throw new Error('out of order');
    return run ?? 'rested';
  });
  await all.promise;
  await repeating.stop();
  expect(said).toEqual(['out of order', 'recovered', 'out of order']);
});
