import type { Engine } from './engine.ts';
import { seal, verifies, type Frame, type Session } from './frames.ts';
import type { Radio } from './radio.ts';
import { mix, type Dice } from './random.ts';
import type { Unheard } from './unheard.ts';

/** What a mote really sent: the truth that everything stored is compared with. */
export interface TrueUplink {
  readonly session: Session;
  readonly fcnt: number;
  readonly frame: Frame;
  readonly sentAt: number;
  /** An edge acknowledged it to its gateway. */
  covered: boolean;
}

export interface Mote {
  readonly session: Session;
  readonly everyMs: number;
  /** Downlinks that it took: counters only grow. */
  lastDown: number;
  downlinks: number;
}

export interface Motes {
  readonly motes: readonly Mote[];
  /** By the bytes of the frame. */
  readonly sent: ReadonlyMap<string, TrueUplink>;
  silence(): void;
}

export interface MoteOptions {
  readonly count: number;
  readonly everyMs: number;
  readonly retransmission: number;
  /** Of the first mote. */
  readonly unheard?: Pick<Unheard, 'from' | 'until'> | undefined;
}

/** A mote that misses as many downlinks hears none any more (LoRaWAN 1.0.x, MAX_FCNT_GAP). */
export const MAX_FCNT_GAP = 16_384;
const DOWNLINK_HEARD = 0.9;

function sessionOf(dice: Dice, index: number): Session {
  const key = dice.bits();
  const devAddr = (0x01000000 + index * 0x1111).toString(16).padStart(8, '0');
  const devEui = (0xa0 + index).toString(16).padStart(16, '0');
  return { devEui, devAddr, key, fingerprint: mix(key).toString(16).padStart(16, '0') };
}

export function createMotes(engine: Engine, radio: Radio, dice: Dice, options: MoteOptions): Motes {
  const sent = new Map<string, TrueUplink>();
  let silent = false;

  const live = (mote: Mote, first: number): void => {
    const { session } = mote;
    let fcnt = first;
    const send = (): void => {
      if (silent) return;
      const frame = { ...seal(session, 'up', fcnt, dice.below(1 << 16)), heard: mote.lastDown };
      sent.set(frame.bytes, { session, fcnt, frame, sentAt: engine.now, covered: false });
      fcnt += 1;
      radio.up(frame);
      if (dice.chance(options.retransmission))
        engine.after(dice.between(100, 0.7 * mote.everyMs), () => radio.up(frame));
      engine.after(mote.everyMs * dice.between(0.8, 1.2), send);
    };
    engine.after(dice.between(0, mote.everyMs), send);
  };
  const motes = Array.from({ length: options.count }, (_, i): Mote => {
    const everyMs = options.everyMs * dice.between(0.7, 1.3);
    const mote = { session: sessionOf(dice, i), everyMs, lastDown: -1, downlinks: 0 };
    // some are about to pass 16 bits
    live(mote, dice.chance(0.3) ? 65_536 - dice.below(30) : dice.below(200));
    return mote;
  });
  radio.onDownlink(({ frame, fcnt, devAddr }) => {
    const mote = motes.find((one) => one.session.devAddr === devAddr);
    if (mote === undefined || !dice.chance(DOWNLINK_HEARD)) return;
    const { unheard } = options;
    if (unheard !== undefined && mote === motes[0] && engine.now > unheard.from && engine.now < unheard.until)
      return;
    const gap = fcnt - mote.lastDown;
    if (gap <= 0 || gap >= MAX_FCNT_GAP || !verifies(frame, mote.session.key, fcnt)) return;
    mote.lastDown = fcnt;
    mote.downlinks += 1;
  });
  return {
    motes,
    sent,
    silence: () => {
      silent = true;
    },
  };
}
