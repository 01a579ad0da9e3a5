import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { findEngines, testWhen } from '@antirio/testing';
import { BUNDLE_LABEL, buildImage, type BuiltImage } from './build-image.ts';
import { Containers } from './containers.fixture.ts';
import { docker, run } from './engine.ts';

const IMAGE = 'antirio:test';
const MOST_OVER_BASE = 25_000_000;
const VOLUME = `antirio-test-${process.pid}`;

const engine = (await findEngines()).find(({ isThere }) => isThere);
const engineTest = testWhen(engine !== undefined, 'no container engine answers');
const usual = process.env['DOCKER_HOST'];
const containers = new Containers();
let built: BuiltImage | undefined;

beforeAll(async () => {
  if (engine === undefined) return;
  process.env['DOCKER_HOST'] = engine.host;
  built = await buildImage(IMAGE);
});
afterAll(async () => {
  if (engine === undefined) return;
  await containers.removeAll();
  await run('docker', ['volume', 'rm', '--force', VOLUME, `${VOLUME}-half`]);
  await run('docker', ['image', 'rm', '--force', IMAGE]);
  if (usual === undefined) delete process.env['DOCKER_HOST'];
  else process.env['DOCKER_HOST'] = usual;
});

const inspected = (what: string, image: string): Promise<string> =>
  docker(['image', 'inspect', '--format', what, image]);
const QUICK = ['--health-interval', '300ms'];

describe('the image', () => {
  engineTest('is small, is of this very bundle, and has no rights', async () => {
    const size = async (image: string): Promise<number> => Number(await inspected('{{.Size}}', image));
    expect((await size(IMAGE)) - (await size(built?.base ?? ''))).toBeLessThan(MOST_OVER_BASE);
    expect(await inspected(`{{index .Config.Labels "${BUNDLE_LABEL}"}}`, IMAGE)).toBe(built?.digest);
    expect(await inspected('{{.Config.User}}', IMAGE)).toBe('1000:1000');
    // Made again of the same sources it is the same bundle.
    expect((await buildImage(IMAGE)).digest).toBe(built?.digest);
  });

  engineTest('is an edge with a read-only root, and keeps what it knows in its volume', async () => {
    const volume = [...QUICK, '--volume', `${VOLUME}:/data`];
    const read = `JSON.parse(require('fs').readFileSync('/data/identity.json', 'utf8')).edgeId`;
    const identity = (name: string): Promise<string> => docker(['exec', name, 'node', '-p', read]);

    const first = await containers.start(IMAGE, volume);
    await containers.healthy(first);
    const status = ['node', '/app/antirio/antirio.mjs', 'status', '--json'];
    expect(JSON.parse(await docker(['exec', first, ...status]))).toMatchObject({ ok: true });
    const edgeId = await identity(first);
    await docker(['stop', '--time', '10', first]);
    expect(await docker(['inspect', '--format', '{{.State.ExitCode}}', first])).toBe('0');

    const second = await containers.start(IMAGE, volume);
    await containers.healthy(second);
    expect(await identity(second)).toBe(edgeId);
  });

  engineTest('is any part of an edge, or the centre', async () => {
    const part = await containers.start(IMAGE, QUICK, ['serve', 'broker', 'core-keeper']);
    const centre = await containers.start(IMAGE, QUICK, ['up', '--role', 'central']);
    await Promise.all([part, centre].map((name) => containers.healthy(name)));
    const told = await docker(['exec', part, 'node', '/app/healthcheck.mjs']);
    expect(told).toBe('2 services are ready');
  });

  engineTest('is unhealthy, and says why, while a service of it does not answer', async () => {
    const name = await containers.start(IMAGE, QUICK, ['serve', 'broker', 'core-keeper']);
    await containers.healthy(name);
    const gone = `const f = process.env.ANTIRIO_READY_FILE; const fs = require('fs');
      const told = JSON.parse(fs.readFileSync(f, 'utf8')); told.urls.broker = 'http://127.0.0.1:9';
      fs.writeFileSync(f, JSON.stringify(told))`;
    await docker(['exec', name, 'node', '-e', gone]);
    const { code, out } = await run('docker', ['exec', name, 'node', '/app/healthcheck.mjs']);
    expect([code, out]).toEqual([1, expect.stringMatching(/^broker: .*ECONNREFUSED/)]);
  });

  engineTest('says what is wrong with what it is given, and what to do', async () => {
    const told = async (flags: string[], command?: string[]): Promise<string> => {
      const { code, err } = await containers.ended(await containers.start(IMAGE, flags, command));
      expect(code).toBe(1);
      return err;
    };
    const foreign = ['--tmpfs', '/data:uid=0,mode=755'];
    expect(await told(foreign)).toContain(
      '(uid 1000) may not write the data folder /data, which belongs to uid 0',
    );
    const tiny = ['--tmpfs', '/data:uid=1000,mode=700,size=8m'];
    expect(await told(tiny)).toContain('/data has 8 MB left, and 32 MB are needed');
    expect(await told([], ['serve', 'core-dada'])).toContain(
      'there is no service core-dada; there are: broker ',
    );
    const volume = ['--volume', `${VOLUME}-half:/data`];
    const halfWritten = `require('fs').writeFileSync('/data/identity.json', '{"edgeId": "12D3Koo', { mode: 0o600 })`;
    const writer = await containers.start(IMAGE, [...volume, '--entrypoint', 'node'], ['-e', halfWritten]);
    expect((await containers.ended(writer)).code).toBe(0);
    expect(await told(volume)).toContain('/data/identity.json holds no identity, or half of one');
  });
});
