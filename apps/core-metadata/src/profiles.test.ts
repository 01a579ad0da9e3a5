import { describe, expect, test } from '@jest/globals';
import type { HttpAnswer } from '@antirio/host';
import { apiVersion, Fixture, names, profileRequest, properties, statuses, type Json } from './fixture.ts';

const at = new Fixture();

const LEVELS = 'abcdefghij'.split('');
const EXPLODING = LEVELS.map(
  (c, n) => `${c}: &${c} [${n === 0 ? 'x,x' : `*${LEVELS[n - 1] ?? ''},*${LEVELS[n - 1] ?? ''}`}]`,
).join('\n');

describe('profiles', () => {
  const upload = (method: 'POST' | 'PUT', text: string, field = 'file'): Promise<HttpAnswer> => {
    const boundary = 'xyz';
    const lines = [
      `--${boundary}`,
      `Content-Disposition: form-data; name="${field}"; filename="p.yaml"`,
      '',
      text,
      `--${boundary}--`,
      '',
    ];
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
    return at.peer.call({
      method,
      path: '/deviceprofile/uploadfile',
      body: Buffer.from(lines.join('\r\n')),
      headers,
    });
  };
  const YAML = `
name: "from-file"
manufacturer: "maker"
labels: [ "x" ]
deviceResources:
  - name: "Counter"
    properties: { valueType: "INT64", readWrite: "RW", minimum: -5, maximum: 9007199254740993, defaultValue: 0 }
    attributes: { primaryTable: "INPUT_REGISTERS", startingAddress: "1" }
deviceCommands:
  - name: "Read"
    readWrite: "R"
    resourceOperations: [ { deviceResource: "Counter", defaultValue: 1 } ]
`;

  test('a YAML file is a profile', async () => {
    const added = await upload('POST', YAML);
    expect(added.status).toBe(201);
    expect(added.json()).toMatchObject({ apiVersion, statusCode: 201, id: expect.any(String) });
    expect((await at.body('/deviceprofile/name/from-file'))['profile']).toMatchObject({
      deviceResources: [
        { name: 'Counter', properties: { valueType: 'Int64', minimum: -5, defaultValue: '0' } },
      ],
      linkedDeviceCount: 0,
    });
    expect((await upload('POST', YAML)).status).toBe(409);
    expect((await upload('PUT', YAML.replace('maker', 'other'))).status).toBe(200);
    expect((await at.body('/deviceprofile/name/from-file'))['profile']).toMatchObject({
      manufacturer: 'other',
    });
    expect((await upload('PUT', YAML.replace('from-file', 'unknown'))).status).toBe(404);
  });

  test.each([
    ['YAML that is none', 'name: [', 'file'],
    ['a profile that is none', 'name: [5]', 'file'],
    [
      'numbers as text',
      'name: x\ndeviceResources: [{name: r, properties: {valueType: Int8, readWrite: R, minimum: "5"}}]',
      'file',
    ],
    ['an endless circle', 'name: x\nlabels: &a [*a]', 'file'],
    ['aliases that explode', EXPLODING, 'file'],
    ['another field', YAML, 'other'],
  ])('%s is refused with 400', async (_what, text, field) => {
    expect((await upload('POST', text, field)).status).toBe(400);
  });

  test('are found by label, manufacturer and model, and count their devices', async () => {
    await at.seed();
    await at.send('POST', '/deviceprofile', [profileRequest('q', { manufacturer: 'other', labels: ['x'] })]);
    expect(names(await at.body('/deviceprofile/all'), 'profiles')).toEqual(['p', 'q']);
    expect(names(await at.body('/deviceprofile/all?labels=x,y'), 'profiles')).toEqual(['p']);
    expect(names(await at.body('/deviceprofile/manufacturer/other'), 'profiles')).toEqual(['q']);
    expect(names(await at.body('/deviceprofile/model/one'), 'profiles')).toEqual(['p', 'q']);
    expect(names(await at.body('/deviceprofile/manufacturer/maker/model/one'), 'profiles')).toEqual(['p']);
    const basic = (await at.body('/deviceprofile/basicinfo/all'))['profiles'] as Json[];
    expect(basic[0]).toMatchObject({ name: 'p', linkedDeviceCount: 1 });
    expect(basic[0]).not.toHaveProperty('deviceResources');
    expect((await at.body('/deviceresource/profile/p/resource/humidity'))['resource']).toMatchObject({
      name: 'humidity',
    });
    expect((await at.get('/deviceresource/profile/p/resource/none')).status).toBe(404);
  });

  test('change part by part', async () => {
    await at.send('POST', '/deviceprofile', [profileRequest()]);
    const resource = { name: 'pressure', properties };
    const command = { name: 'one', readWrite: 'R', resourceOperations: [{ deviceResource: 'pressure' }] };
    const part = { apiVersion, profileName: 'p' };
    expect(
      statuses(
        await at.send('POST', '/deviceprofile/resource', [
          { ...part, resource },
          { ...part, resource },
        ]),
      ),
    ).toEqual([201, 400]);
    expect(
      statuses(await at.send('POST', '/deviceprofile/deviceCommand', [{ ...part, deviceCommand: command }])),
    ).toEqual([201]);
    const hide = { name: 'pressure', isHidden: true };
    expect(
      statuses(await at.send('PATCH', '/deviceprofile/resource', [{ ...part, resource: hide }])),
    ).toEqual([200]);
    const hideNone = [{ ...part, deviceCommand: { name: 'none', isHidden: true } }];
    expect(statuses(await at.send('PATCH', '/deviceprofile/deviceCommand', hideNone))).toEqual([404]);
    const info = [{ apiVersion, basicinfo: { name: 'p', model: 'two' } }];
    expect(statuses(await at.send('PATCH', '/deviceprofile/basicinfo', info))).toEqual([200]);
    const tags = { apiVersion, deviceResources: [{ name: 'pressure', tags: { a: 1 } }] };
    expect(
      (await at.peer.call({ method: 'PATCH', path: '/deviceprofile/name/p/tags', json: tags })).status,
    ).toBe(200);
    expect(await at.remove('/deviceprofile/name/p/resource/pressure')).toBe(400);
    expect((await at.body('/deviceprofile/name/p'))['profile']).toMatchObject({
      model: 'two',
      deviceResources: [{}, {}, { name: 'pressure', isHidden: true, tags: { a: 1 } }],
    });
    expect(await at.remove('/deviceprofile/name/p/deviceCommand/one')).toBe(200);
    expect(await at.remove('/deviceprofile/name/p/resource/pressure')).toBe(200);
    expect(await at.remove('/deviceprofile/name/p/resource/pressure')).toBe(404);
  });

  test('that may not change answer 423', async () => {
    await at.send('POST', '/deviceprofile', [profileRequest()]);
    const put = async (): Promise<number> =>
      (await at.peer.call({ method: 'PUT', path: '/deviceprofile', json: [profileRequest()] })).status;
    await at.stop();
    await at.start({ strictProfileChanges: true, strictProfileDeletes: true });
    expect(await put()).toBe(423);
    expect((await upload('PUT', YAML)).status).toBe(423);
    for (const path of ['', '/resource/humidity', '/deviceCommand/both'])
      expect(await at.remove(`/deviceprofile/name/p${path}`)).toBe(423);
    const more = [{ apiVersion, profileName: 'p', resource: { name: 'more', properties } }];
    expect(statuses(await at.send('POST', '/deviceprofile/resource', more))).toEqual([201]);
  });

  test('only use units that are known, where that is checked', async () => {
    await at.stop();
    const unitsOfMeasure = { source: 's', units: { temperature: { source: 'si', values: ['K'] } } };
    await at.start({ validateUnits: true, unitsOfMeasure });
    const items = await at.send('POST', '/deviceprofile', [profileRequest()]);
    expect(items).toEqual([
      { apiVersion, statusCode: 400, message: 'DeviceResource temperature units C is invalid' },
    ]);
    expect((await at.body('/uom'))['uom']).toMatchObject({ units: { temperature: { values: ['K'] } } });
    const toml = await at.peer.call({ path: '/uom', headers: { accept: 'application/toml' } });
    expect(toml.headers['content-type']).toContain('application/toml');
    expect(Buffer.from(toml.body).toString()).toBe(
      'Source = "s"\n\n[Units]\n\n[Units."temperature"]\nSource = "si"\nValues = ["K"]\n',
    );
    const more = { apiVersion, profileName: 'q', resource: { name: 'more', properties } };
    await at.send('POST', '/deviceprofile', [
      profileRequest('q', { deviceResources: [], deviceCommands: [] }),
    ]);
    expect(statuses(await at.send('POST', '/deviceprofile/resource', [more]))).toEqual([400]);
  });

  test('that had their units before they were checked may still change otherwise', async () => {
    await at.send('POST', '/deviceprofile', [profileRequest()]);
    await at.stop();
    await at.start({ validateUnits: true });
    expect(statuses(await at.send('PUT', '/deviceprofile', [profileRequest()]))).toEqual([400]);
    const info = [{ apiVersion, basicinfo: { name: 'p', model: 'two' } }];
    expect(statuses(await at.send('PATCH', '/deviceprofile/basicinfo', info))).toEqual([200]);
    const none = { name: 'more', properties: { ...properties, units: undefined } };
    const resource = [{ apiVersion, profileName: 'p', resource: none }];
    expect(statuses(await at.send('POST', '/deviceprofile/resource', resource))).toEqual([201]);
  });

  test('keep tags that an update does not name, and lose those that it makes null', async () => {
    const tagged = [{ name: 'temperature', properties, tags: { a: { x: 1, y: 2 }, b: 3 } }];
    await at.send('POST', '/deviceprofile', [
      profileRequest('p', { deviceResources: tagged, deviceCommands: [] }),
    ]);
    const json = {
      apiVersion,
      deviceResources: [
        { name: 'temperature', tags: { a: { x: null, z: 4 }, b: null, c: [] } },
        { name: 'unknown', tags: { a: 1 } },
      ],
    };
    const path = '/deviceprofile/name/p/tags';
    expect((await at.peer.call({ method: 'PATCH', path, json })).status).toBe(200);
    expect((await at.body('/deviceprofile/name/p'))['profile']).toMatchObject({
      deviceResources: [{ name: 'temperature', tags: { a: { y: 2, z: 4 }, c: [] } }],
    });
    const none = await at.peer.call({ method: 'PATCH', path: path.replace('/p/', '/none/'), json });
    expect(none.status).toBe(404);
  });
});
