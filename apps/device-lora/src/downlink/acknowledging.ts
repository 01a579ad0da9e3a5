import type { Clock } from '@antirio/kernel';
import type { HeardUplink } from '../uplink/reader.ts';
import type { Session } from '../uplink/sessions.ts';
import type { DownCounters } from './counters.ts';
import type { Desk } from './desk.ts';
import type { Downlink, DownlinkStore, SentAfter } from './store.ts';

/**
 * Whose downlink a device acknowledges. The bit in its uplink names no counter: it is for the confirmed downlink that the device
 * heard last, whoever sent that. So it is taken for ours only where nobody else can have sent one: where it is in the very next uplink
 * of a device that listens after each only once; or where the uplink before ours, and one at or after the acknowledgement, came while
 * this edge held one and the same right to act. Of an acknowledgement that comes while it holds none, or before that is known, as after
 * a start, the next uplink under the same right decides.
 */
export interface Acknowledging {
  /** A new frame of a device. */
  heard(heard: HeardUplink): void;
}

export interface AcknowledgingPorts {
  readonly store: Pick<DownlinkStore, 'open' | 'undecided' | 'update'>;
  readonly desk: Pick<Desk, 'end' | 'count'>;
  readonly counters: Pick<DownCounters, 'proved'>;
  readonly clock: Pick<Clock, 'now'>;
}

export const ANOTHERS =
  'the device acknowledged a downlink, but another edge may have sent that one: this edge has not acted all the time since';

/** As the gateway-bridge tells it while this edge may not act. */
const NOBODY = '';

type Verdict = 'ours' | 'anothers' | 'unknown';

/** Whether a device's acknowledgement is surely for this downlink, by the uplink that it is in or a later one. */
function judge(
  { tenure, aloneAfter }: Downlink,
  { frame, fcnt, uplink: { tenure: told } }: HeardUplink,
): Verdict {
  if (frame.ack && fcnt - 1 === aloneAfter) return 'ours';
  // bridges of older versions tell nothing
  if (told === undefined || tenure === undefined) return told === tenure ? 'ours' : 'anothers';
  if (tenure === NOBODY) return 'anothers';
  if (told === NOBODY) return 'unknown';
  return told === tenure ? 'ours' : 'anothers';
}

/** Whether the frame was sent after the downlink, as far as counters and this host's clock tell. */
function isLater({ after, updatedAt }: Downlink, { session, fcnt, uplink }: HeardUplink): boolean {
  if (after !== undefined && fcnt <= after) return false;
  // one that listens in its windows only heard it before its next uplink
  const isOrdered = after !== undefined && session.device.class === 'A';
  return isOrdered || uplink.receivedAt >= updatedAt;
}

export function createAcknowledging(ports: AcknowledgingPorts): Acknowledging {
  const { store, desk, counters, clock } = ports;
  const undecided = new Set(store.undecided());

  /** Confirmed ones that were sent in the session, the newest first. */
  const awaited = ({ id, device }: Session): Downlink[] =>
    store
      .open(device.devEui)
      .filter(({ confirmed, bytes, session }) => confirmed && bytes !== undefined && (session ?? id) === id)
      .sort((a, b) => (b.fcnt ?? 0) - (a.fcnt ?? 0));
  const settle = (sent: readonly Downlink[], newest: Downlink, heard: HeardUplink): void => {
    const { devAddr, device } = heard.session;
    const { devEui } = device;
    const verdict = judge(newest, heard);
    if (verdict === 'unknown') {
      undecided.add(devEui);
      if (!newest.ackHeard) store.update(newest.id, { ackHeard: true }, clock.now());
      return;
    }
    undecided.delete(devEui);
    if (verdict === 'anothers') {
      desk.count('acknowledgedUnsure');
      store.update(newest.id, { ackHeard: false, error: ANOTHERS }, clock.now());
      return;
    }
    desk.end(newest, 'acknowledged');
    const surely = sent.at(-1)?.fcnt;
    if (surely !== undefined) counters.proved(devAddr, surely);
  };
  return {
    heard(heard) {
      const { session, frame } = heard;
      if (!frame.ack && !undecided.has(session.device.devEui)) return;
      const sent = awaited(session);
      const [newest] = sent;
      if (newest === undefined) undecided.delete(session.device.devEui);
      else if (newest.ackHeard || (frame.ack && isLater(newest, heard))) settle(sent, newest, heard);
    },
  };
}

/** The same bytes are to go once more, after `now`. Durable when it returns. */
export function noteSentAgain(
  { store, clock }: Pick<AcknowledgingPorts, 'store' | 'clock'>,
  { id, ...before }: Downlink,
  { after = -1, tenure }: SentAfter,
): void {
  const isSame = before.tenure === tenure;
  // a device that began to count anew is below what it had counted to
  const first = isSame ? Math.min(before.after ?? after, after) : after;
  if (isSame && first === before.after) return;
  store.update(id, { after: first, tenure, ackHeard: isSame && before.ackHeard }, clock.now());
}
