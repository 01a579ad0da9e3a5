import { connect, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Response } from 'cosmjs-types/tendermint/abci/types';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { concatBytes, utf8 } from '@antirio/kernel';
import { encodeRequest, type PartialRequest } from './application.fixture.ts';
import { FrameReader, toFrame } from './frames.ts';
import { openApplication, type OpenApplication } from './index.ts';

let folder: string;
let application: OpenApplication;
let sockets: Socket[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'abci-server-'));
  sockets = [];
  const address = { host: '127.0.0.1', port: 0 };
  application = await openApplication({ folder, address, eventsKept: 100, snapshotEvery: 0, log: silentLog });
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await application.close();
  rmSync(folder, { recursive: true });
});

/** A connection, and what it was answered. */
function dial(): { send(...bytes: Uint8Array[]): void; answers: Response[]; ended: () => boolean } {
  const socket = connect(application.port, '127.0.0.1');
  sockets.push(socket);
  const reader = new FrameReader();
  const answers: Response[] = [];
  socket.on('data', (piece) =>
    answers.push(...reader.push(piece).map((message) => Response.decode(message))),
  );
  socket.on('error', () => undefined);
  return {
    send: (...bytes) => void socket.write(concatBytes(...bytes)),
    answers,
    ended: () => socket.closed,
  };
}

const frame = (partial: PartialRequest): Uint8Array => toFrame(encodeRequest(partial));

test('answers on four connections, each in its order', async () => {
  const dialed = Array.from({ length: 4 }, dial);
  for (const [i, { send }] of dialed.entries())
    send(
      ...[1, 2, 3].map((n) => frame({ echo: { message: `${i}-${n}` } })),
      frame({ info: {} }),
      frame({ flush: {} }),
    );
  await waitFor(systemClock, 5000, () => dialed.every(({ answers }) => answers.length === 5) || undefined);
  for (const [i, { answers }] of dialed.entries()) {
    expect(answers.slice(0, 3).map(({ echo }) => echo?.message)).toEqual([1, 2, 3].map((n) => `${i}-${n}`));
    expect(answers[3]?.info).toMatchObject({ data: 'antirio-ledger', lastBlockHeight: 0n });
    expect(answers[4]?.flush).toEqual({});
  }
});

test('ends a connection that speaks something else, with a word, and goes on with the others', async () => {
  const good = dial();
  const garbage = [
    utf8(`GET /${'x'.repeat(200)} HTTP/1.1\r\n\r\n`),
    new Uint8Array(64).fill(0xff),
    toFrame(new Uint8Array(40).fill(0xff)),
    Uint8Array.of(0x80, 0x80, 0x80, 0x7f),
    toFrame(new Uint8Array()),
    toFrame(Uint8Array.of(0xf8, 0x07, 0x01)),
    frame({ extendVote: { height: 1n } }),
  ];
  for (const bytes of garbage) {
    const bad = dial();
    bad.send(bytes);
    await waitFor(systemClock, 5000, () => bad.ended() || bad.answers.length > 0 || undefined);
    for (const { exception } of bad.answers) expect(exception?.error).toMatch(/ABCI|frame/);
  }
  good.send(frame({ query: { path: '/head' } }));
  await waitFor(systemClock, 5000, () => good.answers.length === 1 || undefined);
  expect(good.answers[0]?.query?.code).toBe(0);
  expect(application.health()).toEqual({ ok: true });
});

test('stops while a node is connected', async () => {
  const node = dial();
  node.send(frame({ info: {} }));
  await waitFor(systemClock, 5000, () => node.answers.length === 1 || undefined);
  await application.close();
  await waitFor(systemClock, 5000, () => node.ended() || undefined);
});
