import { expect, test } from '@jest/globals';
import { claimLine, downlinkLine, outageLine } from './contract-coverage.ts';

const outage = { epoch: 4, verdict: 'within', devices: 2, expected: 98, heard: 94, log10P: -0.31 } as const;

test('an outage is told with its figures, its chance and what was left out', () => {
  expect(outageLine({ ...outage, notJudged: {} })).toBe(
    'outage of epoch 4: 94 of 98 uplinks of 2 devices, chance 10^-0.3: as its baselines let expect',
  );
  expect(
    outageLine({ ...outage, verdict: 'breach', heard: 40, log10P: -28.2, notJudged: { changed: 1 } }),
  ).toBe(
    'outage of epoch 4: 40 of 98 uplinks of 2 devices, chance 10^-28.2: too few to be bad luck; devices not judged: 1 changed',
  );
  expect(outageLine({ ...outage, verdict: 'breach', log10P: null, notJudged: {} })).toMatch(/impossible/);
  expect(outageLine({ ...outage, verdict: 'notJudged', notJudged: { noBaseline: 3, noEnd: 1 } })).toBe(
    'outage of epoch 4: not judged; devices not judged: 3 noBaseline, 1 noEnd',
  );
});

test('a claim is told with what is waited for, or with its ruling', () => {
  expect(claimLine({ epoch: 4, state: 'claimed', leftMs: 60_500 })).toBe(
    'claim about epoch 4: the customer claims that too little was heard; the provider has to answer, 61 s left',
  );
  expect(claimLine({ epoch: 4, state: 'ruled', verdict: 'breach' })).toBe(
    'claim about epoch 4: claimed, and ruled: breach',
  );
});

test('drill downlinks are told by what was answered', () => {
  const none = { sensors: 0, sensorsThatAnswered: 0, sent: 0, answered: 0 };
  expect(downlinkLine(none)).toBe('drill downlinks: none was sent yet');
  expect(downlinkLine({ sensors: 3, sensorsThatAnswered: 2, sent: 9, answered: 5 })).toBe(
    'drill downlinks: 5 of 9 answered; 2 of 3 sensors hear the provider',
  );
});
