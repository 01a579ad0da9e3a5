import { randomBytes } from 'node:crypto';
import loraPacketModule from 'lora-packet';
import { createSessionCipher, parseDataFrame, parseDevAddr, type SessionCipher } from '@antirio/lorawan';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;

/** Of Cayenne LPP with three values; of a frame that fills the payload of the fastest data rate. */
const PAYLOADS = { ratio: 11, long: 222 } as const;
const GOAL_RATIO = 5;
const SESSIONS = 50;
const FRAMES_EACH = 10;
/** Frames of one turn that are checked before it counts: the good ones, and two forgeries of each. */
const VECTORS_EACH = 3;
/** CPU time of one measured turn: far above the clock's step. */
const TURN_MS = 150;

interface Session {
  readonly cipher: SessionCipher;
  readonly nwkSKey: Buffer;
  readonly appSKey: Buffer;
  /** The same as `cipher`, as whoever receives has it. */
  readonly receiver: SessionCipher;
}

interface Frame {
  readonly session: Session;
  readonly fcnt: number;
  readonly bytes: Buffer;
  readonly payload: Buffer;
}

/** What a codec makes of a frame; undefined where its MIC is wrong. */
type Read = (frame: Frame) => Uint8Array | undefined;

function sessionOf(): Session {
  const [nwkSKey, appSKey] = [randomBytes(16), randomBytes(16)];
  const keys = { nwkSKey, appSKey };
  return { ...keys, cipher: createSessionCipher(keys), receiver: createSessionCipher(keys) };
}

/** Uplinks of several devices in turns, as a gateway hears them, with FOpts now and then. */
function framesOf(sessions: readonly Session[], payloadBytes: number): Frame[] {
  return Array.from({ length: FRAMES_EACH }, (_, fcnt) =>
    sessions.map((session, n): Frame => {
      const payload = randomBytes(payloadBytes);
      const devAddr = parseDevAddr((0x26000000 + n).toString(16));
      const head = { direction: 'up', confirmed: n % 4 === 0, adr: n % 2 === 0, devAddr, fcnt } as const;
      const fOpts = n % 5 === 0 && payloadBytes < PAYLOADS.long ? randomBytes(2) : new Uint8Array();
      return {
        session,
        fcnt,
        payload,
        bytes: Buffer.from(session.cipher.build({ ...head, fPort: 2, fOpts }, payload)),
      };
    }),
  ).flat();
}

const own: Read = ({ session, bytes, fcnt }) => {
  const frame = parseDataFrame(bytes);
  return session.receiver.verifies(frame, fcnt) ? session.receiver.decrypt(frame, fcnt) : undefined;
};

const theirs: Read = ({ session: { nwkSKey, appSKey }, bytes }) => {
  const packet = loraPacket.fromWire(bytes);
  if (!loraPacket.verifyMIC(packet, nwkSKey)) return undefined;
  return loraPacket.decrypt(packet, appSKey, nwkSKey);
};

const readsRight = (read: Read, frame: Frame): boolean => {
  const clear = read(frame);
  return clear !== undefined && Buffer.compare(frame.payload, clear) === 0;
};

/** A bit of the payload or of the MIC is not what it was. */
const forged = (frame: Frame, fromEnd: number): Frame => {
  const bytes = Buffer.from(frame.bytes);
  const at = bytes.length - fromEnd;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return { ...frame, bytes };
};

/** The same verdict and the same bytes from both, or there is nothing to measure. */
function checkSame(frames: readonly Frame[]): number {
  for (const frame of frames) {
    if (!readsRight(own, frame) || !readsRight(theirs, frame))
      throw new BenchError('a frame was read wrongly');
    for (const bad of [forged(frame, 5), forged(frame, 1)])
      if (own(bad) !== undefined || theirs(bad) !== undefined) throw new BenchError('a forgery was taken');
  }
  return frames.length * VECTORS_EACH;
}

/** Frames per second of CPU time: what other processes do at the same time counts little. */
function rate(read: Read, frames: readonly Frame[]): number {
  const before = process.cpuUsage();
  for (let done = 0; ;) {
    for (const frame of frames)
      if (!readsRight(read, frame)) throw new BenchError('a frame was read wrongly');
    done += frames.length;
    const { user, system } = process.cpuUsage(before);
    const us = user + system;
    if (us >= TURN_MS * 1000) return (done / us) * 1e6;
  }
}

async function compare(name: keyof typeof PAYLOADS, { options, say, signal }: BenchPorts): Promise<Figure> {
  const sessions = Array.from({ length: SESSIONS }, sessionOf);
  const frames = framesOf(sessions, PAYLOADS[name]);
  const vectors = checkSame(frames);
  say(`${frames.length} uplinks of ${SESSIONS} sessions with ${PAYLOADS[name]} bytes of payload, in turns`);
  // Until the code is compiled.
  rate(own, frames);
  rate(theirs, frames);
  const turns: { readonly own: number; readonly theirs: number }[] = [];
  for (let turn = 0; turn < (options.quick ? 1 : 20); turn++) {
    signal.throwIfAborted();
    turns.push({ own: rate(own, frames), theirs: rate(theirs, frames) });
    await new Promise(setImmediate);
  }
  return figureOf({
    figure: `codec.${name}`,
    unit: 'x',
    values: turns.map((turn) => turn.own / turn.theirs),
    goal: GOAL_RATIO,
    better: 'more',
    context: {
      payloadBytes: PAYLOADS[name],
      sessions: SESSIONS,
      vectors,
      ownPerCpuSecond: rounded(median(turns.map((turn) => turn.own)), 0),
      loraPacketPerCpuSecond: rounded(median(turns.map((turn) => turn.theirs)), 0),
    },
  });
}

async function* run(ports: BenchPorts): AsyncGenerator<Figure> {
  yield await compare('ratio', ports);
  yield await compare('long', ports);
}

export const codec: Benchmark = {
  name: 'codec',
  about:
    'MIC and decryption of uplinks: libs/domain/lorawan against lora-packet, which must agree on every frame',
  withinS: () => 120,
  run,
};
