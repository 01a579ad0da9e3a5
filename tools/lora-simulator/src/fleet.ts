import type { Mote } from './mote.ts';
import { SimulatorError } from './errors.ts';

/** The motes, by what others call them. DevAddrs change with each join, and two motes may be given the same. */
export interface Fleet {
  /** Motes whose session has this DevAddr. */
  withAddress(devAddr: string): readonly Mote[];
  byEui(devEui: string): Mote | undefined;
  /** By DevEUI or name. Throws `unknownMote`. */
  named(name: string): Mote;
  /** Motes whose JoinRequest is out. */
  joining(): readonly Mote[];
  /** A JoinRequest of this mote is out. */
  asks(mote: Mote): void;
  /** It lost its session, whose DevAddr was this. */
  left(mote: Mote, devAddr: string | undefined): void;
  joined(mote: Mote): void;
}

const NONE: readonly Mote[] = [];

export function createFleet(motes: readonly Mote[]): Fleet {
  const euis = new Map(motes.map((mote) => [mote.device.devEui, mote]));
  const names = new Map(motes.map((mote) => [mote.device.name, mote]));
  const addresses = new Map<string, Mote[]>();
  const asking = new Set<Mote>();

  const enter = (mote: Mote): void => {
    const devAddr = mote.session?.devAddr;
    if (devAddr !== undefined) addresses.set(devAddr, [...(addresses.get(devAddr) ?? NONE), mote]);
  };
  for (const mote of motes) enter(mote);
  return {
    withAddress: (devAddr) => addresses.get(devAddr) ?? NONE,
    byEui: (devEui) => euis.get(devEui),
    named(name) {
      const mote = euis.get(name.toLowerCase()) ?? names.get(name);
      if (mote === undefined) throw new SimulatorError('unknownMote', `there is no mote ${name}`);
      return mote;
    },
    joining: () => [...asking],
    asks: (mote) => asking.add(mote),
    left(mote, devAddr) {
      if (devAddr === undefined) return;
      const others = (addresses.get(devAddr) ?? NONE).filter((other) => other !== mote);
      if (others.length === 0) addresses.delete(devAddr);
      else addresses.set(devAddr, others);
    },
    joined(mote) {
      asking.delete(mote);
      enter(mote);
    },
  };
}
