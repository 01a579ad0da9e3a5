import { randomBytes } from 'node:crypto';
import loraPacketModule from 'lora-packet';
import { createSessionCipher, parseDataFrame, parseDevAddr, type SessionCipher } from '@antirio/lorawan';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;

const PAYLOAD_BYTES = 11;
const FRAMES = 500;
/** CPU time of one measured turn: far above the clock's step. */
const TURN_MS = 150;

interface Frame {
  readonly fcnt: number;
  readonly bytes: Buffer;
  readonly payload: Buffer;
}

/** Verifies the MIC and decrypts; throws where either goes wrong. */
type Check = (frame: Frame) => void;

function framesOf(cipher: SessionCipher): Frame[] {
  const fields = { direction: 'up', confirmed: false, devAddr: parseDevAddr('01a2b3c4'), fPort: 2 } as const;
  return Array.from({ length: FRAMES }, (_, fcnt) => {
    const payload = randomBytes(PAYLOAD_BYTES);
    return { fcnt, bytes: Buffer.from(cipher.build({ ...fields, fcnt }, payload)), payload };
  });
}

function judge(isMicRight: boolean, decrypted: Uint8Array | null, { payload }: Frame): void {
  if (!isMicRight) throw new BenchError('a right MIC was refused');
  if (decrypted === null || Buffer.compare(payload, decrypted) !== 0)
    throw new BenchError('a payload was decrypted wrongly');
}

/** Frames per second of CPU time: what other processes do at the same time counts little. */
function rate(check: Check, frames: readonly Frame[]): number {
  const before = process.cpuUsage();
  for (let done = 0; ;) {
    for (const frame of frames) check(frame);
    done += frames.length;
    const { user, system } = process.cpuUsage(before);
    const us = user + system;
    if (us >= TURN_MS * 1000) return (done / us) * 1e6;
  }
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const [nwkSKey, appSKey] = [randomBytes(16), randomBytes(16)];
  const cipher = createSessionCipher({ nwkSKey, appSKey });
  const frames = framesOf(cipher);
  const own: Check = (sent) => {
    const frame = parseDataFrame(sent.bytes);
    judge(cipher.verifies(frame, sent.fcnt), cipher.decrypt(frame, sent.fcnt), sent);
  };
  const theirs: Check = (sent) => {
    const packet = loraPacket.fromWire(sent.bytes);
    judge(loraPacket.verifyMIC(packet, nwkSKey), loraPacket.decrypt(packet, appSKey, nwkSKey), sent);
  };
  say(`${FRAMES} uplinks with ${PAYLOAD_BYTES} bytes of payload, in turns`);
  // Until the code is compiled.
  rate(own, frames);
  rate(theirs, frames);
  const turns: { readonly own: number; readonly theirs: number }[] = [];
  for (let turn = 0; turn < (options.quick ? 3 : 20); turn++) {
    signal.throwIfAborted();
    turns.push({ own: rate(own, frames), theirs: rate(theirs, frames) });
    await new Promise(setImmediate);
  }
  yield figureOf({
    figure: 'codec.ratio',
    unit: 'x',
    values: turns.map((turn) => turn.own / turn.theirs),
    context: {
      ownPerCpuSecond: rounded(median(turns.map((turn) => turn.own)), 0),
      loraPacketPerCpuSecond: rounded(median(turns.map((turn) => turn.theirs)), 0),
    },
  });
}

export const codec: Benchmark = {
  name: 'codec',
  about: 'MIC and decryption of uplinks: libs/domain/lorawan against lora-packet',
  withinS: () => 60,
  run,
};
