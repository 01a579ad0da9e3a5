import { expect, test } from '@jest/globals';
import type { EdgeConfig } from '../config.ts';
import { loraDownlink } from './lora.ts';

const nobody = {} as EdgeConfig;

test('what cannot be a downlink by a contract is refused before anybody is asked', async () => {
  for (const flags of [{ keys: 'keys.json' }, { wait: 60 }])
    await expect(loraDownlink(nobody, 'cellar', 'cafe', { port: 1, ...flags })).rejects.toMatchObject({
      code: 'invalidInput',
      message: '--keys and --wait go with --contract',
    });
  for (const payload of ['xyz', 'abc', '0x0a'])
    await expect(loraDownlink(nobody, 'cellar', payload, { port: 1, contract: 'c' })).rejects.toThrow(
      /bytes in hex/,
    );
  await expect(loraDownlink(nobody, 'cellar', undefined, { port: 1, contract: 'c' })).rejects.toThrow(
    /there is a payload/,
  );
});
