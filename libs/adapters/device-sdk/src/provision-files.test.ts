import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { readProvision, type Provision } from './provision-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-provision-'));
  for (const name of ['profiles', 'devices', 'watchers']) mkdirSync(join(folder, name));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};
const read = (): Promise<Provision> =>
  readProvision(
    {
      profilesDir: join(folder, 'profiles'),
      devicesDir: join(folder, 'devices'),
      provisionWatchersDir: join(folder, 'watchers'),
    },
    'device-mine',
    silentLog,
  );

test('profiles in YAML and JSON: texts are texts where YAML takes them for something else, and integers keep their digits', async () => {
  write(
    'profiles/a.yaml',
    `name: A
model: 7
labels: [1, x]
deviceResources:
  - name: 12
    attributes: { register: 5, big: 18446744073709551615, on: true }
    properties: { valueType: uint64, readWrite: RW, defaultValue: 0, mask: 18446744073709551615, scale: 0.5, units: 1 }
deviceCommands:
  - name: C
    readWrite: RW
    resourceOperations: [{ deviceResource: 12, defaultValue: true, mappings: { 0: 1 } }]
`,
  );
  write('profiles/b.json', '{"name":"B","deviceResources":[]}');
  const { profiles, skipped } = await read();
  expect(skipped).toEqual([]);
  expect(profiles).toMatchObject([
    {
      name: 'A',
      model: '7',
      labels: ['1', 'x'],
      deviceResources: [
        {
          name: '12',
          attributes: { register: 5, big: 2n ** 64n - 1n, on: true },
          properties: {
            valueType: 'Uint64',
            defaultValue: '0',
            mask: 2n ** 64n - 1n,
            scale: 0.5,
            units: '1',
          },
        },
      ],
      deviceCommands: [
        { resourceOperations: [{ deviceResource: '12', defaultValue: 'true', mappings: { 0: '1' } }] },
      ],
    },
    { name: 'B' },
  ]);
});

test('devices are the service’s own, UNLOCKED and UP, whatever the file says', async () => {
  write(
    'devices/a.yml',
    `deviceList:
  - { name: D1, profileName: A, serviceName: other, adminState: LOCKED, protocols: { p: { port: 502, path: 007 } } }
`,
  );
  write('devices/b.json', '[{"name":"D2","profileName":"A","protocols":{}}]');
  expect((await read()).devices()).toMatchObject([
    {
      name: 'D1',
      serviceName: 'device-mine',
      adminState: 'UNLOCKED',
      operatingState: 'UP',
      protocols: { p: { port: 502 } },
    },
    { name: 'D2' },
  ]);
});

test('watchers look for this service’s devices', async () => {
  write(
    'watchers/w.yaml',
    `name: W
identifiers: { port: 50. }
blockingIdentifiers: { port: [503] }
discoveredDevice: { profileName: A, adminState: UNLOCKED }
`,
  );
  expect((await read()).watchers).toMatchObject([
    { serviceName: 'device-mine', adminState: 'UNLOCKED', blockingIdentifiers: { port: ['503'] } },
  ]);
});

test('what is wrong is left out, and told of; the others count', async () => {
  write('profiles/broken.yaml', 'name: [');
  write('profiles/empty.yaml', '');
  write('profiles/good.yaml', 'name: Good');
  write('profiles/notes.txt', 'no profile');
  write(
    'profiles/wrong.json',
    '{"name":"W","deviceResources":[{"name":"r","properties":{"valueType":"Int7","readWrite":"R"}}]}',
  );
  write('devices/none.yaml', 'name: D');
  write('devices/half.json', '[{"name":""},{"name":"D","protocols":{}}]');
  const { profiles, devices, skipped } = await read();
  expect([profiles.map(({ name }) => name), devices().map(({ name }) => name)]).toEqual([['Good'], ['D']]);
  expect(skipped).toEqual([
    expect.stringContaining('broken.yaml'),
    expect.stringContaining('empty.yaml'),
    expect.stringMatching(/wrong\.json: deviceResources\.0\.properties\.valueType/),
    expect.stringMatching(/half\.json: name/),
    expect.stringContaining('none.yaml: has no deviceList'),
  ]);
});

test('a folder that is not there stops the start', async () => {
  rmSync(folder, { recursive: true });
  await expect(read()).rejects.toThrow('cannot read the folder');
});
