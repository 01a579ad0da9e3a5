import { z } from 'zod';
import { isMoment } from './moment.ts';

/** Where a gateway says that it stands. */
export interface GatewayLocation {
  /** Degrees, north positive. */
  readonly latitude: number;
  /** Degrees, east positive. */
  readonly longitude: number;
  /** Metres. */
  readonly altitude: number;
}

/** A gateway's report of itself (PROTOCOL.TXT, section 4, `stat`): the counters are those since its last one. */
export interface GatewayStat {
  /** RFC 3339, UTC. */
  readonly time: string | undefined;
  readonly location: GatewayLocation | undefined;
  readonly rxReceived: number | undefined;
  /** With a CRC that holds. */
  readonly rxOk: number | undefined;
  readonly rxForwarded: number | undefined;
  /** Percent of its datagrams that were acknowledged. */
  readonly acknowledgedPercent: number | undefined;
  readonly downlinksReceived: number | undefined;
  readonly transmitted: number | undefined;
  /** Of the concentrator, degrees Celsius. */
  readonly temperature: number | undefined;
  /** What some forwarders tell of platform, contact and description. */
  readonly texts: Readonly<Record<string, string>>;
}

const count = z.int().min(0).max(0xffff_ffff).optional().catch(undefined);
const number = z.number().optional().catch(undefined);
const text = z.string().min(1).max(128).optional().catch(undefined);

// A field that cannot be read is as one that was not sent.
const statSchema = z.object({
  time: text,
  lati: z.number().min(-90).max(90).optional().catch(undefined),
  long: z.number().min(-180).max(180).optional().catch(undefined),
  alti: number,
  rxnb: count,
  rxok: count,
  rxfw: count,
  ackr: number,
  dwnb: count,
  txnb: count,
  temp: number,
  pfrm: text,
  mail: text,
  desc: text,
});

// ISO 8601 'expanded', such as `2014-01-12 08:59:28 GMT`
const EXPANDED = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?: ?(?:GMT|UTC|Z))$/;

function timeOf(text: string): string | undefined {
  const [, date, time] = EXPANDED.exec(text) ?? [];
  const moment = `${String(date)}T${String(time)}Z`;
  return date !== undefined && isMoment(moment) ? moment : undefined;
}

/** Reads a `stat`; what it does not say, or not in the form of the protocol, is undefined. */
export function readStat(value: Readonly<Record<string, unknown>>): GatewayStat {
  const { time, lati, long, alti = 0, pfrm, mail, desc, ...rest } = statSchema.parse(value);
  const located = lati !== undefined && long !== undefined;
  const texts = { platform: pfrm, mail, description: desc };
  return {
    time: timeOf(time ?? ''),
    location: located ? { latitude: lati, longitude: long, altitude: alti } : undefined,
    rxReceived: rest.rxnb,
    rxOk: rest.rxok,
    rxForwarded: rest.rxfw,
    acknowledgedPercent: rest.ackr,
    downlinksReceived: rest.dwnb,
    transmitted: rest.txnb,
    temperature: rest.temp,
    texts: Object.fromEntries(
      Object.entries(texts).flatMap(([name, told]) => (told === undefined ? [] : [[name, told]])),
    ),
  };
}
