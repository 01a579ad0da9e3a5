import type { StatReport } from '../semtech/forwarders.ts';
import type { ModulationCount } from '../semtech/tally.ts';
import { codeRateName } from './event-up.ts';

/** ChirpStack's `gw.ConnState`. */
export function connectionState(gatewayId: string, online: boolean): object {
  return { gatewayId, state: online ? 'ONLINE' : 'OFFLINE' };
}

const perModulation = (counts: readonly ModulationCount[]): object[] =>
  counts.map(({ spreadingFactor, bandwidth, codeRate, count }) => ({
    modulation: { lora: { bandwidth, spreadingFactor, codeRate: codeRateName(codeRate) } },
    count,
  }));

function metadataOf({ stat, protocolVersion, host }: StatReport): Readonly<Record<string, string>> {
  const { texts, rxForwarded, acknowledgedPercent, temperature } = stat;
  const numbers = Object.entries({ rxForwarded, acknowledgedPercent, temperature });
  return {
    ...texts,
    protocolVersion: String(protocolVersion),
    address: host,
    ...Object.fromEntries(
      numbers.flatMap(([name, told]) => (told === undefined ? [] : [[name, String(told)]])),
    ),
  };
}

/** ChirpStack's `gw.GatewayStats` of a gateway's report, with what was counted here since the one before. */
export function statsEvent(report: StatReport): object {
  const { gatewayId, stat, counts } = report;
  return {
    gatewayId,
    ...(stat.time === undefined ? {} : { time: stat.time }),
    ...(stat.location === undefined ? {} : { location: { ...stat.location, source: 'GPS' } }),
    rxPacketsReceived: stat.rxReceived ?? 0,
    rxPacketsReceivedOk: stat.rxOk ?? 0,
    txPacketsReceived: stat.downlinksReceived ?? 0,
    txPacketsEmitted: stat.transmitted ?? 0,
    metadata: metadataOf(report),
    txPacketsPerFrequency: Object.fromEntries(counts.txPerFrequency),
    rxPacketsPerFrequency: Object.fromEntries(counts.rxPerFrequency),
    txPacketsPerModulation: perModulation(counts.txPerModulation),
    rxPacketsPerModulation: perModulation(counts.rxPerModulation),
    txPacketsPerStatus: Object.fromEntries(counts.txPerStatus),
  };
}
