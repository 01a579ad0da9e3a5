import type { Agenda } from './agenda.ts';
import type { Clock } from './clock.ts';
import type { Gateway, Hearing } from './gateway.ts';
import type { Mote } from './mote.ts';
import type { InFlight } from './rxpk.ts';
import type { Transmission, TransmissionKind } from './transmission.ts';
import type { TruthLog, TxRecord } from './truth.ts';
import { airtimeMs } from './eu868.ts';

/** How many transmissions were on air, received by a gateway, and acknowledged to a gateway. */
export interface Tally {
  sent: number;
  heard: number;
  acked: number;
}

/** By kind; `uplink` counts each frame of a mote once. */
export type UplinkTotals = Readonly<Record<TransmissionKind, Tally>>;

/** The way from motes to gateways. */
export interface UplinkAir {
  readonly totals: UplinkTotals;
  /** When the last transmission so far ends, monotonic ms. */
  readonly lastEndMs: number;
  transmit(transmission: Transmission): void;
}

interface UplinkAirPorts {
  readonly clock: Clock;
  readonly agenda: Agenda;
  readonly truth: TruthLog;
  readonly moteByAddress: ReadonlyMap<string, Mote>;
  readonly gateways: ReadonlyMap<string, Gateway>;
}

interface Heard extends Hearing {
  readonly gateway: Gateway;
}

const datrOf = (spreadingFactor: number): string => `SF${spreadingFactor}BW125`;

function contentOf(transmission: Transmission): Omit<TxRecord, 'at' | 'wallNs' | 'airMs'> {
  const { id, frame, flippedBit } = transmission;
  return {
    type: 'tx',
    id,
    kind: transmission.kind,
    devEui: transmission.devEui,
    devAddr: transmission.devAddr,
    fcnt: frame.fcnt,
    fPort: frame.fPort,
    payload: frame.payload.toString('hex'),
    phyPayload: transmission.phyPayload.toString('hex'),
    confirmed: frame.confirmed,
    adr: frame.adr,
    ack: frame.ack,
    freqMhz: transmission.channel.freqMhz,
    datr: datrOf(transmission.spreadingFactor),
    ...(frame.firstTxId !== id && { ofTxId: frame.firstTxId }),
    ...(flippedBit !== undefined && { flippedBit }),
  };
}

function inFlight(id: number, tally: Tally): InFlight {
  let acked = false;
  return {
    id,
    acknowledged() {
      if (!acked) tally.acked += 1;
      acked = true;
    },
  };
}

/** Air in which each gateway hears or misses a frame by itself; frames do not disturb each other. */
export function createUplinkAir(ports: UplinkAirPorts): UplinkAir {
  const tally = (): Tally => ({ sent: 0, heard: 0, acked: 0 });
  const totals = {
    uplink: tally(),
    retransmission: tally(),
    replay: tally(),
    bitflip: tally(),
    foreign: tally(),
  };
  let lastEndMs = -Infinity;

  const deliver = (transmission: Transmission, endMs: number, hearings: readonly Heard[]): void => {
    const { id, kind, phyPayload, channel, spreadingFactor } = transmission;
    if (hearings.length > 0) totals[kind].heard += 1;
    const tx = inFlight(id, totals[kind]);
    for (const { gateway, rssi, snr } of hearings) {
      gateway.receive({ tx, phyPayload, channel, spreadingFactor, endMs, rssi, snr });
    }
  };
  return {
    totals,
    get lastEndMs() {
      return lastEndMs;
    },
    transmit(transmission) {
      const { kind, phyPayload, spreadingFactor, channel, devAddr } = transmission;
      const at = ports.clock.monoMs();
      const airMs = airtimeMs(spreadingFactor, phyPayload.length, true);
      const endMs = at + airMs;
      lastEndMs = Math.max(lastEndMs, endMs);
      totals[kind].sent += 1;
      const wallNs = String(ports.clock.wallNs(at));
      ports.truth.append({ ...contentOf(transmission), airMs, at, wallNs });
      if (kind === 'uplink' || kind === 'retransmission') {
        const radio = { freqMhz: channel.freqMhz, datr: datrOf(spreadingFactor) };
        ports.moteByAddress.get(devAddr)?.reception.listenAfter(endMs, radio);
      }
      // All gateways draw now, in the order on air, so that what they hear follows from the seed.
      const hearings = [...ports.gateways.values()].map((gateway) => ({ gateway, ...gateway.hear() }));
      const heard = hearings.filter((hearing) => hearing.heard);
      ports.agenda.at(endMs, () => deliver(transmission, endMs, heard));
    },
  };
}
