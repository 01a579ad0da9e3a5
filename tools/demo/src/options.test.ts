import { expect, test } from '@jest/globals';
import { completeOptions, parseOptions } from './options.ts';

test('without flags everything has its default', () => {
  expect(parseOptions([])).toEqual({
    ...{
      motes: 20,
      otaa: 0,
      rootKeys: false,
      answersMac: false,
      seed: '1',
      standby: 'hot',
      confidentiality: 'process',
      kill: 'sigkill',
      runtime: 'process',
      volume: false,
    },
    ...{ json: false, keep: false, furtherKills: [], duration: 6, periodMs: 2_000, loss: 0.1 },
    ...{ takeovers: 1, backoffMs: 2_000, drilled: true },
  });
});

test('flags are read', () => {
  const flags = [
    '--motes',
    '5',
    '--seed',
    'x',
    '--standby',
    'cold',
    '--kill',
    'freeze',
    '--json',
    '--sabotage',
    'mic',
  ];
  const kills = ['--kill-party', 'b', '--kill-phase', 'active', '--kill-party', 'a', '--kill-phase', 'ready'];
  expect(parseOptions([...flags, ...kills])).toMatchObject({
    ...{ motes: 5, seed: 'x', standby: 'cold', kill: 'freeze', json: true, sabotage: 'mic', drilled: false },
    furtherKills: [
      { party: 'b', phase: 'active' },
      { party: 'a', phase: 'ready' },
    ],
  });
  expect(parseOptions(['--help'])).toBeUndefined();
});

test.each([
  [['--motes', '0'], 'motes'],
  [['--motes', 'many'], 'motes'],
  [['--standby', 'lukewarm'], 'standby'],
  [['--sabotage', 'everything'], 'sabotage'],
  [['--period', '10'], 'periodMs'],
  [['--kill-party', 'b'], '--kill-phase'],
  [['--kill-party', 'a', '--kill-phase', 'takeover'], 'dead already'],
  [['--confidentiality', 'relay', '--kill', 'flapping'], 'takes over'],
  [['--confidentiality', 'relay', '--kill-party', 'b', '--kill-phase', 'active'], 'agreement, migration'],
  [['--bananas'], 'bananas'],
  [['stray'], 'stray'],
])('%j is refused by name', (flags, named) => {
  expect(() => parseOptions(flags)).toThrow(named);
});

test('a caller in code gets the same checks', () => {
  expect(completeOptions({ seed: 'library' })).toMatchObject({ seed: 'library', motes: 20, drilled: false });
  expect(() => completeOptions({ motes: -1 })).toThrow('motes');
});
