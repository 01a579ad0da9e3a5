import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toHex } from '@antirio/kernel';
import { createSessionCipher, parseDevAddr, sessionFingerprint } from '@antirio/lorawan';
import { summariseDevices, type GenuineFrame } from '@antirio/service-contract';
import { summariseFrames } from './genuine-frames.ts';

const motes = [1, 2, 3].map((n) => {
  const nwkSKey = new Uint8Array(16).fill(n);
  const devAddr = parseDevAddr(`0100000${n}`);
  const devEui = `70b3d57ed000000${n}`;
  const cipher = createSessionCipher({ nwkSKey });
  const session = sessionFingerprint(nwkSKey, devAddr);
  return { devEui, devAddr, session, cipher, nwkSKey: toHex(nwkSKey) };
});
const secrets = {
  keyVersion: 1,
  // one device that never sent anything
  sessions: motes.map(({ devEui, devAddr, nwkSKey }) => ({ devEui, devAddr, nwkSKey })),
};

function frame(mote: number, fcnt: number): GenuineFrame {
  const one = motes[mote];
  if (one === undefined) throw new RangeError('no such mote');
  const { devEui, devAddr, session, cipher } = one;
  const phyPayload = cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt });
  return { devEui, devAddr, session, fcnt, phyPayload };
}

async function* batches(frames: readonly Uint8Array[], size: number): AsyncGenerator<Uint8Array[]> {
  for (let i = 0; i < frames.length; i += size) {
    const batch = frames.slice(i, i + size).map((bytes) => new Uint8Array(bytes));
    yield batch;
    // as of a transient stream
    for (const bytes of batch) bytes.fill(0);
    await Promise.resolve();
  }
}

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-statement-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const path = (): string => join(folder, 'arbitrator', 'one.sort');

describe('the summary of a handback', () => {
  test('of frames that pass by is that of all of them together, whatever their order and however often they come', async () => {
    const one = fc.record({ mote: fc.nat(1), fcnt: fc.integer({ min: 0, max: 300 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(one, { maxLength: 80 }),
        fc.integer({ min: 1, max: 50 }),
        async (ids, size) => {
          const frames = ids.map(({ mote, fcnt }) => frame(mote, fcnt));
          const payloads = batches(
            [...frames, ...frames.slice(3)].map(({ phyPayload }) => phyPayload),
            size,
          );
          expect(await summariseFrames({ payloads, secrets, path: path() })).toEqual(
            summariseDevices(frames),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  test('has nothing that no mote of the contract sent', async () => {
    const genuine = [frame(0, 1), frame(0, 2), frame(2, 70_000)];
    const forged = new Uint8Array(frame(0, 3).phyPayload);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    const stranger = createSessionCipher({ nwkSKey: new Uint8Array(16).fill(9) });
    const foreign = stranger.build({
      ...{ direction: 'up', confirmed: false, fcnt: 4 },
      devAddr: parseDevAddr('0100000f'),
    });
    const all = [forged, foreign, Uint8Array.of(1), ...genuine.map(({ phyPayload }) => phyPayload)];
    const found = await summariseFrames({ payloads: batches(all, 2), secrets, path: path() });
    expect(found.map(({ devEui, count, first, last }) => [devEui, count, first, last])).toEqual([
      [motes[0]?.devEui, 2, 1, 2],
      [motes[2]?.devEui, 1, 70_000, 70_000],
    ]);
  });

  test('has those of a device that has counted to the end of its 32 bits, by what it had reached before', async () => {
    const last = 2 ** 32 - 1;
    const frames = [last - 70_000, last - 1, last].map((fcnt) => frame(0, fcnt));
    const payloads = () =>
      batches(
        frames.map(({ phyPayload }) => phyPayload),
        2,
      );
    const floors = new Map([[motes[0]?.session ?? '', last - 80_000]]);
    const found = await summariseFrames({ payloads: payloads(), secrets, floors, path: path() });
    expect(found).toEqual(summariseDevices(frames));
    expect(await summariseFrames({ payloads: payloads(), secrets, path: path() })).toEqual([]);
  });

  test.each([90, 200_000, 2 ** 32 - 1])(
    'has the frames of a device of which %d was told, and those of long before: nobody hides them by his word',
    async (floor) => {
      const frames = [150_000, 100, 101, 65_000].map((fcnt) => frame(0, fcnt));
      const payloads = batches(
        frames.map(({ phyPayload }) => phyPayload),
        2,
      );
      const floors = new Map([[motes[0]?.session ?? '', floor]]);
      const found = await summariseFrames({ payloads, secrets, floors, path: path() });
      expect(found).toEqual(summariseDevices(frames));
    },
  );

  test('leaves no file behind, also where the source breaks off, and takes none of an earlier one', async () => {
    const frames = [frame(0, 1), frame(0, 2)].map(({ phyPayload }) => phyPayload);
    async function* broken(): AsyncGenerator<Uint8Array[]> {
      yield* batches(frames, 1);
      writeFileSync(`${path()}.seen`, String(existsSync(path())));
      throw new TypeError('cut');
    }
    await expect(summariseFrames({ payloads: broken(), secrets, path: path() })).rejects.toThrow('cut');
    expect(readdirSync(join(folder, 'arbitrator'))).toEqual(['one.sort.seen']);
    writeFileSync(path(), 'of a process that was killed');
    const [device] = await summariseFrames({ payloads: batches(frames, 1), secrets, path: path() });
    expect(device?.count).toBe(2);
    expect(existsSync(path())).toBe(false);
  });
});
