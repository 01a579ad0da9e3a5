import { expect, test } from '@jest/globals';
import { utf8 } from '@antirio/kernel';
import { createUnservedJoins } from './unserved-joins.ts';

test('joins that a contract’s service could not answer are known by the contract', () => {
  const unserved = createUnservedJoins();
  const tell = (joinsUnserved: object | undefined): void => {
    const payload = utf8(JSON.stringify({ state: 'reading', joinsUnserved }));
    unserved.onStatus('contract/C/antirio/service/device-lora/status', payload);
  };
  tell(undefined);
  expect(unserved.of('C')).toBeUndefined();
  tell({ requests: 3, devices: 2 });
  unserved.onStatus('contract/D/antirio/service/x/status', utf8('no JSON'));
  expect([unserved.of('C'), unserved.of('D')]).toEqual([{ requests: 3, devices: 2 }, undefined]);
  // it was started again
  tell({ requests: 0, devices: 0 });
  expect(unserved.of('C')).toBeUndefined();
});
