import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { OWN, Surroundings, until, type Json } from './edgex-service.fixture.ts';

let around: Surroundings;
beforeEach(async () => {
  around = await Surroundings.open();
});
afterEach(() => around.close());

const secret = (fields: Json = {}): Json => ({
  apiVersion: 'v3',
  requestId: 'e6e8a2f4-eb14-4649-9e2b-175247911369',
  secretName: 'mqtt',
  secretData: [
    { key: 'username', value: 'user' },
    { key: 'password', value: 'hidden-value' },
  ],
  ...fields,
});

describe('secrets', () => {
  test('are kept where only the owner reads them, also over a restart, and shown nowhere', async () => {
    const first = await around.run();
    const answer = await first.peer.call({ method: 'POST', path: '/secret', json: secret() });
    expect([answer.status, answer.json()]).toEqual([
      201,
      { apiVersion: 'v3', statusCode: 201, requestId: secret()['requestId'] },
    ]);
    const shown = await first.peer.call({ path: '/config' });
    expect(Buffer.from(shown.body).toString()).not.toContain('hidden-value');
    await first.stop();
    expect(JSON.stringify(first.said)).not.toContain('hidden-value');
    const file = join(around.dataDir, 'core-data', 'secrets.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toContain('hidden-value');
    const second = await around.run();
    expect(second.edgex.secrets.get('mqtt')).toEqual({ username: 'user', password: 'hidden-value' });
    expect(second.edgex.secrets.get('other')).toBeUndefined();
    await second.stop();
  });

  test.each([
    ['no name', { secretName: ' ' }],
    ['no data', { secretData: [] }],
    ['an empty value', { secretData: [{ key: 'k', value: '' }] }],
    ['a value that is no text', { secretData: [{ key: 'k', value: 5 }] }],
    ['no version', { apiVersion: undefined }],
  ])('with %s are refused', async (_what, fields) => {
    const { peer, stop, edgex } = await around.run();
    expect((await peer.call({ method: 'POST', path: '/secret', json: secret(fields) })).status).toBe(400);
    expect(edgex.secrets.get('mqtt')).toBeUndefined();
    await stop();
  });

  test('come of the configuration too, live, where none was stored; that shows only whose they are', async () => {
    const insecure = (password: string): Json => ({
      InsecureSecrets: { bus: { SecretName: 'bus', SecretData: { username: 'u', password } } },
    });
    const { edgex, peer, stop } = await around.run({ options: { writable: insecure('hidden-one') } });
    const changes: unknown[] = [];
    edgex.secrets.onChange('bus', (now) => void changes.push(now?.['password']));
    expect(edgex.secrets.get('bus')).toEqual({ username: 'u', password: 'hidden-one' });
    await around.change(`${OWN}/InsecureSecrets/bus/SecretData/password`, 'hidden-two');
    await until(() => edgex.secrets.get('bus')?.['password'] === 'hidden-two');
    const shown = await peer.call({ path: '/config' });
    expect(Buffer.from(shown.body).toString()).not.toContain('hidden');
    expect(shown.json()).toMatchObject({
      config: {
        Writable: { InsecureSecrets: { bus: { SecretName: 'bus', SecretData: { username: '<redacted>' } } } },
      },
    });
    edgex.secrets.store('bus', { password: 'stored' });
    await around.change(`${OWN}/InsecureSecrets/bus/SecretData/password`, 'hidden-three');
    await around.change(`${OWN}/InsecureSecrets/other/SecretName`, 'other');
    await until(() => edgex.secrets.get('other') !== undefined);
    expect(edgex.secrets.get('bus')).toEqual({ password: 'stored' });
    expect(changes).toEqual(['hidden-two', 'stored']);
    await stop();
  });

  test('that are taken out of the configuration are told of, too', async () => {
    around.keeper.keys = {
      [`${OWN}/InsecureSecrets/bus/SecretName`]: 'bus',
      [`${OWN}/InsecureSecrets/bus/SecretData/password`]: 'revoked',
    };
    const { edgex, stop } = await around.run();
    await until(() => edgex.secrets.get('bus') !== undefined);
    const changes: unknown[] = [];
    edgex.secrets.onChange('bus', (now) => void changes.push(now));
    around.keeper.keys = {};
    await around.change(`${OWN}/InsecureSecrets/bus/SecretData/password`, undefined);
    await until(() => edgex.secrets.get('bus') === undefined);
    expect(changes).toStrictEqual([undefined]);
    await stop();
  });

  test('there are only so many', async () => {
    const { edgex, stop } = await around.run();
    for (let i = 0; i < 16; i++) {
      const store = (): void => edgex.secrets.store(`s${i}`, { key: 'x'.repeat(65_536) });
      if (i < 15) store();
      else expect(store).toThrow(expect.objectContaining({ code: 'storageFull' }));
    }
    expect(edgex.secrets.get('s15')).toBeUndefined();
    await stop();
  });
});
