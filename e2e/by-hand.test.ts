import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { CENTRAL_ROOMS, EDGE_ROOMS, eventCount, portOf, UDP_PORTS } from '@antirio/demo';
import {
  actAgain,
  caughtUp,
  followContract,
  GATEWAYS,
  judge,
  killParty,
  settle,
  takeBack,
  watchTakeover,
  type ContractedRun,
} from '@antirio/demo/scenes';
import { makeIdentityFile, readIdentityFile } from '@antirio/host';
import { readTruth } from '@antirio/lora-simulator';
import { flipByteOnDisk } from '@antirio/testing';
import { ask, entryWith, get, type Answer } from './support/ask.ts';
import {
  badReceptions,
  edgeDatagram,
  garbage,
  metricsOf,
  pushData,
  rxpkOf,
  sayTo,
  sendDatagrams,
} from './support/bad-datagrams.ts';
import { sendRubbish } from './support/bad-http.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { configure } from './support/configure.ts';
import { openLyingGateway } from './support/lying-gateway.ts';
import {
  breakIn,
  bytesOf,
  centralShare,
  filesBelow,
  findKeys,
  keyPackageOf,
  openPackage,
  wholeKey,
} from './support/provider-disk.ts';
import { refusedRequests, refusedTerms } from './support/refusals.ts';
import { LISTEN_ON_S, nothingIsLeft, secondContract } from './support/second-contract.ts';
import { inSteps } from './support/steps.ts';

/** The thesis's resources, tables 4.1 to 4.9: what this test does, it does by these alone. */
const RESOURCES = {
  ownImages: ['orchestrator', '/orchestrator/service_customer/image/status'],
  foreignImages: ['orchestrator', '/orchestrator/service_provider/image/status'],
  provided: ['orchestrator', '/orchestrator/service_provider/contract'],
  demanded: ['orchestrator', '/orchestrator/service_customer/contract/testing'],
  health: ['orchestrator', '/orchestrator/health'],
  backendImages: ['filecoinInterface', '/filecoin_interface/backend/image'],
  orderedImages: ['filecoinInterface', '/filecoin_interface/orchestrator/image'],
  backendErrors: ['filecoinInterface', '/filecoin_interface/backend/error'],
  storageHealth: ['filecoinInterface', '/filecoin_interface/health'],
} as const;
type Resource = keyof typeof RESOURCES;
type Edge = 'a' | 'b';

const IMAGE = { imageName: 'LoRa-device-service', fileName: 'LoRa-device-service.tar' };
const IMAGE_ID = 'by-hand';

describe('by the resources of the thesis alone', () => {
  let cluster: Cluster;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    cluster = await openCluster({ seed: 'e2e/by-hand', duration: 3 });
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  const urlOf = (edge: Edge, resource: Resource): string => {
    const [room, resourcePath] = RESOURCES[resource];
    return `${cluster.run.nodes[edge].url(room)}${resourcePath}`;
  };
  const list = (edge: Edge, resource: Resource): Promise<unknown> => get(urlOf(edge, resource));
  const post = (edge: Edge, resource: Resource, json: object): Promise<Answer> =>
    ask(urlOf(edge, resource), { method: 'POST', json });

  /** POST, 202, kill -9, start again. Gives what was answered. */
  async function postAndDie(edge: Edge, resource: Resource, json: object): Promise<Record<string, unknown>> {
    const answer = await post(edge, resource, json);
    expect([resource, answer.status, answer.text]).toEqual([resource, 202, answer.text]);
    await cluster.killAndRestart(edge);
    return answer.json as Record<string, unknown>;
  }

  /** Waits for an entry of a resource with these values. */
  function entry(
    edge: Edge,
    resource: Resource,
    values: Record<string, unknown>,
  ): Promise<Record<string, unknown>> {
    return cluster.until<Record<string, unknown>>(
      `${resource} of edge ${edge} has ${JSON.stringify(values)}`,
      async () => {
        const all = await list(edge, resource);
        const found = entryWith(all, values);
        return found === undefined ? { seen: JSON.stringify(all).slice(-600) } : { found };
      },
    );
  }

  let imageHash = '';
  let config = '';
  let contractId = '';
  let first: ContractedRun | undefined;

  step('4.5 and 4.9: both edges say that they are there', async () => {
    for (const edge of ['a', 'b'] as const) {
      expect(await list(edge, 'health')).toEqual({ 'Status Message': 'orchestrator v.0.1.0' });
      expect(await list(edge, 'storageHealth')).toEqual({ 'Status Message': 'filecoin interface v.0.1.0' });
    }
  });

  step('4.7: an ordered image is stored though the edge dies at once, and 4.1 tells of it', async () => {
    const ordered = await postAndDie('a', 'orderedImages', {
      ...IMAGE,
      storageDuration: 7,
      imageId: IMAGE_ID,
    });
    expect(ordered).toMatchObject({ imageId: IMAGE_ID, imageName: IMAGE.imageName });
    const stored = await entry('a', 'orderedImages', { imageId: IMAGE_ID, status: 'STORED' });
    imageHash = String(stored['imageHash']);
    const { a } = cluster.run.nodes;
    expect(await get(`${urlOf('a', 'orderedImages')}?imageName=${IMAGE.imageName}`)).toMatchObject({
      imageHash,
      minerAddress: a.edgeId,
    });
    await entry('a', 'ownImages', { imageId: IMAGE_ID, imageHash, status: 'STORED' });
  });

  step('4.6: a backend tells that the image is held by its providers', async () => {
    await postAndDie('a', 'backendImages', { imageId: IMAGE_ID, imageHash, status: 'COMMITTED' });
    expect(entryWith(await list('a', 'backendImages'), { imageId: IMAGE_ID })).toMatchObject({
      status: 'COMMITTED',
    });
    await entry('a', 'orderedImages', { imageId: IMAGE_ID, status: 'COMMITTED' });
    await entry('a', 'ownImages', { imageId: IMAGE_ID, status: 'COMMITTED' });
  });

  step('4.8: an error of a backend is kept', async () => {
    const error = { errorObject: { imageId: IMAGE_ID }, code: 404, message: 'can’t find the miner' };
    await postAndDie('a', 'backendErrors', error);
    expect(entryWith(await list('a', 'backendErrors'), { message: error.message })).toMatchObject(error);
  });

  step('4.1: a status given by hand is kept, and never goes back', async () => {
    const own = { imageId: 'another', imageHash: 'bafkreiaother', status: 'COMMITTED' };
    await postAndDie('a', 'ownImages', own);
    expect(entryWith(await list('a', 'ownImages'), { imageId: 'another' })).toMatchObject(own);
    expect((await post('a', 'ownImages', { ...own, status: 'STORED' })).json).toMatchObject({
      status: 'COMMITTED',
    });
    expect((await post('a', 'ownImages', { ...own, imageHash: 'bafkreiwrong' })).status).toBe(409);
  });

  step(
    '4.6 at the provider: what a lying gateway gives is not taken, and is fetched from who tells the truth',
    async () => {
      const { a } = cluster.run.nodes;
      const liar = await openLyingGateway(a.url('filecoinInterface'));
      const ready = { imageId: IMAGE_ID, imageHash, status: 'READY2DOWNLOAD' };
      expect((await post('b', 'backendImages', { ...ready, providers: [liar.url] })).status).toBe(202);
      const told = await cluster.until('edge B has found out', async () => {
        const found = entryWith(await list('b', 'backendErrors'), {});
        return found === undefined ? { seen: 'no error' } : { found };
      });
      cluster.tell(`edge B on the lying gateway: ${JSON.stringify(told)}`);
      expect(liar.lies()).toBeGreaterThan(0);
      await liar.close();
      const object = `${cluster.run.nodes.b.url('filecoinInterface')}/api/v3/storage/object/${imageHash}`;
      expect(await get(object)).toMatchObject({
        object: { state: 'FAILED', error: expect.stringContaining('lied') },
      });
      await postAndDie('b', 'backendImages', { ...ready, providers: [`/p2p/${a.edgeId}`] });
      await cluster.until('edge B has the image', async () => {
        const view = (await get(object)) as { object: { state: string } };
        return view.object.state === 'STORED' ? { found: true } : { seen: JSON.stringify(view) };
      });
    },
  );

  step(
    '4.4: the contract comes about though the customer dies at once; a block damaged on the provider’s disk keeps it from READY',
    async () => {
      const { a } = cluster.run.nodes;
      const manifest = await ask(`${a.url('filecoinInterface')}/ipfs/${imageHash}?format=car`);
      expect(manifest.status).toBe(200);
      const sampled = (await get(
        `${a.url('filecoinInterface')}/api/v3/storage/object/${imageHash}/sample?count=64`,
      )) as { sample: { blockCids: string[] } };
      const leaf = sampled.sample.blockCids.find((cid) => cid.startsWith('bafk')) ?? '';
      const block = await fetch(`${a.url('filecoinInterface')}/ipfs/${leaf}?format=raw`);
      const bytes = new Uint8Array(await block.arrayBuffer());
      await cluster.killAndRestart('b', () => {
        const packs = path.join(cluster.folderOf('b'), 'filecoin-interface', 'packs');
        flipByteOnDisk(packs, bytes.subarray(0, 4_096));
        configure(cluster.folderOf('b'), 'arbitrator', { listenOnS: LISTEN_ON_S });
        // Else it would fetch the block again by itself, and nobody would have to tell it.
        configure(cluster.folderOf('b'), 'orchestrator', { giveUpMs: 0 });
      });
      const demanded = await postAndDie('a', 'demanded', { ...IMAGE, duration: 7 });
      const { id } = demanded;
      const contracted = await entry('a', 'demanded', { id, state: 'CONTRACTED' });
      contractId = String(contracted['contractId']);
      config = String(contracted['config']);
      expect(contracted).toMatchObject({ imageHash, duration: 7 });
      const failed = await entry('b', 'provided', { contractId, status: 'FAILED' });
      cluster.tell(`edge B on its damaged block: ${String(failed['error'])}`);
      // Found on reading, or already when the store was opened again.
      expect(failed['error']).toMatch(/the disk has changed the stored block|is not here/);
      expect(failed).toMatchObject({ edgeId: a.edgeId, imageHash, config });
      await entry('b', 'foreignImages', { contractId, status: 'FAILED' });
      const progress = entryWith(await list('a', 'demanded'), { id })?.['progress'];
      expect(progress).toMatchObject({ contract: 'arming' });
    },
  );

  step('4.2: the provider is told to try again, and is READY', async () => {
    const { b } = cluster.run.nodes;
    await postAndDie('b', 'foreignImages', { imageId: contractId, status: 'DOWNLOADED' });
    await entry('b', 'provided', { contractId, status: 'LOADED' });
    await entry('b', 'foreignImages', { contractId, status: 'LOADED' });
    await cluster.until('the customer knows that it is guarded', async () => {
      const progress = entryWith(await list('a', 'demanded'), { contractId })?.['progress'] as {
        contract?: string;
      };
      return progress.contract === 'guarded' ? { found: true } : { seen: JSON.stringify(progress) };
    });
    expect(b.edgeId).not.toBe('');
  });

  step(
    '4.3: another contract by hand is fetched, verified and loaded though the provider dies at once',
    async () => {
      const { a } = cluster.run.nodes;
      const asked = { edgeId: a.edgeId, imageName: IMAGE.imageName, imageHash, config, contractId: 'second' };
      await postAndDie('b', 'provided', asked);
      await entry('b', 'provided', { contractId: 'second', status: 'LOADED' });
      expect((await post('b', 'provided', { ...asked, imageName: 'another' })).status).toBe(409);
    },
  );

  step('what edge B has on its disk while it stands by opens nothing', async () => {
    const [folder, central] = [cluster.folderOf('b'), cluster.folderOf('central')];
    const keys = cluster.run.devices.flatMap(({ nwkSKey, appSKey }) => [nwkSKey, appSKey]);
    // What this finds where keys are: in the folder of their owner.
    expect(findKeys(filesBelow(cluster.folderOf('a')), keys).length).toBeGreaterThanOrEqual(keys.length);
    // Where the service runs is in memory.
    const files = await cluster.until<string[]>('the service stands by', async () => {
      const found = [folder, '/dev/shm'].flatMap(filesBelow);
      const isOurs = (file: string): boolean =>
        file.startsWith('/dev/shm') && bytesOf(file).includes(contractId);
      return found.some(isOurs) ? { found } : { seen: `no file of it among ${found.length}` };
    });
    expect(findKeys(files, keys)).toEqual([]);

    const given = keyPackageOf(folder, contractId);
    expect(given.whole).toBe(false);
    const { tried, opened } = breakIn(folder, given, files);
    expect(tried).toBeGreaterThan(10);
    expect(opened).toBeUndefined();
    // With the share of the central arbitrator, which is on another disk, it does open.
    const share = centralShare(central, contractId);
    const sessions = cluster.run.devices.map(({ devEui, devAddr, nwkSKey, appSKey }) => ({
      ...{ devEui, devAddr, nwkSKey, appSKey },
    }));
    expect(openPackage(given, wholeKey(folder, given, share))).toEqual({ keyVersion: 1, sessions });
  });

  step('malformed JSON, wrong types and bodies over the limit are refused by every room', async () => {
    const { a, b, central } = cluster.run.nodes;
    const nowhere = '00000000-0000-4000-8000-000000000000';
    const parameters = { id: nowhere, contractId: nowhere, cid: config, edgeId: b.edgeId };
    let asked = 0;
    for (const [node, rooms] of [
      [a, EDGE_ROOMS],
      [central, CENTRAL_ROOMS],
    ] as const)
      for (const room of rooms) {
        const findings = await sendRubbish(node.url(room), parameters);
        expect([node.title, room, findings.complaints]).toEqual([node.title, room, []]);
        asked += findings.asked;
      }
    expect(asked).toBeGreaterThan(400);
  });

  step('garbage, truncated, oversized and replayed datagrams are dropped and counted', async () => {
    const { a, b } = cluster.run.nodes;
    const [bridge, doors] = [a.url('gatewayBridge'), a.url('edge2edge')];
    const identity = readIdentityFile(path.join(cluster.folderOf('b'), 'identity.json'));
    const before = { bridge: await metricsOf(bridge), doors: await metricsOf(doors) };
    const radio = UDP_PORTS.gateway + a.offset;
    await sendDatagrams(radio, [...garbage(), ...badReceptions(GATEWAYS.a)]);
    // The same reception of a real frame over and over.
    const { identities } = await readTruth(cluster.run.truthFile);
    const frame = Buffer.from(identities.find(({ ackedBy }) => ackedBy.length > 0)?.phyPayload ?? '', 'hex');
    const replay = pushData(99, GATEWAYS.a, JSON.stringify({ rxpk: [rxpkOf(frame)] }));
    await sendDatagrams(
      radio,
      Array.from({ length: 20 }, () => replay),
    );

    const about = { kind: 'probe', boot: '0123456789abcdef', seq: 7, body: { nonce: 'n' } };
    const genuine = edgeDatagram(identity, a.edgeId, about);
    const stranger = makeIdentityFile(path.join(cluster.folder, 'stranger.json'));
    const forged = Buffer.from(genuine.toString().replace('"seq":7', '"seq":8'));
    await sendDatagrams(UDP_PORTS.datagrams + a.offset, [
      ...garbage(),
      ...[genuine, genuine, genuine, forged],
      edgeDatagram(stranger, a.edgeId, about),
      edgeDatagram(identity, b.edgeId, { ...about, seq: 9 }),
      genuine.subarray(0, genuine.length - 20),
    ]);
    const grown = async (base: string, known: ReadonlyMap<string, number>, name: string): Promise<void> => {
      await cluster.until(`${name} is counted`, async () => {
        const now = (await metricsOf(base)).get(name) ?? 0;
        return now > (known.get(name) ?? 0) ? { found: true } : { seen: String(now) };
      });
    };
    for (const reason of ['malformedDatagram', 'malformedJson', 'malformedRxpk', 'unknownGateway'])
      await grown(bridge, before.bridge, `antirio_gateway_ignored_total{reason="${reason}"}`);
    for (const what of ['oversized', 'garbage', 'misdirected', 'unknown', 'forged', 'replayed'])
      await grown(doors, before.doors, `antirio_edge2edge_total{what="datagrams_${what}"}`);
  });

  step('what other edges may not ask is refused, and so is what is not theirs', async () => {
    expect(await refusedRequests(cluster)).toEqual({
      unsigned: 401,
      'wrong signature': 401,
      'for another edge': 401,
      'of a stranger': 403,
      'foreign contract': 403,
      'foreign ring': 403,
      'not open': 404,
      'too large': 413,
      'for the first time': 200,
      'recorded and sent again': 401,
    });
    expect(await refusedTerms(cluster, contractId)).toEqual({
      expired: 410,
      'wrongly signed': 401,
      'never agreed': 403,
      'with an unknown field': 400,
    });
  });

  step('after all that the edge still serves', async () => {
    const { a } = cluster.run.nodes;
    await sayTo(portOf('broker', a.offset), garbage()[30] ?? Buffer.alloc(0));
    for (const room of EDGE_ROOMS) expect([room, await get(`${a.url(room)}/api/v3/ping`)]).toBeTruthy();
    cluster.run.waiter.check();
    const before = await eventCount(a);
    await cluster.until('edge A stores new readings', async () => {
      const now = await eventCount(a);
      return now > before + 5 ? { found: true } : { seen: `${before} events, then ${now}` };
    });
    const state = (await get(`${a.url('arbitrator')}/arbitrator/v1/contract/${contractId}`)) as {
      state: string;
    };
    expect(state.state).toBe('guarded');
  });

  step('the customer dies, its neighbour serves, everything comes home and the contract ends', async () => {
    const { nodes, waiter } = cluster.run;
    const timelines = followContract(contractId, { customer: nodes.a, provider: nodes.b }, waiter.stage);
    const run = { ...cluster.run, contractId, timelines };
    await timelines.update();
    const failure = await killParty(run, nodes.a);
    const takeoverMs = await watchTakeover(run, failure.at).takeoverMs();
    await failure.end();
    await takeBack(run);
    await settle(run);
    await entry('a', 'demanded', { contractId, state: 'ENDED' });
    await actAgain(run);
    await run.radio.pause();
    await caughtUp(run);
    const { report, faults } = await judge(run, takeoverMs, { early: true, quiet: false });
    expect(faults).toEqual([]);
    expect(report.uplinks).toMatchObject({ lost: 0, doubled: 0, forged: 0 });
    expect(report.settlement.balances).toEqual({ customer: 900, provider: 1_100 });
    first = run;
  });

  step(
    'of the contract that has ended its evidence is left and nothing else, after a restart too',
    async () => {
      await nothingIsLeft(cluster, contractId);
      await cluster.killAndRestart('b');
      await nothingIsLeft(cluster, contractId);
    },
  );

  step('another contract of the same sensors is not disturbed by the one that has ended', async () => {
    if (first === undefined) throw new Error('there was no first contract');
    await first.timelines.update();
    await cluster.run.radio.start();
    const { id } = (await post('a', 'demanded', { ...IMAGE, duration: 7 })).json as { id: string };
    const second = String((await entry('a', 'demanded', { id, state: 'CONTRACTED' }))['contractId']);
    const { uplinks, balances, onAir } = await secondContract(cluster, first, second);
    expect(uplinks).toMatchObject({ lost: 0, doubled: 0, forged: 0 });
    expect(balances).toEqual({ customer: 800, provider: 1_200 });
    expect(onAir).toBeGreaterThan(0);
  });
});
