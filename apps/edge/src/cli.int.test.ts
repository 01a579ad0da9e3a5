import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, stripComments, systemClock, waitFor } from '@antirio/host';
import { claimOffsets, type ClaimedOffsets } from '@antirio/testing';
import { Antirio, antirio } from './edges.fixture.ts';

let dataDir: string;
let claimed: ClaimedOffsets;
/** Of the edge under test, and of a centre where it needs one. */
let offset: number;
let centralOffset: number;
const running: Antirio[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
  claimed = await claimOffsets(2);
  [offset = 0, centralOffset = 0] = claimed.offsets;
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop('SIGKILL')));
  claimed.release();
  rmSync(dataDir, { recursive: true });
});

const where = (): string[] => ['--data-dir', dataDir, '--port-offset', String(offset)];

function start(...args: string[]): Antirio {
  const one = new Antirio([...args, ...where(), '--json']);
  running.push(one);
  return one;
}

describe('antirio init', () => {
  test('makes an identity that only its owner reads, and a configuration that changes nothing', async () => {
    const made = await antirio(['init', ...where()]);
    expect(made.code).toBe(0);
    const identity = join(dataDir, 'identity.json');
    expect(statSync(identity).mode & 0o777).toBe(0o600);
    const { edgeId } = JSON.parse(readFileSync(identity, 'utf8')) as { edgeId: string };
    expect(made.out).toContain(edgeId);
    const config = join(dataDir, 'antirio.jsonc');
    const text = readFileSync(config, 'utf8');
    expect(text).toContain('// added to every port, so that several edges run on one machine');
    expect(JSON.parse(stripComments(text))).toMatchObject({
      portOffset: offset,
      coreData: {},
      gatewayBridge: { udp: {} },
    });

    // Every default that stands there commented out may be taken in as it is.
    const taken = text.replace(/^( *)\/\/ ("\w+": (?:\d+|true|false|"[^"]*"|\{\}|\[.*\]),)$/gm, '$1$2');
    expect(taken.length).toBeLessThan(text.length - 100);
    writeFileSync(config, taken);
    const edge = new Antirio(['up', '--config', config, '--json']);
    running.push(edge);
    expect((await edge.ready()).edgeId).toBe(edgeId);
  });

  test('overwrites nothing', async () => {
    await antirio(['init', ...where()]);
    const before = readFileSync(join(dataDir, 'identity.json'), 'utf8');
    const again = await antirio(['init', ...where()]);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('is there already')]);
    expect(readFileSync(join(dataDir, 'identity.json'), 'utf8')).toBe(before);
  });
});

describe('antirio up', () => {
  test('runs every service of an edge, which answers by itself, by status and by contract list, until it is told to end', async () => {
    const edge = start('up');
    const { urls, role } = await edge.ready();
    expect(role).toBe('edge');
    for (const [room, url] of Object.entries(urls)) {
      const peer = httpPeer({ url });
      expect([room, (await peer.call({ path: '/api/v3/ping' })).status]).toEqual([room, 200]);
      peer.close();
    }
    const asked = await antirio(['status', ...where(), '--json']);
    expect([asked.code, JSON.parse(asked.out)]).toMatchObject([0, { ok: true }]);
    expect((await antirio(['status', ...where()])).out).toMatch(/core-data +ready +http/);
    expect((await antirio(['contract', 'list', ...where()])).out).toBe('no contracts\n');
    expect((await antirio(['contract', 'show', 'x', ...where()])).code).toBe(1);

    const second = await antirio(['up', ...where()]);
    expect([second.code, second.err]).toEqual([1, expect.stringContaining('another process runs')]);

    expect((await edge.stop()).code).toBe(0);
    const after = await antirio(['status', ...where(), '--json']);
    expect([after.code, JSON.parse(after.out)]).toMatchObject([1, { ok: false }]);
  });

  test('starts again after a kill, as the same edge', async () => {
    const first = start('up');
    const { edgeId } = await first.ready();
    await first.stop('SIGKILL');
    const second = start('up');
    expect((await second.ready()).edgeId).toBe(edgeId);
  });

  test('is the centre when asked', async () => {
    const central = start('up', '--role', 'central');
    const { role, urls } = await central.ready();
    expect([role, Object.keys(urls)]).toEqual([
      'central',
      expect.arrayContaining(['ledger', 'arbitrator', 'edge2edge']),
    ]);
    const edge2edge = httpPeer({ url: urls['edge2edge'] ?? '' });
    expect((await edge2edge.call({ path: '/edge2edge/peer/central/ledger/ledger/v1/head' })).status).toBe(
      200,
    );
    edge2edge.close();
    expect((await antirio(['status', ...where(), '--role', 'central'])).code).toBe(0);
  });

  test('registers with its centre, which is registered itself', async () => {
    const centralDir = mkdtempSync(join(tmpdir(), 'antirio-'));
    const central = new Antirio(
      ['up', '--role', 'central', '--data-dir', centralDir, '--port-offset', String(centralOffset), '--json'],
      { ANTIRIO_EDGE2EDGE__VETTED: 'all' },
    );
    running.push(central);
    const { edgeId } = await central.ready();
    const config = join(dataDir, 'antirio.jsonc');
    const url = `http://127.0.0.1:${59_716 + centralOffset}`;
    const udp = { host: '127.0.0.1', port: 59_717 + centralOffset };
    writeFileSync(
      config,
      JSON.stringify({ central: { edgeId, url, udp }, edge2edge: { name: 'somewhere' } }),
    );
    const edge = start('up');
    const own = await edge.ready();
    const ledger = httpPeer({ url: `http://127.0.0.1:${59_707 + centralOffset}` });
    for (const id of [own.edgeId, edgeId]) {
      const path = `/ledger/v1/state/identity/${id}`;
      const found = await waitFor(systemClock, 60_000, async () => {
        const answer = await ledger.call({ path });
        return answer.status === 200 ? answer.json() : undefined;
      });
      expect(found).toMatchObject({ value: { edgeId: id } });
    }
    ledger.close();
    // To the ledger and back, as its rooms do it.
    const edge2edge = httpPeer({ url: own.urls['edge2edge'] ?? '' });
    const head = await edge2edge.call({ path: '/edge2edge/peer/central/ledger/ledger/v1/head' });
    expect(head.status).toBe(200);
    edge2edge.close();
    await central.stop();
    rmSync(centralDir, { recursive: true });
  });

  test('says which service cannot have its port, and what to do', async () => {
    const taken = createServer().listen(59_880 + offset, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const refused = await start('up').ended;
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/antirio: core-data did not start .*taken.*another --port-offset/);
    await new Promise((resolve) => taken.close(resolve));
  });
});

describe('antirio serve', () => {
  test('runs services in processes of their own, with the bus by MQTT', async () => {
    const broker = start('serve', 'broker');
    await broker.ready();
    const data = start('serve', 'core-data');
    const { urls } = await data.ready();
    expect(Object.keys(urls)).toEqual(['core-data']);
    const peer = httpPeer({ url: urls['core-data'] ?? '' });
    for (let ready = false; !ready;) ready = (await peer.call({ path: '/api/v3/ready' })).status === 200;
    peer.close();
    expect((await data.stop()).code).toBe(0);
    expect((await broker.stop()).code).toBe(0);
  });

  test('knows which services there are', async () => {
    const wrong = await antirio(['serve', 'core-dta', ...where()]);
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringMatching(/no service core-dta; there are: broker .*core-data/),
    ]);
  });
});

describe('a wrong configuration', () => {
  const file = (config: unknown): string => {
    const path = join(dataDir, 'wrong.jsonc');
    writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
    return path;
  };
  const refused = async (config: unknown, env = {}): Promise<string> => {
    const { code, err } = await antirio(['serve', 'core-data', '--config', file(config), ...where()], env);
    expect(code).toBe(1);
    expect(err).toMatch(/(?:^|\n)antirio: [^\n]*\n$/);
    return err;
  };

  test('stops the start with the path of the wrong key', async () => {
    expect(await refused({ colour: 'red' })).toContain('colour');
    expect(await refused({ coreData: { maxResultCuont: 5 } })).toContain(
      'coreData: Unrecognized key: "maxResultCuont"',
    );
    expect(await refused({ coreData: { maxResultCount: 'many' } })).toContain('coreData.maxResultCount');
    expect(await refused({ neighbours: { me: { url: 'http://x' } } })).toContain('neighbours.me');
    expect(await refused({ services: { nothing: { url: 'http://x' } } })).toContain('services');
    expect(await refused('{ "a": ')).toContain('cannot read the configuration file');
    expect(await refused('[]')).toContain('one JSON object');
    expect(await refused({}, { ANTIRIO_CORE_DATA__MAX_RESULT_COUNT: '-1' })).toContain(
      'coreData.maxResultCount',
    );
    expect(await refused({}, { ANTIRIO_NONSENSE: '1' })).toContain('nonsense');
  });

  test('does not open a service to the network without leave', async () => {
    expect(await refused({ bind: '0.0.0.0' })).toContain('allowInsecureBind');
    expect(await refused({ coreData: { bind: '192.0.2.1' } })).toContain(
      'core-data would listen on 192.0.2.1',
    );
  });

  test('wrong flags and files are refused in a sentence', async () => {
    for (const args of [
      ['up', '--port-offset', '5001'],
      ['up', '--port-offset', 'x'],
      ['up', '--role', 'king'],
      ['up', '--nonsense'],
      ['nonsense'],
    ])
      expect((await antirio(args)).code).toBe(1);
    const missing = await antirio(['up', '--config', join(dataDir, 'none.jsonc')]);
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('none.jsonc')]);
  });

  test('an identity that others may read is not used', async () => {
    await antirio(['init', ...where()]);
    const identity = join(dataDir, 'identity.json');
    const { chmodSync } = await import('node:fs');
    chmodSync(identity, 0o644);
    expect((await start('serve', 'broker').ended).err).toContain('chmod 600');
    chmodSync(identity, 0o600);
    writeFileSync(identity, '{}');
    expect((await start('serve', 'broker').ended).err).toContain('holds no identity');
  });
});

test('antirio demo passes its flags on', async () => {
  const { code, out } = await antirio(['demo', '--help']);
  expect([code, out]).toEqual([0, expect.stringContaining('--sabotage')]);
});
