import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { composeFiles } from './compose.ts';
import { writeLabFederation } from './lab-federation.ts';

const [central, ada] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lab-federation-'));
  mkdirSync(join(folder, 'central'));
  const ledger = { genesis: { balances: { [ada.edgeId]: 500 } } };
  writeFileSync(join(folder, 'central', 'antirio.jsonc'), JSON.stringify({ ledger }));
});

afterEach(() => rmSync(folder, { recursive: true }));

const read = (...path: string[]): string => readFileSync(join(folder, 'cometbft', ...path), 'utf8');

describe('the lab’s federation', () => {
  test('is the centre’s ledger at four nodes, which dial each other by the names in cometbft.yml', () => {
    writeLabFederation(folder, central.edgeId, new Date(0));
    const [, file = ''] = composeFiles(['cometbft']);
    const { services } = parse(readFileSync(file, 'utf8'), { merge: true }) as { services: object };
    const geneses = ['1', '2', '3', '4'].map((name) => read(name, 'config/genesis.json'));
    expect(new Set(geneses).size).toBe(1);
    expect(JSON.parse(geneses[0] ?? '')).toMatchObject({
      genesis_time: '1970-01-01T00:00:00.000Z',
      app_state: { arbitrator: central.edgeId, balances: { [ada.edgeId]: 500 } },
      validators: [{ name: '1' }, { name: '2' }, { name: '3' }, { name: '4' }],
    });
    for (const name of ['1', '2', '3', '4']) {
      const config = read(name, 'config/config.toml');
      const dialled = [...config.matchAll(/[0-9a-f]{40}@(cometbft-\d):26656/g)].map(([, host]) => host);
      expect(dialled).toEqual(['1', '2', '3', '4'].filter((n) => n !== name).map((n) => `cometbft-${n}`));
      expect(config).toContain(`proxy_app = "tcp://ledger-app-${name}:26658"`);
      for (const service of [`cometbft-${name}`, `ledger-app-${name}`])
        expect(services).toHaveProperty(service);
      expect(statSync(join(folder, 'cometbft', name, 'config/priv_validator_key.json')).mode & 0o777).toBe(
        0o644,
      );
    }
  });

  test('is another one with each lab', () => {
    writeLabFederation(folder, central.edgeId, new Date(0));
    const first = read('1', 'config/genesis.json');
    writeLabFederation(folder, central.edgeId, new Date(0));
    expect(read('1', 'config/genesis.json')).not.toBe(first);
  });
});
