import type { RegionPlan } from '../region/plan.ts';
import type { DownlinkMacCommand, UplinkMacCommand } from './commands.ts';
import type { UplinkHeard } from './step.ts';

const GPS_EPOCH_UNIX_S = 315_964_800;
/** GPS time does not know leap seconds: 18 of them since 2017. */
const LEAP_SECONDS = 18;

function linkCheckAns(plan: RegionPlan, uplink: UplinkHeard): DownlinkMacCommand {
  const settings = plan.dataRate(uplink.dataRate);
  const margin = Math.floor(uplink.bestSnr - (settings === undefined ? 0 : plan.requiredSnr(settings)));
  return {
    type: 'linkCheckAns',
    margin: Math.min(Math.max(margin, 0), 254),
    gatewayCount: Math.min(Math.max(uplink.gatewayCount, 1), 255),
  };
}

function deviceTimeAns({ heardAtUnixMs }: UplinkHeard): DownlinkMacCommand | undefined {
  if (heardAtUnixMs === undefined) return undefined;
  const gpsMs = heardAtUnixMs - (GPS_EPOCH_UNIX_S - LEAP_SECONDS) * 1000;
  const seconds = Math.floor(gpsMs / 1000);
  const fraction = Math.floor(((gpsMs - seconds * 1000) * 256) / 1000);
  return { type: 'deviceTimeAns', seconds: seconds >>> 0, fraction };
}

/** The answer to what a device asks; undefined for what is no question, or has no answer here. */
export function answerTo(
  plan: RegionPlan,
  uplink: UplinkHeard,
  command: UplinkMacCommand,
): DownlinkMacCommand | undefined {
  if (command.type === 'linkCheckReq') return linkCheckAns(plan, uplink);
  if (command.type === 'deviceTimeReq') return deviceTimeAns(uplink);
  return undefined;
}
