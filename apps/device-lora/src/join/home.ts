import { AntirioError, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { sessionOfJoin, type EvidentJoin, type JoinFault, type JoinOnAir } from '@antirio/lorawan';
import { directoryOf } from '../directory.ts';
import { newStateOf } from '../mac/mac-layer.ts';
import type { AddressRange, DeviceLoraOptions, DeviceOptions } from '../options.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { Session } from '../uplink/sessions.ts';
import type { BroughtHome, JoinStore } from './store.ts';

/** A join that another edge answered in our place. */
export interface JoinComingHome extends JoinOnAir {
  /** Wall ms of that edge. */
  readonly at: number;
}

/** `outOfRange`: the address is not one that the contract names; others are as for `JoinFault` and `BroughtHome`. */
export type JoinHomeCounted = BroughtHome | JoinFault | 'outOfRange';

/** Takes the sessions that another edge made of our devices' joins, by their bytes alone. */
export interface JoinHome {
  /**
   * When it resolves, sessions and what they used up are on the disk, and the ring takes their addresses. The same again changes
   * nothing. What is refused leaves no trace.
   * @throws AntirioError unavailable while there are no keys, and what the ring does
   */
  take(
    range: AddressRange,
    coming: readonly JoinComingHome[],
  ): Promise<Readonly<Record<JoinHomeCounted, number>>>;
}

export interface JoinHomePorts {
  readonly options: DeviceLoraOptions;
  readonly joins: JoinStore;
  readonly sessions: () => SessionBook | undefined;
  readonly ensureRing: () => Promise<void>;
  /** What joins have made is told anew to who seals it. */
  readonly announce: () => void;
  readonly onOffered: (session: Session) => void;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

const NOTHING: Readonly<Record<JoinHomeCounted, number>> = {
  ...{ taken: 0, known: 0, replay: 0, badNonce: 0 },
  ...{ malformed: 0, unknown: 0, badMic: 0, badAccept: 0, outOfRange: 0 },
};

const isWithin = ({ first, last }: AddressRange, { devAddr }: EvidentJoin): boolean =>
  devAddr >= first && devAddr <= last;

export function createJoinHome(ports: JoinHomePorts): JoinHome {
  const { options, joins, clock, log } = ports;
  const { byEui } = directoryOf(options.devices);
  const keep = (book: SessionBook, join: EvidentJoin, device: DeviceOptions, at: number): BroughtHome => {
    const rule = device.macVersion === '1.0.4' ? 'counter' : 'random';
    // a clock that is ahead keeps no device waiting for longer
    const joinedAt = Math.min(at, clock.now());
    // it is kept from now on, whatever the clock there says: what was sent under it is yet to come
    const kept = joins.bringHome(join, { rule, at: clock.now() }, newStateOf(options, device));
    if (kept === 'taken') {
      const { devNonce, joinNonce, session, devEui, devAddr, nwkSKey, appSKey } = join;
      const made = { devNonce, joinNonce, session, devEui, devAddr, nwkSKey, appSKey };
      ports.onOffered(book.add({ ...made, state: 'offered', joinedAt, broughtHome: true }));
    }
    return kept;
  };
  const takeOne = (
    book: SessionBook,
    range: AddressRange,
    { at, ...onAir }: JoinComingHome,
  ): JoinHomeCounted => {
    const join = sessionOfJoin(onAir, (devEui) => book.rootKeyOf(devEui));
    if (typeof join === 'string') return join;
    const device = byEui.get(join.devEui);
    if (device === undefined) return 'unknown';
    return isWithin(range, join) ? keep(book, join, device, at) : 'outOfRange';
  };
  return {
    async take(range, coming) {
      const book = ports.sessions();
      if (book === undefined) throw new AntirioError('unavailable', 'the service has no keys yet');
      const counts = { ...NOTHING };
      for (const one of coming) {
        const what = takeOne(book, range, one);
        counts[what] += 1;
        if (what !== 'taken' && what !== 'known')
          log.warn({ what }, 'a join that another edge says it answered is not taken');
      }
      await ports.ensureRing();
      if (counts.taken > 0) log.info({ ...counts }, 'sessions of joins that another edge answered came home');
      // after a stop in between as well
      ports.announce();
      return counts;
    },
  };
}
