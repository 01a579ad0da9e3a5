import { AntirioError, isAntirioError } from '@antirio/kernel';
import type { BusRequests } from '@antirio/bus-request';
import {
  API_VERSION,
  validateDeviceTopic,
  type Device,
  type MessageEnvelope,
} from '@antirio/edgex-contracts';
import type { CoreMetadataOptions } from './options.ts';
import type { CoreMetadataPorts } from './room.ts';
import { createTurns } from './turns.ts';

/** Asks a device service over the bus whether it takes a device. */
export interface DeviceValidation {
  /** @throws AntirioError internal (EdgeX's status for it) when the service refuses; unavailable when it must answer and does not. */
  check(device: Device, correlationID: string | undefined): Promise<void>;
  /** The service has registered: it is worth asking again. */
  heardOf(serviceName: string): void;
}

const SERVICES_REMEMBERED = 1000;
/** Questions under way; a burst of devices waits for its turn instead of being refused. */
const AT_ONCE = 256;

export function createDeviceValidation(
  options: CoreMetadataOptions['deviceValidation'],
  ports: CoreMetadataPorts,
  requests: BusRequests | undefined,
): DeviceValidation {
  const { clock, log } = ports;
  const silentUntil = new Map<string, number>();
  const inTurn = createTurns(AT_ONCE);

  const ask = async (
    via: BusRequests,
    device: Device,
    correlationID?: string,
  ): Promise<MessageEnvelope | undefined> => {
    const { serviceName } = device;
    if ((silentUntil.get(serviceName) ?? -Infinity) > clock.monotonic()) return undefined;
    try {
      const answer = await via.request({
        topic: validateDeviceTopic(serviceName),
        serviceName,
        payload: { apiVersion: API_VERSION, device },
        timeoutMs: options.timeoutMs,
        correlationID,
      });
      silentUntil.delete(serviceName);
      return answer;
    } catch (error) {
      if (!isAntirioError(error, 'timeout') && !isAntirioError(error, 'unavailable')) throw error;
      if (silentUntil.size >= SERVICES_REMEMBERED) silentUntil.clear();
      silentUntil.set(serviceName, clock.monotonic() + options.silentForMs);
      log.info({ service: serviceName, error: error.message }, 'no answer to a device validation');
      return undefined;
    }
  };
  return {
    async check(device, correlationID) {
      if (!options.enabled || requests === undefined) return;
      const answer = await inTurn(() => ask(requests, device, correlationID));
      if (answer === undefined) {
        if (options.whenSilent === 'accept') return;
        throw new AntirioError('unavailable', `device service ${device.serviceName} does not validate`);
      }
      if (answer.errorCode !== 0)
        throw new AntirioError(
          'internal',
          `Device ${device.name} validation failed: ${String(answer.payload)}`,
        );
    },
    heardOf(serviceName) {
      silentUntil.delete(serviceName);
    },
  };
}
