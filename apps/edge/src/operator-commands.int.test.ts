import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeIdentityFile } from '@antirio/host';
import { verifyDocument, type Signed } from '@antirio/kernel';
import { antirio } from './edges.fixture.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
const keyFile = join(dataDir, 'ann.json');
const ann = makeIdentityFile(keyFile);
const asked: { readonly method: string; readonly url: string; readonly body: unknown }[] = [];
const alarm = {
  ...{ name: 'held', about: 'C', detail: 'nothing is taken over', since: 0 },
  runbook: 'docs/runbooks/held.md',
};
let arbitrator: Server;
let env: Record<string, string>;

beforeAll(async () => {
  arbitrator = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      asked.push({ method, url, body: text === '' ? undefined : (JSON.parse(text) as unknown) });
      const answer = url.endsWith('/challenge')
        ? { challenge: 'c1' }
        : url.endsWith('/alarm')
          ? { alarms: [alarm] }
          : { phase: 'yielding', device: url };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => arbitrator.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(arbitrator.address() as AddressInfo).port}`;
  env = { ANTIRIO_DATA_DIR: dataDir, ANTIRIO_SERVICES__ARBITRATOR__URL: url };
});
afterAll(() => {
  arbitrator.close();
  rmSync(dataDir, { recursive: true });
});

const BASE = '/arbitrator/v1/operator/C';

test('handover, hold and return say who asks', async () => {
  const who: unknown = expect.any(String);
  expect((await antirio(['handover', 'C', '--planned'], env)).out).toContain('yielding');
  expect(asked.pop()).toEqual({ method: 'POST', url: `${BASE}/handover`, body: { planned: true, by: who } });
  await antirio(['hold', 'C'], env);
  expect(asked.pop()).toMatchObject({ url: `${BASE}/hold`, body: { held: true } });
  await antirio(['hold', 'C', '--off'], env);
  expect(asked.pop()).toMatchObject({ url: `${BASE}/hold`, body: { held: false } });
  await antirio(['return', 'C'], env);
  expect(asked.pop()).toEqual({ method: 'POST', url: `${BASE}/return`, body: { by: who } });
});

test('what is forced is signed with an operator’s key', async () => {
  const { code } = await antirio(['takeover', 'C', '--force', '--key', keyFile], env);
  expect(code).toBe(0);
  const { url, body } = asked.pop() ?? {};
  const { force } = body as { force: Signed<unknown> };
  expect(url).toBe(`${BASE}/takeover`);
  expect(force).toMatchObject({
    by: ann.edgeId,
    body: { contractId: 'C', act: 'takeover', challenge: 'c1' },
  });
  expect(verifyDocument(force, 'antirio/force/1')).toBe(true);
  const without = await antirio(['return', 'C', '--force'], env);
  expect([without.code, without.err]).toEqual([1, expect.stringContaining('--key')]);
});

test('alarms are listed with their page, and why tells of a device', async () => {
  expect((await antirio(['alarms'], env)).out).toMatch(/held +C +1970-01-01T\S+ +nothing.*held\.md/);
  expect((await antirio(['why', '00000000000000aa'], env)).out).toContain(
    '/arbitrator/v1/why/00000000000000aa',
  );
});
