import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import {
  agree,
  armed,
  killParty,
  serve,
  settle,
  takeBack,
  watchTakeover,
  type ContractedRun,
  type Look,
} from '@antirio/demo/scenes';
import { get } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { inSteps } from './support/steps.ts';

/** The image's service writes into its volume what it found there, once it is told to read. */
const stateful = {
  file: 'apps/device-lora/src/activation.ts',
  find: '    async activate(secretsFile) {\n',
  replace: `    async activate(secretsFile) {
      const { readFileSync, writeFileSync } = await import('node:fs');
      const volume = process.env['ANTIRIO_VOLUME_STATE'] ?? '';
      writeFileSync(volume + '/at-b', 'B found ' + readFileSync(volume + '/at-a', 'utf8'));
`,
};

interface Seen {
  readonly held?: number | { readonly seq: number };
  readonly newest?: { readonly seq: number };
}

let cluster: Cluster;
let run: ContractedRun;
const { step, wentWell } = inSteps(() => cluster.story());
beforeAll(async () => {
  cluster = await openCluster({
    ...{ seed: 'e2e/state', motes: 5, duration: 2, volume: true, imageEdit: stateful },
  });
  run = await agree(cluster.run);
  await armed(run);
});
afterAll(async () => {
  await cluster.end(wentWell());
});

const atHome = (...names: string[]): string => path.join(cluster.folderOf('a'), 'state', ...names);
const atB = (...names: string[]): string =>
  path.join(cluster.folderOf('b'), 'orchestrator', 'volumes', run.contractId, 'live', 'state', ...names);
const seen = async (party: 'a' | 'b'): Promise<Seen | undefined> => {
  const { volumes } = (await get(`${run.nodes[party].url('orchestrator')}/orchestrator/v1/volume`)) as {
    volumes: Seen[];
  };
  return volumes[0];
};

async function heldAfter(seq: number): Promise<Look<true>> {
  const [own, guest] = await Promise.all([seen('a'), seen('b')]);
  const newest = own?.newest?.seq ?? 0;
  const isHeld = newest > seq && own?.held === newest && guest?.held !== undefined;
  return isHeld ? { found: true } : { seen: JSON.stringify([own, guest]) };
}

step(
  'state that edge A wrote is at edge B after a kill, and what B wrote is at A after the handback',
  async () => {
    const before = (await seen('a'))?.newest?.seq ?? 0;
    mkdirSync(atHome('below'));
    writeFileSync(atHome('below', 'deep'), 'x'.repeat(200_000));
    writeFileSync(atHome('at-a'), '17');
    await cluster.until('edge B holds the snapshot', () => heldAfter(before));
    // nothing of it is in the clear at B before the keys are open
    expect(existsSync(atB()) ? readdirSync(atB()) : []).toEqual([]);
    const at = run.waiter.now();
    const takeover = watchTakeover(run, at);
    const failure = await killParty(run, run.nodes.a);
    const takeoverMs = await takeover.takeoverMs();
    await serve(run);
    cluster.tell(`takeover with a volume: ${JSON.stringify(takeoverMs)}`);
    expect(readFileSync(atB('at-b'), 'utf8')).toBe('B found 17');
    expect(readFileSync(atB('below', 'deep'), 'utf8')).toHaveLength(200_000);
    await failure.end();
    await takeBack(run);
    await settle(run);
    expect(readFileSync(atHome('at-b'), 'utf8')).toBe('B found 17');
    expect(readFileSync(atHome('at-a'), 'utf8')).toBe('17');
    expect(existsSync(atHome('below', 'deep'))).toBe(true);
    const prefix = encodeURIComponent(`statement/${run.contractId}/`);
    const stated = await get(`${run.nodes.central.url('ledger')}/ledger/v1/range?prefix=${prefix}&limit=10`);
    const said = JSON.stringify(stated).match(/"volumes":\{"cid":"[^"]+"/g) ?? [];
    expect(said).toHaveLength(2);
    expect(new Set(said).size).toBe(1);
  },
);
