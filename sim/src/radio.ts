import type { Engine } from './engine.ts';
import type { Frame } from './frames.ts';
import type { Dice } from './random.ts';
import type { Trace } from './trace.ts';

/** What a gateway does with what it hears. */
export interface Ear {
  readonly name: string;
  /** Share of frames that it misses. */
  loss: number;
  hear(frame: Frame): void;
}

/** A downlink on air, with what the sender's fence knew of it. */
export interface Emission {
  readonly at: number;
  readonly edge: string;
  readonly epoch: number;
  readonly devAddr: string;
  readonly fcnt: number;
  readonly frame: Frame;
}

/** The air: every gateway and every mote may hear what anybody sends. */
export interface Radio {
  ears: Ear[];
  up(frame: Frame): void;
  down(emission: Emission): void;
  onUplink(listen: (frame: Frame) => void): void;
  onDownlink(listen: (emission: Emission) => void): void;
}

const TIME_ON_AIR_MS = 60;

export function createRadio(engine: Engine, trace: Trace, dice: Dice): Radio {
  const uplinkListeners: ((frame: Frame) => void)[] = [];
  const downlinkListeners: ((emission: Emission) => void)[] = [];
  const ears: Ear[] = [];
  return {
    ears,
    up(frame) {
      trace.note('air', 'uplink', () => frame.bytes, 'fine');
      for (const listen of uplinkListeners) listen(frame);
      for (const ear of ears) if (!dice.chance(ear.loss)) engine.after(TIME_ON_AIR_MS, () => ear.hear(frame));
    },
    down(emission) {
      trace.note(
        'air',
        'downlink',
        () =>
          `by ${emission.edge} under epoch ${emission.epoch}, FCntDown ${emission.fcnt} to ${emission.devAddr}`,
        'fine',
      );
      for (const listen of downlinkListeners) listen(emission);
    },
    onUplink: (listen) => void uplinkListeners.push(listen),
    onDownlink: (listen) => void downlinkListeners.push(listen),
  };
}
