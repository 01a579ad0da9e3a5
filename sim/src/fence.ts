import {
  MAX_DOWNLINK_LEAD_MS,
  passedAhead,
  startedUnder,
  underEpoch,
  type actsFrom,
  type CounterBlock,
  type CounterMarks,
  type Desired,
  type DownlinkRefusal,
  type Fence,
  type judgeDownlink,
  type judgeLentDownlink,
  type LentRefusal,
  type Loan,
} from '@antirio/service-contract';
import type { Engine } from './engine.ts';
import type { Frame } from './frames.ts';
import type { Gateway } from './gateway.ts';
import type { Host } from './host.ts';

/** What the fence keeps on the disk: the set, which is shut after a start, and what every counter was used for. */
export interface FenceDisk {
  devAddrs: readonly string[];
  epoch: number;
  slot: number;
  readonly marks: Map<string, { highest: number; readonly hashes: Map<number, string> }>;
}

export const emptyFence = (): FenceDisk => ({ devAddrs: [], epoch: 0, slot: 0, marks: new Map() });

export interface FencePorts {
  readonly engine: Engine;
  readonly host: Host;
  readonly gateway: Gateway;
  readonly disk: FenceDisk;
  readonly judge: typeof judgeDownlink;
  readonly actsFrom: typeof actsFrom;
  /** Between the last check and the gateway's socket, ms, at most. */
  readonly socketMs: number;
  /** The fence is open for this epoch from that true time on. */
  readonly onMayAct: (epoch: number, from: number) => void;
}

/** The edge's last check before its gateway. In memory but for the marks: after a start it is shut. */
export interface SimFence {
  set(devAddrs: readonly string[], wanted: Desired['fence']): void;
  grant(devAddr: string, block: CounterBlock): void;
  /** Brings a downlink to the gateway for that true time, or for at once, or says why not. */
  pass(
    frame: Frame,
    fcnt: number,
    airAt: number | undefined,
    answer: (refusal: DownlinkRefusal | undefined) => void,
  ): void;
  /** Brings an own downlink past this fence, for another edge's gateway: the epoch, undefined where it is refused. */
  lend(frame: Frame, airAt: number, isChecked: boolean, answer: (epoch: number | undefined) => void): void;
  /** Brings a downlink of another edge to this one's gateway. */
  passLent(
    loan: Loan,
    judge: typeof judgeLentDownlink,
    frame: Frame,
    airAt: number,
    answer: (refusal: LentRefusal | 'gateway' | undefined) => void,
  ): void;
  /** Highest FCntDown used, by DevAddr. */
  highest(devAddr: string): number | undefined;
}

interface Window {
  readonly actFrom: number;
  readonly actUntil: number;
}

const BLOCKS_KEPT = 32;
/** Hashes of each device, as the product keeps them. */
const REMEMBERED = 64;

export function createFence(ports: FencePorts): SimFence {
  const { engine, host, gateway, disk, judge, onMayAct } = ports;
  const { clock } = host;
  const { marks } = disk;
  let open: Window | undefined;
  let blocks = new Map<string, CounterBlock[]>();
  let air = startedUnder(disk.epoch, clock.monotonic());

  const marksOf = (devAddr: string): CounterMarks => {
    const known = marks.get(devAddr);
    return { highest: known?.highest, hashOf: (fcnt) => known?.hashes.get(fcnt) };
  };
  const fenceOf = (devAddr: string): Fence => {
    const known = marksOf(devAddr);
    if (!disk.devAddrs.includes(devAddr)) return { kind: 'free', marks: known };
    const { actFrom = 0, actUntil = 0 } = open ?? {};
    const granted = blocks.get(devAddr) ?? [];
    return {
      kind: 'set',
      open: open !== undefined,
      slot: disk.slot,
      actFrom,
      actUntil,
      blocks: granted,
      marks: known,
    };
  };
  const mark = (devAddr: string, fcnt: number, hash: string): void => {
    const known = marks.get(devAddr) ?? { highest: fcnt, hashes: new Map<number, string>() };
    marks.set(devAddr, known);
    known.highest = Math.max(known.highest, fcnt);
    known.hashes.set(fcnt, hash);
    if (known.hashes.size > REMEMBERED) known.hashes.delete(Math.min(...known.hashes.keys()));
  };
  const verdictOf = (frame: Frame, airAt: number | undefined) => (): ReturnType<typeof judgeDownlink> => {
    const { devAddr, fcnt16, bytes: hash } = frame;
    // the gateway's clock as the bridge knows it, compared at every uplink: as good as true
    return judge(
      fenceOf(devAddr),
      { fcnt16, hash, aheadMs: airAt === undefined ? undefined : airAt - engine.now },
      clock.monotonic(),
    );
  };
  /** Checked, marked on the disk, and checked again. */
  const past = <R extends LentRefusal>(
    { devAddr, bytes }: Frame,
    verdict: () => { allowed: true; fcnt: number } | { allowed: false; reason: R },
    answer: (refusal: R | undefined) => void,
  ): void => {
    const first = verdict();
    if (!first.allowed) {
      answer(first.reason);
      return;
    }
    // a counter whose mark is not on the disk does not leave
    const unmarked = 'shut' as R;
    if (host.full) {
      answer(unmarked);
      return;
    }
    mark(devAddr, first.fcnt, bytes);
    host.after(host.fsyncMs(), () => {
      if (host.full) {
        answer(unmarked);
        return;
      }
      host.wrote('counter mark');
      const second = verdict();
      answer(second.allowed ? undefined : second.reason);
    });
  };
  const openFor = (
    devAddrs: readonly string[],
    wanted: Extract<Desired['fence'], { state: 'open' }>,
  ): void => {
    const { epoch, slot, actUntil } = wanted;
    if (epoch < disk.epoch) return;
    const isNew = disk.epoch !== epoch || disk.slot !== slot || disk.devAddrs.length === 0;
    if (isNew && host.full) return;
    air = underEpoch(air, epoch);
    const actFrom = ports.actsFrom(air, wanted.actFrom);
    if (isNew) {
      blocks = new Map();
      Object.assign(disk, { devAddrs, epoch, slot });
      host.wrote('fence set');
    }
    open = { actFrom, actUntil };
    const from = Math.max(clock.monotonic(), actFrom);
    if (from < actUntil) onMayAct(epoch, Math.max(engine.now, clock.trueTime(from)));
  };
  return {
    set(devAddrs, wanted) {
      if (wanted.state === 'open') {
        openFor(devAddrs, wanted);
        return;
      }
      open = undefined;
      if (disk.devAddrs.length > 0 || host.full) return;
      disk.devAddrs = devAddrs;
      host.wrote('fence set');
    },
    grant(devAddr, block) {
      if (disk.devAddrs.includes(devAddr))
        blocks.set(devAddr, [...(blocks.get(devAddr) ?? []), block].slice(-BLOCKS_KEPT));
    },
    highest: (devAddr) => marks.get(devAddr)?.highest,
    pass(frame, fcnt, airAt, answer) {
      const { devAddr } = frame;
      past(frame, verdictOf(frame, airAt), (refusal) => {
        if (refusal !== undefined) {
          answer(refusal);
          return;
        }
        const fenced = disk.devAddrs.includes(devAddr);
        if (fenced && airAt !== undefined) air = passedAhead(air, airAt - engine.now, clock.monotonic());
        const epoch = fenced ? disk.epoch : 0;
        const transmit = (): void => {
          gateway.transmit(airAt, { edge: host.name, epoch, devAddr, fcnt, frame }, (sent) => {
            answer(sent ? undefined : 'tooLate');
          });
        };
        if (ports.socketMs > 0) host.after(host.dice.between(0, ports.socketMs), transmit);
        else transmit();
      });
    },
    lend(frame, airAt, isChecked, answer) {
      if (!disk.devAddrs.includes(frame.devAddr)) {
        answer(undefined);
        return;
      }
      if (!isChecked) {
        answer(disk.epoch);
        return;
      }
      past(frame, verdictOf(frame, airAt), (refusal) => {
        if (refusal === undefined) air = passedAhead(air, MAX_DOWNLINK_LEAD_MS, clock.monotonic());
        answer(refusal === undefined ? disk.epoch : undefined);
      });
    },
    passLent(loan, judgeLent, frame, airAt, answer) {
      const { devAddr, fcnt16, bytes: hash } = frame;
      const { epoch, fcnt } = loan;
      const verdict = (): ReturnType<typeof judgeLentDownlink> => {
        const known = { open: open !== undefined, epoch: disk.epoch, marks: marksOf(devAddr) };
        return judgeLent(known, loan, { fcnt16, hash, aheadMs: airAt - engine.now }, clock.monotonic());
      };
      past(frame, verdict, (refusal) => {
        if (refusal !== undefined) {
          answer(refusal);
          return;
        }
        air = passedAhead(air, airAt - engine.now, clock.monotonic());
        // whose word it is: the gateway's edge has none
        gateway.transmit(airAt, { edge: 'A', epoch, devAddr, fcnt, frame }, (sent) => {
          answer(sent ? undefined : 'gateway');
        });
      });
    },
  };
}
