import { createReadStream, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { callJson, parseInput, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { writeDurably } from './sealed-file.ts';

const objectAnswer = z.looseObject({
  object: z.looseObject({
    cid: z.string(),
    state: z.enum(['FETCHING', 'STORED', 'FAILED']),
    error: z.string().optional(),
    progress: z.looseObject({ bytes: z.number() }).optional(),
  }),
});

/** Snapshots in this edge's content store, from where other edges fetch them by CID. */
export interface VolumeObjects {
  /** Resolves to the CID once it is durable there. */
  put(name: string, path: string): Promise<string>;
  /** Brings an object of another edge here as a file. False while it is on its way. @throws AntirioError corrupt | unavailable | tooLarge */
  bring(wanted: WantedObject, name: string, path: string): Promise<boolean>;
  drop(cid: string): Promise<void>;
}

export interface WantedObject {
  readonly cid: string;
  readonly size: number;
  readonly sha256: string;
  readonly from: string;
}

const STORAGE = '/api/v3/storage';
const PIECE = 4 << 20;
const LONG_MS = 120_000;
const IDLE_MS = 30_000;
const NOT_FOUND = 404;
/** What the blocks of an object have on top of its bytes. */
const MORE_AT_MOST = 4 << 20;

async function* limited(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const bytes of source) {
    sent += bytes.length;
    if (sent > limit) throw new AntirioError('corrupt', `over the ${limit} bytes that were announced`);
    yield bytes;
  }
}

export function volumeObjects(peer: HttpPeer): VolumeObjects {
  const forget = async (path: string): Promise<void> => {
    const { status } = await peer.call({ method: 'DELETE', path });
    if (status >= 300 && status !== NOT_FOUND)
      throw new AntirioError('unavailable', `${path}: HTTP ${status}`, { status });
  };
  const object = async (call: HttpCall): Promise<z.output<typeof objectAnswer>['object']> =>
    parseInput(objectAnswer, await callJson(peer, { timeoutMs: LONG_MS, ...call })).object;
  const download = async ({ size, sha256 }: WantedObject, name: string, path: string): Promise<void> => {
    if (peer.open === undefined)
      throw new AntirioError('badConfig', 'no way to read files of the content store');
    const { status, body } = await peer.open(`${STORAGE}/file/${name}`, { idleMs: IDLE_MS });
    if (status !== 200)
      throw new AntirioError('unavailable', `the content store answered ${status}`, { status });
    const written = await writeDurably(path, limited(body, size));
    if (written.size === size && written.sha256 === sha256) return;
    await rm(path, { force: true });
    throw new AntirioError('corrupt', 'the snapshot is not the one that was announced');
  };
  return {
    async put(name, path) {
      const file = `${STORAGE}/file/${name}`;
      const { size } = statSync(path);
      await forget(file);
      let from = 0;
      for await (const piece of createReadStream(path, { highWaterMark: PIECE })) {
        const body = piece as Uint8Array;
        const headers = {
          'content-type': 'application/octet-stream',
          'content-range': `bytes ${from}-${from + body.length - 1}/${size}`,
        };
        await callJson(peer, { method: 'PUT', path: file, headers, body, timeoutMs: LONG_MS });
        from += body.length;
      }
      const { cid } = await object({ method: 'POST', path: `${STORAGE}/object`, json: { fileName: name } });
      await forget(file);
      return cid;
    },
    async bring(wanted, name, path) {
      const { cid, from } = wanted;
      const json = { cid, providers: [`/p2p/${from}`] };
      const { state, error, progress } = await object({ method: 'POST', path: `${STORAGE}/fetch`, json });
      if ((progress?.bytes ?? 0) > wanted.size + MORE_AT_MOST) {
        await forget(`${STORAGE}/object/${encodeURIComponent(cid)}`);
        throw new AntirioError('corrupt', `over the ${wanted.size} bytes that were announced`);
      }
      if (state === 'FAILED') throw new AntirioError('unavailable', `not fetched: ${error ?? 'unknown'}`);
      if (state === 'FETCHING') return false;
      const path0 = `${STORAGE}/object/${encodeURIComponent(cid)}/export`;
      await callJson(peer, { method: 'POST', path: path0, json: { fileName: name }, timeoutMs: LONG_MS });
      try {
        await download(wanted, name, path);
      } finally {
        await forget(`${STORAGE}/file/${name}`);
      }
      return true;
    },
    drop: (cid) => forget(`${STORAGE}/object/${encodeURIComponent(cid)}`),
  };
}
