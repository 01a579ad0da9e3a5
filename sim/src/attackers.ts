import type { Engine } from './engine.ts';
import { frameOf, seal, type Frame, type Session } from './frames.ts';
import type { Network, Recorded } from './network.ts';
import type { Radio } from './radio.ts';
import type { Dice } from './random.ts';

export interface AttackOptions {
  /** Mean time between two frames of an attacker, and between two recorded datagrams. */
  readonly framesEveryMs: number;
  readonly datagramsEveryMs: number;
  readonly until: number;
  /** The datagrams that are replayed; others are let be. */
  readonly kinds: readonly string[];
  /** Share of them that is held back, to be delivered later for the first time. */
  readonly heldBack: number;
  /** Replays only what it held back, and only when its sender is silent. */
  readonly patient: boolean;
  /** From then on, true ms, it meets a probe with an old answer to another one; it plays nothing else back. */
  readonly answersFrom?: number;
}

const FRAMES_KEPT = 200;
const DATAGRAMS_KEPT = 300;
const SILENT_MS = 400;

function flipped(frame: Frame, dice: Dice): Frame {
  const bit = 1 << dice.below(16);
  const part = dice.below(3);
  const { direction, devAddr, fcnt16, payload, mic } = frame;
  if (part === 0) return frameOf(direction, devAddr, fcnt16 ^ bit, payload, mic);
  if (part === 1) return frameOf(direction, devAddr, fcnt16, payload ^ bit, mic);
  return frameOf(direction, devAddr, fcnt16, payload, (mic ^ bit) >>> 0);
}

/** On air: replays, frames with a bit flipped, and a foreign mote with one of our addresses. */
export function attackRadio(
  engine: Engine,
  radio: Radio,
  dice: Dice,
  victims: readonly Session[],
  options: AttackOptions,
): void {
  const heard: Frame[] = [];
  radio.onUplink((frame) => {
    if (heard.length < FRAMES_KEPT) heard.push(frame);
    else heard[dice.below(FRAMES_KEPT)] = frame;
  });
  const foreign = victims.map((session) => ({ ...session, key: dice.bits() }));
  const strike = (): void => {
    if (engine.now > options.until) return;
    engine.after(options.framesEveryMs * dice.between(0.2, 1.8), strike);
    const frame = heard[dice.below(heard.length)];
    const stranger = foreign[dice.below(foreign.length)];
    const kind = dice.below(3);
    if (kind === 2 && stranger !== undefined)
      radio.up(seal(stranger, 'up', dice.below(1 << 16), dice.below(1 << 16)));
    else if (frame !== undefined) radio.up(kind === 0 ? frame : flipped(frame, dice));
  };
  engine.after(options.framesEveryMs, strike);
}

/**
 * In the network: what was ever sent, at any later time. What is held back arrives for the first time then, and a patient
 * attacker waits with it until its victim is silent.
 */
export function attackNetwork(engine: Engine, network: Network, dice: Dice, options: AttackOptions): void {
  const kept: Recorded[] = [];
  const { answersFrom } = options;
  const answer = (probe: Recorded): void => {
    const index = kept.findIndex(({ from, to }) => from === probe.to && to === probe.from);
    const [old] = index < 0 || dice.chance(0.5) ? [] : kept.splice(index, 1);
    if (old !== undefined)
      engine.after(dice.between(2, 20), () => {
        network.replay(old);
      });
  };
  const seenAt = new Map<string, number>();
  network.tap((datagram) => {
    if (datagram.kind === 'probe' && engine.now >= (answersFrom ?? Infinity)) answer(datagram);
    if (engine.now > options.until || !options.kinds.includes(datagram.kind)) return false;
    seenAt.set(datagram.from, engine.now);
    const held = dice.chance(options.heldBack);
    if (options.patient && !held) return false;
    if (kept.length < DATAGRAMS_KEPT) kept.push(datagram);
    else kept[dice.below(DATAGRAMS_KEPT)] = datagram;
    return held;
  });
  const choose = (): Recorded | undefined => {
    const index = dice.below(kept.length);
    const datagram = kept[index];
    if (!options.patient || datagram === undefined) return datagram;
    if (engine.now - (seenAt.get(datagram.from) ?? 0) < SILENT_MS) return undefined;
    kept.splice(index, 1);
    return datagram;
  };
  const strike = (): void => {
    if (engine.now > options.until) return;
    engine.after(options.datagramsEveryMs * dice.between(0.2, 1.8), strike);
    const datagram = choose();
    if (datagram !== undefined) network.replay(datagram);
  };
  if (answersFrom === undefined) engine.after(options.datagramsEveryMs, strike);
}
