import type { Clock } from './clock.ts';
import type { Fleet } from './fleet.ts';
import type { DownlinkHeader } from './frames.ts';
import type { DownlinkSent, Gateway } from './gateway.ts';
import type { JoinResult } from './join.ts';
import type { Mote, MoteReception } from './mote.ts';
import type { DownlinkIgnoredRecord, DownlinkRecord, JoinedRecord, TruthLog } from './truth.ts';
import type { Propagation } from './propagation.ts';
import { spreadingFactorOf } from './eu868.ts';
import { readDownlinkHeader } from './frames.ts';
import { isJoinAccept } from './join-frames.ts';
import { sensitivityDbm, snrOf } from './signal.ts';

/** Downlinks on air, and what the motes made of them. */
export interface DownlinkTotals {
  readonly onAir: number;
  readonly received: number;
  readonly ignored: number;
  /** Of those received: JoinAccepts. */
  readonly joins: number;
}

/** The way from gateways to motes. */
export interface DownlinkAir {
  readonly totals: DownlinkTotals;
  transmit(gatewayId: string, sent: DownlinkSent): void;
}

interface DownlinkAirPorts {
  readonly clock: Clock;
  readonly truth: TruthLog;
  readonly fleet: Fleet;
  readonly propagation: Propagation;
  readonly gateways: ReadonlyMap<string, Gateway>;
  /** A mote's application was sent something. */
  readonly onApplication: (mote: Mote, fPort: number) => void;
}

type Ignored = { readonly ignored: DownlinkIgnoredRecord['reason']; readonly mote?: Mote };
type Outcome = Ignored | (Extract<MoteReception, { accepted: true }> & { readonly mote: Mote });

type ArrivingDownlink = DownlinkSent & { readonly snr?: number };

/** Where and when a downlink went on air. */
interface Place {
  readonly downlinkId: number;
  readonly gateway: string;
  readonly at: number;
}

function recordOf(
  sent: DownlinkSent,
  header: DownlinkHeader | undefined,
): Omit<DownlinkRecord, 'id' | 'gateway' | 'wallNs'> {
  return {
    type: 'downlink',
    phyPayload: sent.phyPayload.toString('hex'),
    devAddr: header?.devAddr ?? null,
    fcntDown: header?.fcnt16 ?? null,
    confirmed: header?.confirmed ?? false,
    ack: header?.ack ?? false,
    tmst: sent.tmst,
    freqMhz: sent.freqMhz,
    datr: sent.datr,
    airMs: sent.airtimeMs,
    at: sent.at,
  };
}

function joinedRecord(
  mote: Mote,
  result: Extract<JoinResult, { accepted: true }>,
  place: Place,
): JoinedRecord {
  const { accept, devNonce, keys, window } = result;
  return {
    type: 'joined',
    ...place,
    ...{ devEui: mote.device.devEui, window, session: mote.session?.number ?? 0, devNonce },
    ...accept,
    nwkSKey: keys.nwkSKey.toString('hex'),
    appSKey: keys.appSKey.toString('hex'),
  };
}

/** Air in which the mote with the DevAddr of a downlink receives it, in its windows; the MIC decides between two. */
export function createDownlinkAir(ports: DownlinkAirPorts): DownlinkAir {
  const { fleet, truth } = ports;
  const totals = { onAir: 0, received: 0, ignored: 0, joins: 0 };

  const ignore = (place: Place, { ignored, mote }: Ignored): void => {
    totals.ignored += 1;
    const devEui = mote?.device.devEui ?? null;
    truth.append({ type: 'downlinkIgnored', ...place, devEui, reason: ignored });
  };

  // What of it arrives at a mote; undefined where that is too little.
  const arriving = (sent: DownlinkSent, mote: Mote, gateway: string): ArrivingDownlink | undefined => {
    const signalDbm = ports.propagation.receivedDbm(gateway, mote.device.devEui, sent.powerDbm);
    if (signalDbm === undefined) return sent;
    const isHeard = signalDbm >= sensitivityDbm(spreadingFactorOf(sent.datr) ?? 7);
    return isHeard ? { ...sent, snr: snrOf(signalDbm) } : undefined;
  };

  const outcomeOf = (sent: DownlinkSent, header: DownlinkHeader, gateway: string): Outcome => {
    let refusal: Ignored = { ignored: 'noMote' };
    for (const mote of fleet.withAddress(header.devAddr)) {
      const downlink = arriving(sent, mote, gateway);
      if (downlink === undefined) {
        refusal = { ignored: 'tooWeak', mote };
        continue;
      }
      const result = mote.receive({ ...downlink, header });
      if (result.accepted) return { mote, ...result };
      if (refusal.ignored === 'noMote' || result.reason !== 'noWindow') {
        refusal = { ignored: result.reason, mote };
      }
    }
    return refusal;
  };

  const deliver = (sent: DownlinkSent, header: DownlinkHeader, isLost: boolean, place: Place): void => {
    const [mote] = isLost ? fleet.withAddress(header.devAddr) : [];
    const outcome: Outcome =
      mote === undefined ? outcomeOf(sent, header, place.gateway) : { ignored: 'loss', mote };
    if ('ignored' in outcome) {
      ignore(place, outcome);
      return;
    }
    totals.received += 1;
    const { confirmed, ack, fPort, fOpts } = header;
    const { device, parameters } = outcome.mote;
    truth.append({
      type: 'downlinkReceived',
      ...place,
      ...{ devEui: device.devEui, window: outcome.window, fcntDown: outcome.fcnt },
      ...{ confirmed, ack, fPort, fOpts, payload: outcome.payload.toString('hex') },
    });
    const { downlinkId, at } = place;
    if (outcome.mac !== undefined)
      truth.append({ type: 'mac', downlinkId, at, devEui: device.devEui, ...outcome.mac, parameters });
    if (fPort !== null && fPort > 0) ports.onApplication(outcome.mote, fPort);
  };

  // It names nobody: every mote that listens there tries its key.
  const deliverJoinAccept = (sent: DownlinkSent, isLost: boolean, place: Place): void => {
    let refusal: Ignored = { ignored: isLost ? 'loss' : 'noWindow' };
    for (const mote of isLost ? [] : fleet.joining()) {
      const downlink = arriving(sent, mote, place.gateway);
      if (downlink === undefined) continue;
      const result = mote.receiveJoinAccept(downlink);
      if (result.accepted) {
        fleet.joined(mote);
        totals.received += 1;
        totals.joins += 1;
        truth.append(joinedRecord(mote, result, place));
        return;
      }
      if (result.reason !== 'noWindow') refusal = { ignored: result.reason, mote };
    }
    ignore(place, refusal);
  };

  return {
    totals,
    transmit(gateway, sent) {
      const header = readDownlinkHeader(sent.phyPayload);
      totals.onAir += 1;
      const wallNs = String(ports.clock.wallNs(sent.at));
      truth.append({ ...recordOf(sent, header), id: totals.onAir, gateway, wallNs });
      const isLost = ports.gateways.get(gateway)?.losesDownlink() ?? false;
      const place = { downlinkId: totals.onAir, gateway, at: sent.at };
      if (header !== undefined) deliver(sent, header, isLost, place);
      else if (isJoinAccept(sent.phyPayload)) deliverJoinAccept(sent, isLost, place);
      else ignore(place, { ignored: 'notData' });
    },
  };
}
