import type { MacVersion } from './mac-rules.ts';
import type { MacParameters } from './mac-parameters.ts';
import { DEFAULT_CHANNELS } from './eu868.ts';
import { usableChannels } from './mac-parameters.ts';

/** How patient a mote with ADR is, in uplinks without any downlink. */
export interface AdrPatience {
  /** After this many it sets ADRACKReq. */
  readonly limit: number;
  /** After this many more, and again after each as many, it takes a step to be heard better. */
  readonly delay: number;
}

// One step: full power first, then slower data rates one by one, at last all default channels sent to once each.
function step(parameters: MacParameters): MacParameters {
  if (parameters.txPower > 0) return { ...parameters, txPower: 0 };
  const slower = { ...parameters, dataRate: parameters.dataRate - 1 };
  if (parameters.dataRate > 0 && usableChannels(slower).length > 0) return slower;
  const channels = parameters.channels.map(
    (channel, index) => channel && { ...channel, enabled: channel.enabled || index < DEFAULT_CHANNELS },
  );
  return { ...parameters, dataRate: Math.max(0, slower.dataRate), channels, nbTrans: 1 };
}

/** The parameters with which a mote sends its next uplink, `silent` uplinks after the last downlink (section 4.3.1.1). */
export function backedOff(
  parameters: MacParameters,
  silent: number,
  { limit, delay }: AdrPatience,
): MacParameters {
  const over = silent - limit - delay;
  return over >= 0 && over % delay === 0 ? step(parameters) : parameters;
}

/** Whether that uplink has ADRACKReq. In 1.0.3 a mote that can do no more than it does asks no more. */
export function asksForDownlink(
  parameters: MacParameters,
  silent: number,
  { limit }: AdrPatience,
  version: MacVersion,
): boolean {
  const canDoMore = version === '1.0.4' || parameters.dataRate > 0 || parameters.txPower > 0;
  return silent >= limit && canDoMore;
}
