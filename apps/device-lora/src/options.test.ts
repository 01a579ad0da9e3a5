import { expect, test } from '@jest/globals';
import { deviceLoraOptions } from './options.ts';

test('an HTTP address has no password in it; that of the broker may', () => {
  const plain = { coreData: { url: 'http://host:1' }, coreMetadata: { url: 'http://host:2' } };
  const wrong = { ...plain, coreData: { url: 'http://user:hunter2@host:1' } };
  const refused = deviceLoraOptions.safeParse({ dataDir: 'x', north: wrong });
  expect(refused.error?.message).toContain('no user name or password');
  expect(refused.error?.message).not.toContain('hunter2');
  expect(deviceLoraOptions.safeParse({ dataDir: 'x', ringUrl: 'http://user@host' }).success).toBe(false);
  const bus = { url: 'mqtt://user:hunter2@host' };
  expect(deviceLoraOptions.safeParse({ dataDir: 'x', north: plain, bus }).success).toBe(true);
});
