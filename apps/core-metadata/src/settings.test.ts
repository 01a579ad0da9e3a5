import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { COMMON_CONFIG_KEY } from '@antirio/edgex-service';
import { makeEnvelope } from '@antirio/edgex-contracts';
import { Fixture, profileRequest, type Json } from './fixture.ts';

const at = new Fixture();
const OWN = 'edgex/v4/core-metadata/Writable';

/** As core-keeper answers. */
class Keeper implements HttpPeer {
  readonly values = new Map<string, string>();

  call: HttpPeer['call'] = async ({ path, method }) => {
    if (method !== undefined) throw new AntirioError('unavailable', 'this one registers nobody');
    const key = decodeURIComponent(/kvs\/key\/([^?]+)/.exec(path)?.[1] ?? '');
    const below = [...this.values].filter(([name]) => name.startsWith(`${key}/`));
    const body = {
      apiVersion: 'v3',
      statusCode: 200,
      response: below.map(([k, value]) => ({ key: k, value })),
    };
    const missing = { apiVersion: 'v3', statusCode: 404, message: 'no such key' };
    const text = JSON.stringify(below.length === 0 ? missing : body);
    return {
      status: below.length === 0 ? 404 : 200,
      headers: {},
      body: Buffer.from(text),
      json: () => JSON.parse(text) as unknown,
    };
  };

  close(): void {
    // nothing is open
  }

  async put(key: string, value: string): Promise<void> {
    this.values.set(key, value);
    const change = { apiVersion: 'v3', key, value };
    await at.bus.publish(`edgex/configs/${key}`, makeEnvelope(change, { correlationID: 'c' }));
  }
}

const inForce = async (): Promise<Json> =>
  ((await at.body('/config'))['config'] as { Writable: Json }).Writable;

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}

const putStatus = async (): Promise<number> =>
  (await at.peer.call({ method: 'PUT', path: '/deviceprofile', json: [profileRequest()] })).status;

test('profile changes and units are ruled by core-keeper while the room runs, and by the options where it has nothing', async () => {
  await at.stop();
  const keeper = new Keeper();
  keeper.values.set(`${COMMON_CONFIG_KEY}/all-services/Writable/Telemetry/Tags/Where`, 'here');
  keeper.values.set(`${OWN}/ProfileChange/StrictDeviceProfileChanges`, 'true');
  await at.start({ strictProfileDeletes: true }, { 'core-keeper': keeper });
  expect(await inForce()).toMatchObject({
    Telemetry: { Tags: { Where: 'here' } },
    ProfileChange: { StrictDeviceProfileChanges: true, StrictDeviceProfileDeletes: true },
    UoM: { Validation: false },
  });
  expect((await at.send('POST', '/deviceprofile', [profileRequest()]))?.[0]?.statusCode).toBe(201);
  expect(await putStatus()).toBe(423);
  expect(await at.remove('/deviceprofile/name/p')).toBe(423);

  await keeper.put(`${OWN}/ProfileChange/StrictDeviceProfileChanges`, 'false');
  await until(async () => (await putStatus()) === 207);
  await keeper.put(`${OWN}/ProfileChange/StrictDeviceProfileDeletes`, 'perhaps');
  await keeper.put(`${OWN}/UoM/Validation`, 'true');
  await until(
    async () => (await at.send('PUT', '/deviceprofile', [profileRequest()]))?.[0]?.statusCode === 400,
  );
  expect(await at.remove('/deviceprofile/name/p')).toBe(423);
  await keeper.put(`${OWN}/ProfileChange/StrictDeviceProfileDeletes`, 'false');
  await until(async () => (await at.remove('/deviceprofile/name/p')) === 200);
});
