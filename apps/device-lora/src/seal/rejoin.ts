import { describeError, fromHex, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { DownlinkSender } from '../downlink/sender.ts';
import type { Downlink, DownlinkStore } from '../downlink/store.ts';
import type { DevEui } from '@antirio/lorawan';
import type { directoryOf } from '../directory.ts';
import type { DeviceOptions } from '../options.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { Session } from '../uplink/sessions.ts';

/** The resource that such a downlink is listed under. */
export const REJOIN = 'rejoin';
/** A device that has not followed by then is told once more. */
const AGAIN_MS = 3_600_000;

export interface RejoinPorts {
  readonly devices: readonly DeviceOptions[];
  readonly sessions: () => SessionBook | undefined;
  readonly sender: Pick<DownlinkSender, 'queue'>;
  readonly store: Pick<DownlinkStore, 'latest' | 'open'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of these sessions, those whose devices go on in another one. */
export function leftBehind<S extends { readonly devEui: string; readonly devAddr: string }>(
  { byEui }: ReturnType<typeof directoryOf>,
  sessions: SessionBook | undefined,
  disclosed: readonly S[],
): readonly S[] {
  return disclosed.filter(({ devEui, devAddr }) => {
    const device = byEui.get(devEui as DevEui);
    const current = device === undefined ? undefined : sessions?.currentOf(device.devEui);
    return current !== undefined && current.devAddr !== devAddr;
  });
}

/** Devices whose keys others have seen are told to join anew, by the command that each of them knows for it. */
export function createRejoins(
  ports: RejoinPorts,
): (disclosed: readonly { devEui: string; devAddr: string }[]) => void {
  const { devices, sessions, sender, store, clock, log } = ports;
  const able = devices.flatMap((device) =>
    device.rejoinCommand === undefined ? [] : [{ device, command: device.rejoinCommand }],
  );
  /** A device that has followed since, and whose new keys were seen as well, is told of those at once. */
  const wasTold = (devEui: DevEui, current: Pick<Session, 'id'>): boolean => {
    const told = ({ resource, session = current.id, createdAt }: Downlink): boolean =>
      resource === REJOIN && session === current.id && clock.now() - createdAt < AGAIN_MS;
    const waits = store.open(devEui).some(({ resource }) => resource === REJOIN);
    return waits || store.latest(devEui, 50).some(told);
  };
  return (disclosed) => {
    if (disclosed.length === 0 || able.length === 0) return;
    const seen = new Set(disclosed.map(({ devEui, devAddr }) => `${devEui}/${devAddr}`));
    for (const { device, command } of able) {
      const { devEui, name } = device;
      const current = sessions()?.currentOf(devEui);
      if (current === undefined || !seen.has(`${devEui}/${current.devAddr}`) || wasTold(devEui, current))
        continue;
      const { fPort, payload } = command;
      try {
        const content = { devEui, fPort, payload: fromHex(payload), confirmed: false, resource: REJOIN };
        sender.queue(content, current.devAddr, { replaces: true });
        log.info({ device: name }, 'its keys were seen: it is told to join anew');
      } catch (error) {
        log.warn({ device: name, error: describeError(error) }, 'it could not be told to join anew');
      }
    }
  };
}
