import { setImmediate as turn } from 'node:timers/promises';
import { API_VERSION } from '@antirio/edgex-contracts';
import { createBackoff } from '@antirio/durable-work';
import { repeat, sleep, type Log, type Repeating } from '@antirio/host';
import { describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type { EventReader } from '../event-reader.ts';
import type { Arrival, Arrivals } from './arrivals.ts';
import type { ForwardingLogin, ForwardingRule, Progress, RuleStore, StoredRule } from './rules.ts';
import { isNotAllowed } from './destinations.ts';
import { isWithin, withRange } from './not-taken.ts';
import { openSink, type Outgoing, type Sink } from './sinks.ts';

/**
 * `forwarding`; `waiting`: the receiver does not take anything now; `notAllowed`: the receiver is in a network where this edge forwards
 * nothing to; `needsLogin`: it has to be given again after a start; `revoked`: the receiver refuses the login, nothing more is sent until
 * there is another one; `ended`: everything up to its end is done with.
 */
export type ForwardingState = 'forwarding' | 'waiting' | 'notAllowed' | 'needsLogin' | 'revoked' | 'ended';

export interface ForwardingStatus extends Omit<Progress, 'notTaken'> {
  readonly id: string;
  readonly state: ForwardingState;
  /** Readings of all devices that arrived since the last one that is done with. */
  readonly behind: number;
  readonly username: string | undefined;
  readonly lastError: string | undefined;
}

/** Sends what arrives to one receiver: each event at least once, those of one device in their order. */
export interface Forwarder {
  status(): ForwardingStatus;
  /** Another login; undefined where it goes without. */
  login(login: ForwardingLogin | undefined): void;
  /** Ends once everything up to there is done with. */
  endAt(place: number): void;
  /** Of its devices nothing that arrived up to there is still to be sent. */
  doneThrough(): number;
  /** Whether the receiver has taken an event of its devices. */
  hasTaken(place: number): boolean;
  poke(): void;
  stop(): Promise<void>;
}

export interface ForwarderPorts {
  /** Hosts that need not be public ones for this rule; undefined: it may go anywhere. */
  readonly hosts: readonly string[] | undefined;
  readonly arrivals: Pick<Arrivals, 'newest' | 'oldest' | 'page'>;
  readonly reader: Pick<EventReader, 'eventAt'>;
  readonly settled: () => Promise<void>;
  readonly store: RuleStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const POLL_MS = 200;
/** Of different devices, under way at once. */
const AT_ONCE = 8;
/** Events between two notes of how far it has come: so many, or a page, may come twice after a kill. */
const NOTED_EVERY = 100;
const REFUSALS = 5;
const BACKOFF = { firstDelayMs: 250, maxDelayMs: 30_000 };

function bodyOf({ devicePrefix, stripPrefix }: ForwardingRule, event: string): string {
  const own =
    stripPrefix && devicePrefix !== ''
      ? // inside of a text the quotes would be escaped: these are the fields themselves
        event
          .replaceAll(`"deviceName":"${devicePrefix}`, '"deviceName":"')
          .replaceAll(`"profileName":"${devicePrefix}`, '"profileName":"')
      : event;
  return `{"apiVersion":"${API_VERSION}","event":${own}}`;
}

export function createForwarder(stored: StoredRule, ports: ForwarderPorts): Forwarder {
  const { id, rule } = stored;
  const { arrivals, reader, settled, store, random } = ports;
  const log = ports.log.child({ forwarding: id });
  const backoff = createBackoff(BACKOFF, random);
  const ending = new AbortController();
  let progress = stored.progress;
  let endsAt = stored.endsAt ?? Infinity;
  let known: ForwardingLogin | undefined;
  let state: ForwardingState = rule.needsLogin ? 'needsLogin' : 'forwarding';
  let lastError: string | undefined;
  let sink: Sink | undefined;
  // while it is open the store gives no place anew: what is known of those that are left stays true
  let isSame = false;
  // an attempt belongs to the login that it was made with
  let generation = 0;

  const isWanted = (device: string): boolean => device.startsWith(rule.devicePrefix);
  const note = (change: Partial<Progress>): void => {
    progress = { ...progress, ...change };
    store.progress(id, progress);
  };
  const notTaken = (from: number, through: number): Progress => ({
    ...progress,
    notTaken: withRange(progress.notTaken, [from, through]),
  });
  const forget = async (): Promise<void> => {
    const old = sink;
    sink = undefined;
    await old?.close();
  };
  const isIdle = (): boolean => state === 'needsLogin' || state === 'revoked' || state === 'ended';
  const failed = (error: unknown): void => {
    lastError = describeError(error);
    const next = isNotAllowed(error) ? 'notAllowed' : 'waiting';
    if (isIdle() || state === next) return;
    state = next;
    log.warn({ error: lastError }, 'readings wait until they are taken');
  };
  const taken = (): void => {
    if (state === 'waiting' || state === 'notAllowed') {
      state = 'forwarding';
      lastError = undefined;
      log.info('readings are taken again');
    }
  };
  /** One attempt. @throws AntirioError forbidden where the login is refused */
  const attempt = async (outgoing: Outgoing): Promise<'sent' | 'refused' | 'later'> => {
    try {
      sink ??= openSink(rule, known, ports);
      await sink.send(outgoing);
      taken();
      return 'sent';
    } catch (error) {
      if (isAntirioError(error, 'forbidden')) throw error;
      failed(error);
      return isAntirioError(error, 'invalidInput') ? 'refused' : 'later';
    }
  };
  /** Until it is taken, or refused for good; `stopped` where it is to be tried after the next start. */
  const send = async (arrival: Arrival, mine: number): Promise<'sent' | 'refused' | 'stopped'> => {
    const event = await reader.eventAt(arrival.table, arrival.id);
    // deleted by somebody, who does not want it to go anywhere
    if (event === undefined) return 'sent';
    const device = rule.stripPrefix ? arrival.device.slice(rule.devicePrefix.length) : arrival.device;
    const outgoing = { id: arrival.uuid, device, body: bodyOf(rule, event) };
    for (let attempts = 1, refusals = 0; !ending.signal.aborted && mine === generation; attempts++) {
      const outcome = await attempt(outgoing);
      if (outcome === 'sent') return 'sent';
      if (outcome === 'refused') refusals += 1;
      if (refusals >= REFUSALS) {
        log.error({ event: arrival.uuid, error: lastError }, 'a reading is refused and given up');
        taken();
        return 'refused';
      }
      await sleep(backoff(attempts), ending.signal);
    }
    return 'stopped';
  };
  /** Those of one device one after the other, several devices at once. Whether all are done with. */
  const sendAll = async (batch: readonly Arrival[], mine: number): Promise<boolean> => {
    const queues = [...Map.groupBy(batch, ({ device }) => device).values()];
    let [sent, refused, all] = [0, 0, true];
    const work = async (): Promise<void> => {
      for (let queue = queues.shift(); queue !== undefined; queue = queues.shift())
        for (const arrival of queue) {
          const outcome = await send(arrival, mine);
          if (outcome === 'sent') sent += 1;
          else if (outcome === 'refused') {
            refused += 1;
            progress = notTaken(arrival.id, arrival.id);
          } else {
            all = false;
            return;
          }
        }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    if (all) progress = { ...progress, sent: progress.sent + sent, refused: progress.refused + refused };
    return all;
  };
  /** Gives up the oldest where too many wait, and what has left the store before its turn. */
  const makeRoom = async (newest: number): Promise<void> => {
    const oldest = (await arrivals.oldest()) ?? newest + 1;
    const least = Math.max(oldest - 1, newest - rule.maxWaiting);
    if (progress.cursor >= least || progress.cursor >= newest) return;
    const dropped = least - progress.cursor;
    log.error({ dropped, before: least }, 'ALARM: readings are given up before they were forwarded');
    const given = notTaken(progress.cursor + 1, least);
    note({ ...given, cursor: least, dropped: progress.dropped + dropped });
  };
  const page = async (through: number, mine: number): Promise<boolean> => {
    const found = await arrivals.page(progress.cursor, through, isWanted);
    for (let i = 0; i < found.arrivals.length; i += NOTED_EVERY) {
      const batch = found.arrivals.slice(i, i + NOTED_EVERY);
      if (!(await sendAll(batch, mine))) return false;
      note({ cursor: batch.at(-1)?.id ?? progress.cursor });
    }
    // what is of nobody's concern is passed over again after a kill
    progress = { ...progress, cursor: Math.max(progress.cursor, found.through) };
    return true;
  };
  const forward = async (mine: number): Promise<void> => {
    const newest = arrivals.newest();
    // the newest were deleted, or the store was begun anew: what comes next may have their places
    if (newest < progress.cursor)
      note({ cursor: newest, ...(isSame ? {} : { since: newest, notTaken: [] }) });
    isSame = true;
    if (newest > progress.cursor) {
      // what is not on the disk yet may never be, and another event have its place
      await settled();
      await makeRoom(newest);
      const through = Math.min(newest, endsAt);
      while (progress.cursor < through) {
        if (!(await page(through, mine))) return;
        await turn();
      }
      note({});
    }
    if (progress.cursor >= endsAt) {
      state = 'ended';
      await forget();
    }
  };
  const round = async (): Promise<void> => {
    if (isIdle()) return;
    const mine = generation;
    try {
      await forward(mine);
    } catch (error) {
      if (!isAntirioError(error, 'forbidden')) throw error;
      if (mine !== generation) return;
      state = 'revoked';
      lastError = describeError(error);
      log.error(
        { username: known?.username, why: lastError },
        'ALARM: the receiver of readings refuses the login',
      );
      await forget();
    }
  };
  const loop: Repeating = repeat(`forwarding ${id}`, POLL_MS, log, round);
  return {
    status() {
      const { notTaken: _, ...shown } = progress;
      return {
        ...{ id, state, ...shown, username: known?.username, lastError },
        behind: Math.max(0, Math.min(arrivals.newest(), endsAt) - progress.cursor),
      };
    },
    login(login) {
      if (JSON.stringify(login) === JSON.stringify(known) && state !== 'needsLogin') return;
      known = login;
      generation += 1;
      if (state !== 'ended') state = rule.needsLogin && login === undefined ? 'needsLogin' : 'forwarding';
      lastError = undefined;
      forget().catch((error: unknown) => log.debug({ error: describeError(error) }, 'not closed'));
      loop.poke();
    },
    endAt(place) {
      if (endsAt <= place) return;
      endsAt = place;
      store.put({ ...stored, endsAt, progress });
      loop.poke();
    },
    doneThrough: () => (state === 'ended' ? Infinity : progress.cursor),
    hasTaken: (place) =>
      place > progress.since && place <= progress.cursor && !isWithin(progress.notTaken, place),
    poke: () => loop.poke(),
    async stop() {
      ending.abort();
      await loop.stop();
      await forget();
    },
  };
}
