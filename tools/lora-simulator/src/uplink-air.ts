import type { Agenda } from './agenda.ts';
import type { Clock } from './clock.ts';
import type { Fleet } from './fleet.ts';
import type { Gateway, Hearing } from './gateway.ts';
import type { Propagation } from './propagation.ts';
import type { Incoming } from './receiver.ts';
import type { InFlight } from './rxpk.ts';
import type { DataTransmission, JoinTransmission, Transmission } from './transmission.ts';
import type { JoinRequestRecord, TruthLog, TxRecord } from './truth.ts';
import { airtimeMs, datrOf, JOIN_RX2_DELAY_MS, RX2_DELAY_MS } from './eu868.ts';

/** How many transmissions were on air, received by a gateway, and acknowledged to a gateway. */
export interface Tally {
  sent: number;
  heard: number;
  acked: number;
}

/** By kind; `uplink` counts each frame of a mote once. */
export type UplinkTotals = Readonly<Record<Transmission['kind'], Tally>>;

/** The way from motes to gateways. */
export interface UplinkAir {
  readonly totals: UplinkTotals;
  /** When the receive windows of every transmission so far are over, monotonic ms. */
  readonly windowsEndMs: number;
  transmit(transmission: Transmission): void;
}

interface UplinkAirPorts {
  readonly clock: Clock;
  readonly agenda: Agenda;
  readonly truth: TruthLog;
  readonly fleet: Fleet;
  readonly propagation: Propagation;
  readonly gateways: ReadonlyMap<string, Gateway>;
}

interface Heard extends Hearing {
  readonly gateway: Gateway;
  readonly incoming: Incoming;
}

interface OnAir {
  readonly at: number;
  readonly wallNs: string;
  readonly airMs: number;
}

function dataRecord(transmission: DataTransmission, onAir: OnAir): TxRecord {
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
    ...(frame.fOpts !== undefined && { fOpts: frame.fOpts.toString('hex') }),
    ...(frame.session !== undefined && { session: frame.session }),
    ...onAir,
  };
}

function joinRecord(transmission: JoinTransmission, onAir: OnAir): JoinRequestRecord {
  const { id, kind, devEui, request } = transmission;
  return {
    ...{ type: 'joinRequest', id, kind, devEui },
    ...{ joinEui: request.joinEui, devNonce: request.devNonce, attempt: request.attempt },
    phyPayload: transmission.phyPayload.toString('hex'),
    freqMhz: transmission.channel.freqMhz,
    datr: datrOf(transmission.spreadingFactor),
    ...(request.firstTxId !== id && { ofTxId: request.firstTxId }),
    ...onAir,
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

/** Air in which each gateway hears or misses a frame by itself. */
export function createUplinkAir(ports: UplinkAirPorts): UplinkAir {
  const tally = (): Tally => ({ sent: 0, heard: 0, acked: 0 });
  const totals = {
    uplink: tally(),
    retransmission: tally(),
    replay: tally(),
    bitflip: tally(),
    foreign: tally(),
    joinRequest: tally(),
    joinReplay: tally(),
  };
  let windowsEndMs = -Infinity;

  // Its mote listens after it; gives how long. Whoever copies a frame listens too, as far as a drain is concerned.
  const listen = (transmission: Transmission, endMs: number): number => {
    const { kind, channel, spreadingFactor, devEui } = transmission;
    const isJoin = kind === 'joinRequest' || kind === 'joinReplay';
    const isOwn = kind === 'uplink' || kind === 'retransmission' || kind === 'joinRequest';
    const mote = isOwn ? ports.fleet.byEui(devEui) : undefined;
    if (mote === undefined) return isJoin ? JOIN_RX2_DELAY_MS : RX2_DELAY_MS;
    const radio = { freqMhz: channel.freqMhz, datr: datrOf(spreadingFactor) };
    if (!isJoin) return mote.listenAfter(endMs, radio);
    mote.joining?.listenAfter(endMs, radio);
    ports.fleet.asks(mote);
    return JOIN_RX2_DELAY_MS;
  };

  // All gateways draw now, in the order on air, so that what they hear follows from the seed.
  const hearingsOf = (transmission: Transmission, startMs: number, endMs: number): Heard[] => {
    const { channel, spreadingFactor, powerDbm, from } = transmission;
    return [...ports.gateways.values()].map((gateway) => {
      const hearing = gateway.hear(
        spreadingFactor,
        ports.propagation.receivedDbm(gateway.id, from, powerDbm),
      );
      // A network may have given a channel to a mote that its gateways do not listen to.
      const heard = hearing.heard && channel.chan >= 0;
      const { freqMhz } = channel;
      const arrival = { freqMhz, spreadingFactor, startMs, endMs, signalDbm: hearing.signalDbm };
      return {
        gateway,
        ...hearing,
        heard,
        incoming: gateway.receiver.arrive({ ...arrival, isDetected: heard }),
      };
    });
  };

  const receivedBy = (transmission: Transmission, hearings: readonly Heard[], at: number): Heard[] =>
    hearings.filter(({ gateway, incoming }) => {
      const reason = incoming.missed();
      if (reason === undefined) return true;
      ports.truth.append({ type: 'missed', txId: transmission.id, gateway: gateway.id, at, reason });
      return false;
    });

  const deliver = (transmission: Transmission, endMs: number, heard: readonly Heard[]): void => {
    const { id, kind, phyPayload, channel, spreadingFactor } = transmission;
    const hearings = receivedBy(transmission, heard, endMs);
    if (hearings.length > 0) totals[kind].heard += 1;
    const tx = inFlight(id, totals[kind]);
    for (const { gateway, rssi, snr } of hearings) {
      gateway.receive({ tx, phyPayload, channel, spreadingFactor, endMs, rssi, snr });
    }
  };
  return {
    totals,
    get windowsEndMs() {
      return windowsEndMs;
    },
    transmit(transmission) {
      const { kind, phyPayload, spreadingFactor } = transmission;
      const at = ports.clock.monoMs();
      const airMs = airtimeMs(spreadingFactor, phyPayload.length, true);
      const endMs = at + airMs;
      totals[kind].sent += 1;
      const onAir = { airMs, at, wallNs: String(ports.clock.wallNs(at)) };
      const isData = 'frame' in transmission;
      ports.truth.append(isData ? dataRecord(transmission, onAir) : joinRecord(transmission, onAir));
      windowsEndMs = Math.max(windowsEndMs, endMs + listen(transmission, endMs));
      const heard = hearingsOf(transmission, at, endMs).filter((hearing) => hearing.heard);
      ports.agenda.at(endMs, () => deliver(transmission, endMs, heard));
    },
  };
}
