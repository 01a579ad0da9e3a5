import type { Engine } from './engine.ts';
import type { Frame } from './frames.ts';
import type { Host } from './host.ts';
import type { Ear, Emission, Radio } from './radio.ts';
import type { Dice } from './random.ts';

/** The edge's side of a gateway: `push` calls back once the frame is acknowledged. */
export interface Bridge {
  push(frame: Frame, acknowledge: () => void): void;
}

export interface Gateway extends Ear {
  /** Without power: it hears nothing, sends nothing and keeps nothing alive. */
  dead: boolean;
  /** How long ago its edge heard of it, ms; it tells that it lives all the time. */
  silentMs(): number;
  /** Takes a downlink for that moment of its own clock, and refuses what comes too late; without a moment it sends at once. */
  transmit(at: number | undefined, emission: Omit<Emission, 'at'>, answer: (sent: boolean) => void): void;
}

export interface GatewayPorts {
  readonly engine: Engine;
  readonly radio: Radio;
  readonly dice: Dice;
  readonly host: Host;
  readonly bridge: () => Bridge | undefined;
  readonly onCovered: (frame: Frame) => void;
  /** Where it pushes what it hears as well. */
  readonly alsoTo: ((frame: Frame) => void) | undefined;
}

/** A packet forwarder beside its edge: a device of its own, which goes on when the edge dies. */
export function createGateway(name: string, loss: number, ports: GatewayPorts): Gateway {
  const { engine, radio, dice, host } = ports;
  const wire = (): number => dice.between(0.5, 3);
  let diedAt = 0;
  let dead = false;
  return {
    name,
    loss,
    get dead() {
      return dead;
    },
    set dead(is) {
      if (is && !dead) diedAt = engine.now;
      dead = is;
    },
    silentMs: () => (dead ? engine.now - diedAt : 0),
    hear(frame) {
      if (dead) return;
      ports.alsoTo?.(frame);
      engine.after(wire(), () => {
        host.arrive(() => ports.bridge()?.push(frame, () => ports.onCovered(frame)));
      });
    },
    transmit(at, emission, answer) {
      engine.after(wire(), () => {
        const airAt = at ?? engine.now;
        const sent = (at === undefined || at > engine.now) && !dead;
        if (sent) engine.at(airAt, () => radio.down({ ...emission, at: airAt }));
        engine.after(wire(), () => {
          host.arrive(() => {
            answer(sent);
          });
        });
      });
    },
  };
}
