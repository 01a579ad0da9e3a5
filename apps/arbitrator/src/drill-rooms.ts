import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { AntirioError, fromBase64, isAntirioError, toHex } from '@antirio/kernel';
import { drillIdOf, type ContractTerms, type DrillAnswer } from '@antirio/service-contract';
import { DRILL_DEVICE } from './drill-keys.ts';
import { peerNamed } from './peers.ts';
import type { KeptPackage, Secrets } from './sealed-keys.ts';

const BUDGET_BYTES = 65_536;
const standing = z.looseObject({ serviceId: z.string(), archive: z.string(), imageCid: z.string() });
const observed = z.looseObject({ observed: z.string() });
const events = z.object({
  events: z.array(
    z.looseObject({
      tags: z.looseObject({ session: z.string(), fCnt: z.coerce.number().int() }),
      readings: z.array(z.looseObject({ binaryValue: z.string().optional() })),
    }),
  ),
});

/** What a drill moves at the provider: all of it has the drill's own name, and nothing of it the contract's. */
export interface DrillRooms {
  /** A ring that hears nothing, with the drill's frames in it. Done twice, it does no more than once. */
  putFrames(frames: readonly string[]): Promise<void>;
  /** A twin of the contract's service, of the same archive and on the same standby level; reads with `secrets`. How it is then. */
  service(given: KeptPackage, secrets: Secrets | undefined): Promise<string>;
  /** What is in core-data of the drill's sensor; undefined until `count` frames have been read. */
  read(count: number): Promise<DrillAnswer | undefined>;
  /** Takes all of it away; true once nothing is left. */
  undo(): Promise<boolean>;
}

async function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return undefined;
    throw error;
  }
}

export function drillRooms(peers: Readonly<Record<string, HttpPeer>>, terms: ContractTerms): DrillRooms {
  const bridge = peerNamed(peers, 'gatewayBridge');
  const orchestrator = peerNamed(peers, 'orchestrator');
  const coreData = peerNamed(peers, 'coreData');
  const id = drillIdOf(terms.contractId);
  const ring = `/api/v3/ring/${id}`;
  const service = `/orchestrator/v1/service/${id}`;
  const ofDevice = `/api/v3/event/device/name/${encodeURIComponent(`${id}.${DRILL_DEVICE}`)}`;
  let lastPut = '';

  const stateOf = async (): Promise<string> => {
    const found = await ifThere(callJson(orchestrator, { path: service }));
    return found === undefined ? 'absent' : parseInput(observed, found).observed;
  };
  return {
    async putFrames(frames) {
      const settings = { devAddrs: [], budgetBytes: BUDGET_BYTES, prefix: `contract/${id}/`, deliver: true };
      await callJson(bridge, { method: 'PUT', path: ring, json: settings });
      await callJson(bridge, { method: 'POST', path: `${ring}/test-frames`, json: { frames } });
    },
    async service(given, secrets) {
      const path = `/orchestrator/v1/service/${terms.contractId}`;
      const real = await ifThere(callJson(orchestrator, { path }));
      if (real === undefined) throw new AntirioError('conflict', 'the contract has no service yet');
      const { serviceId: twinOf, archive, imageCid } = parseInput(standing, real);
      const desired = secrets === undefined ? 'standby' : 'active';
      const json = { desired, standby: terms.standby, twinOf, archive, imageCid, service: given.service };
      const key = JSON.stringify(json);
      const state = await stateOf();
      if (lastPut !== key || state === 'absent' || (state === 'needsSecrets' && secrets !== undefined)) {
        await callJson(orchestrator, { method: 'PUT', path: service, json: { ...json, secrets } });
        lastPut = key;
      }
      return stateOf();
    },
    async read(count) {
      const found = await ifThere(callJson(coreData, { path: `${ofDevice}?limit=64` }));
      if (found === undefined) return undefined;
      const all = parseInput(events, found).events.sort((a, b) => a.tags.fCnt - b.tags.fCnt);
      const [first] = all;
      if (first === undefined || all.length < count) return undefined;
      const payloads = all.map(({ readings }) => toHex(fromBase64(readings[0]?.binaryValue ?? '')));
      return { session: first.tags.session, payloads };
    },
    async undo() {
      lastPut = '';
      if ((await stateOf()) !== 'absent')
        await callJson(orchestrator, { method: 'PUT', path: service, json: { desired: 'absent' } });
      await ifThere(callJson(bridge, { method: 'DELETE', path: ring }));
      await ifThere(callJson(coreData, { method: 'DELETE', path: ofDevice }));
      return (await stateOf()) === 'absent';
    },
  };
}
