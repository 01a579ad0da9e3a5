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
    properties: { valueType: "INT64", readWrite: "RW", minimum: "-5", maximum: 9007199254740993 }
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
      deviceResources: [{ name: 'Counter', properties: { valueType: 'Int64', minimum: -5 } }],
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
    ['a profile that is none', 'name: 5', 'file'],
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
    ).toEqual([201, 409]);
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
    await at.stop();
    await at.start({ strictProfileChanges: true, strictProfileDeletes: true });
    expect(statuses(await at.send('PUT', '/deviceprofile', [profileRequest()]))).toEqual([423]);
    expect(await at.remove('/deviceprofile/name/p')).toBe(423);
  });

  test('only use units that are known, where that is checked', async () => {
    await at.stop();
    await at.start({ validateUnits: true, unitsOfMeasure: { units: { temperature: { values: ['K'] } } } });
    expect(statuses(await at.send('POST', '/deviceprofile', [profileRequest()]))).toEqual([400]);
    expect((await at.body('/uom'))['uom']).toMatchObject({ units: { temperature: { values: ['K'] } } });
  });
});
