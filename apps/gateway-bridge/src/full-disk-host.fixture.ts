/**
 * A ring on a disk that is full (its process may write no larger files), with a source that offers nothing beyond the frames that were
 * lost: prints what the ring says before and after it is opened again, and what the source was told.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { silentLog, systemClock, type HttpCall, type HttpPeer } from '@antirio/host';
import { createGapFiller } from './ring/gap-filler.ts';
import { createRateLimit } from '@antirio/shadow-buffer';
import { openRing, type Ring } from './ring/ring.ts';
import type { Rings } from './ring/rings.ts';
import { createSourceNotes } from './ring/source-notes.ts';
import { ONE, settings, uplink } from './ring/test-frames.ts';

const FRAMES = 200;
const SOURCE = { edgeId: 'edge-b', ringId: 'contract-1' } as const;
const folder = process.argv[2] ?? '';
const rate = createRateLimit(1000, 1000);
const ringOn = (): Ring =>
  openRing(
    { id: 'own', incarnation: 'a', folder, segmentBytes: 1 << 20, rate, clock: systemClock },
    settings,
  );

const asked: string[] = [];
const edge2edge: HttpPeer = {
  call({ path }: HttpCall) {
    const name = path.replace(/^.*\/ring\/[^/]+\//, '');
    asked.push(name);
    const answer = { offers: [], next: FRAMES, last: FRAMES, incarnation: 'b' };
    return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(), json: () => answer });
  },
  close: () => undefined,
};

const ring = ringOn();
const writes = Array.from({ length: FRAMES }, (_, i) => {
  const taken = ring.take(uplink(ONE, i + 1), false);
  return taken.kind === 'stored' ? taken.durable : Promise.resolve();
});
writes.push(ring.pulled({ ...SOURCE, incarnation: 'b', through: FRAMES }));
const outcomes = await Promise.allSettled(writes);

const rings = { get: () => ({ ring }) } as unknown as Rings;
const rests = { intervalMs: 20, maxIntervalMs: 40, pageFrames: 100, streamFrames: 1000, timeoutMs: 1000 };
const notes = createSourceNotes({ edge2edge, clock: systemClock, timeoutMs: 1000 });
const given = { rings, edge2edge, clock: systemClock, log: silentLog, notes };
const ports = { ...given, onStored: () => undefined, ...rests };
const filler = createGapFiller('own', SOURCE, ports);
while (filler.status().waiting === undefined && !asked.includes('acknowledge')) await pause(5);
const { pulledThrough } = filler.status();
await filler.stop();

const again = ringOn();
const told = {
  refused: outcomes.filter(({ status }) => status === 'rejected').length,
  ...{ failed: ring.failed, pulledThrough, acknowledged: asked.includes('acknowledge') },
  again: { position: again.positionIn(SOURCE.edgeId, SOURCE.ringId) ?? null, isShort: again.last < FRAMES },
};
process.stdout.write(JSON.stringify(told));
