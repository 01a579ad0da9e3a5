import { z } from 'zod';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { baseRequest, deviceProfile, optional } from '@antirio/edgex-contracts';
import type { Cache } from './cache.ts';
import type { Driver, ProfileScanRequest } from './driver.ts';
import { goodOutcome, type Metadata } from './metadata.ts';
import type { Progress } from './progress.ts';

export const profileScanRequest = baseRequest.extend({
  deviceName: z.string().min(1, 'is required'),
  profileName: optional(z.string()),
  options: optional(z.record(z.string(), z.unknown())),
});

/** Makes profiles of what devices say of themselves. */
export interface ProfileScans {
  /**
   * Begins a scan in the background; gives the id of the request.
   * @throws AntirioError notImplemented; locked; notFound; conflict where the device is being scanned or the profile is there
   */
  begin(given: z.output<typeof profileScanRequest>, correlationID: string): string;
  /** @throws AntirioError notImplemented; locked; notFound */
  end(deviceName: string): void;
  stop(): Promise<void>;
}

interface Ports {
  readonly driver: Driver;
  readonly cache: Cache;
  readonly metadata: Metadata;
  readonly progress: Progress;
  readonly clock: Clock;
  readonly log: Log;
  readonly onDone: () => void;
}

export function createProfileScans(ports: Ports): ProfileScans {
  const { cache, clock, driver, log, metadata, onDone, progress } = ports;
  const running = new Map<string, { readonly ending: AbortController; readonly over: Promise<void> }>();

  const check = (deviceName: string): void => {
    if (cache.adminState === 'LOCKED') throw new AntirioError('locked', 'service locked');
    if (!cache.devices.has(deviceName)) throw new AntirioError('notFound', `device ${deviceName} not found`);
  };
  const ended = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  const scan = async (request: ProfileScanRequest, signal: AbortSignal): Promise<void> => {
    const { deviceName, profileName, requestId } = request;
    progress.profileScan(requestId, 0);
    const given = ended(signal);
    given.catch(() => undefined);
    try {
      const scanned = await Promise.race([(async () => driver.profileScan?.(request, signal))(), given]);
      const profile = { ...deviceProfile.parse(scanned), name: profileName };
      const [added] = await metadata.add('deviceprofile', [profile]);
      goodOutcome(added, `the profile ${profileName}`);
      await metadata.patchDevice({ name: deviceName, profileName });
      progress.profileScan(requestId, 100);
      onDone();
    } catch (error) {
      log.warn({ device: deviceName, requestId, error: describeError(error) }, 'profile scan failed');
      progress.profileScan(requestId, -1, describeError(error));
    }
  };
  return {
    begin({ deviceName, profileName = '', options = {}, requestId = '' }, correlationID) {
      if (driver.profileScan === undefined)
        throw new AntirioError('notImplemented', 'Profile scan is not implemented');
      check(deviceName);
      if (cache.profiles.has(profileName))
        throw new AntirioError('conflict', `profile name ${profileName} is duplicated`);
      if (running.has(deviceName))
        throw new AntirioError(
          'conflict',
          `Another profile scan process for ${deviceName} is currently running`,
        );
      const request: ProfileScanRequest = {
        deviceName,
        profileName: profileName === '' ? `${deviceName}_profile_${Math.trunc(clock.now())}` : profileName,
        options,
        requestId: requestId === '' ? correlationID : requestId,
      };
      const ending = new AbortController();
      const over = scan(request, ending.signal).finally(() => running.delete(deviceName));
      running.set(deviceName, { ending, over });
      return request.requestId;
    },
    end(deviceName) {
      if (driver.profileScan === undefined)
        throw new AntirioError('notImplemented', 'Stop profile scan is not implemented');
      check(deviceName);
      running.get(deviceName)?.ending.abort(new AntirioError('gone', 'the scan was stopped'));
    },
    async stop() {
      for (const { ending } of running.values())
        ending.abort(new AntirioError('unavailable', 'the service stops'));
      await Promise.all([...running.values()].map(({ over }) => over));
    },
  };
}
