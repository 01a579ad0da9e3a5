import { describeError, millisToOrigin, type Clock } from '@antirio/kernel';
import type { Bus, Log } from '@antirio/host';
import { API_VERSION, BASE_TOPIC, makeEnvelope, topicLevel } from '@antirio/edgex-contracts';

interface Ports {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly serviceName: string;
}

/** Tells everyone how far a search is: EdgeX's system events `device/discovery` and `device/profilescan` of this service. */
export interface Progress {
  /** Percent from 0 to 100; -1 for a failure. */
  discovery(requestId: string, percent: number, found: number, message?: string): void;
  profileScan(requestId: string, percent: number, message?: string): void;
  /** Any system event of this service. @throws AntirioError unavailable */
  systemEvent(type: string, action: string, details: unknown, correlationID: string): Promise<void>;
}

export function createProgress({ bus, clock, log, serviceName }: Ports): Progress {
  const systemEvent: Progress['systemEvent'] = async (type, action, details, correlationID) => {
    const event = {
      apiVersion: API_VERSION,
      type,
      action,
      source: serviceName,
      owner: serviceName,
      details,
      timestamp: millisToOrigin(clock.now()),
    };
    const level = topicLevel(serviceName);
    const kind = [type, action].map(topicLevel).join('/');
    const topic = `${BASE_TOPIC}/system-events/${level}/${kind}/${level}`;
    await bus.publish(topic, makeEnvelope(event, { correlationID }));
  };
  const publish = (action: string, correlationID: string, details: object): void => {
    systemEvent('device', action, details, correlationID).catch((error: unknown) =>
      log.debug({ action, error: describeError(error) }, 'progress not told'),
    );
  };
  const said = (message: string | undefined): object => (message === undefined ? {} : { message });
  return {
    systemEvent,
    discovery: (requestId, progress, discoveredDeviceCount, message) =>
      publish('discovery', requestId, { requestId, progress, discoveredDeviceCount, ...said(message) }),
    profileScan: (requestId, progress, message) =>
      publish('profilescan', requestId, { requestId, progress, ...said(message) }),
  };
}
