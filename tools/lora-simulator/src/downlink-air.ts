import type { Clock } from './clock.ts';
import type { ReceiveWindow } from './downlink-reception.ts';
import type { DownlinkHeader } from './frames.ts';
import type { DownlinkSent, Gateway } from './gateway.ts';
import type { Mote } from './mote.ts';
import type { DownlinkIgnoredRecord, DownlinkRecord, TruthLog } from './truth.ts';
import { readDownlinkHeader } from './frames.ts';

/** Downlinks on air, and what the motes made of them. */
export interface DownlinkTotals {
  readonly onAir: number;
  readonly received: number;
  readonly ignored: number;
}

/** The way from gateways to motes. */
export interface DownlinkAir {
  readonly totals: DownlinkTotals;
  transmit(gatewayId: string, sent: DownlinkSent): void;
}

interface DownlinkAirPorts {
  readonly clock: Clock;
  readonly truth: TruthLog;
  readonly moteByAddress: ReadonlyMap<string, Mote>;
  readonly gateways: ReadonlyMap<string, Gateway>;
}

type Outcome =
  | { readonly ignored: DownlinkIgnoredRecord['reason'] }
  | { readonly fcnt: number; readonly payload: Buffer; readonly window: ReceiveWindow };

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

/** Air in which the mote with the DevAddr of a downlink receives it, in its windows. */
export function createDownlinkAir(ports: DownlinkAirPorts): DownlinkAir {
  const totals = { onAir: 0, received: 0, ignored: 0 };

  const outcomeOf = (
    gatewayId: string,
    sent: DownlinkSent,
    header: DownlinkHeader | undefined,
    mote: Mote | undefined,
  ): Outcome => {
    const isLost = ports.gateways.get(gatewayId)?.losesDownlink() ?? false;
    if (header === undefined) return { ignored: 'notData' };
    if (mote === undefined) return { ignored: 'noMote' };
    if (isLost) return { ignored: 'loss' };
    const result = mote.reception.receive({ ...sent, header });
    return result.accepted ? result : { ignored: result.reason };
  };

  return {
    totals,
    transmit(gateway, sent) {
      const header = readDownlinkHeader(sent.phyPayload);
      const mote = header && ports.moteByAddress.get(header.devAddr);
      totals.onAir += 1;
      const downlinkId = totals.onAir;
      const wallNs = String(ports.clock.wallNs(sent.at));
      ports.truth.append({ ...recordOf(sent, header), id: downlinkId, gateway, wallNs });
      const outcome = outcomeOf(gateway, sent, header, mote);
      const where = { downlinkId, gateway, at: sent.at };
      if ('ignored' in outcome || header === undefined || mote === undefined) {
        totals.ignored += 1;
        const reason = 'ignored' in outcome ? outcome.ignored : 'notData';
        ports.truth.append({
          type: 'downlinkIgnored',
          ...where,
          devEui: mote?.device.devEui ?? null,
          reason,
        });
        return;
      }
      totals.received += 1;
      const { confirmed, ack, fPort, fOpts } = header;
      ports.truth.append({
        type: 'downlinkReceived',
        ...where,
        ...{ devEui: mote.device.devEui, window: outcome.window, fcntDown: outcome.fcnt },
        ...{ confirmed, ack, fPort, fOpts, payload: outcome.payload.toString('hex') },
      });
    },
  };
}
