import { AntirioError, isAntirioError } from '@antirio/kernel';
import { httpPeer, type HttpAnswer, type HttpPeer, type RimAccess } from '@antirio/host';
import type { CoreCommandOptions } from './options.ts';
import type { KnownDevice, KnownService, Metadata } from './metadata.ts';

/** One command for one device, as it came. */
export interface IssuedCommand {
  readonly device: string;
  readonly command: string;
  readonly method: 'GET' | 'PUT';
  /** From the question mark on, or empty. */
  readonly query: string;
  readonly body: Uint8Array | undefined;
  readonly correlationID: string | undefined;
}

/** Passes commands on to device services. */
export interface Commands {
  /** The device and its service. @throws AntirioError notFound; locked when either may not be commanded. */
  target(device: string): Promise<{ readonly device: KnownDevice; readonly service: KnownService }>;
  /** What the device service answers, whatever it is. @throws AntirioError notFound | locked; unavailable when it does not answer. */
  issue(command: IssuedCommand): Promise<HttpAnswer>;
  close(): void;
}

const PEERS_KEPT = 128;

function checkUnlocked(device: KnownDevice, service: KnownService): void {
  if (device.adminState === 'LOCKED') throw new AntirioError('locked', `device ${device.name} locked`);
  if (device.operatingState === 'DOWN')
    throw new AntirioError('locked', `device ${device.name} OperatingState is DOWN`);
  if (service.adminState === 'LOCKED')
    throw new AntirioError('locked', `device service ${service.name} locked`);
}

export function createCommands(
  options: CoreCommandOptions,
  metadata: Metadata,
  access?: RimAccess,
): Commands {
  const peers = new Map<string, HttpPeer>();

  const peerOf = (baseAddress: string): HttpPeer => {
    const known = peers.get(baseAddress);
    if (known !== undefined) return known;
    for (const [oldest, peer] of peers) {
      if (peers.size < PEERS_KEPT) break;
      peer.close();
      peers.delete(oldest);
    }
    const made = httpPeer(access?.placeOf(baseAddress) ?? { url: baseAddress });
    peers.set(baseAddress, made);
    return made;
  };
  const target: Commands['target'] = async (name) => {
    const device = await metadata.device(name);
    const service = await metadata.service(device.serviceName);
    checkUnlocked(device, service);
    return { device, service };
  };
  return {
    target,
    async issue({ device, command, method, query, body, correlationID }) {
      const { service } = await target(device);
      const headers: Record<string, string> = {};
      if (correlationID !== undefined) headers['x-correlation-id'] = correlationID;
      if (body !== undefined) headers['content-type'] = 'application/json';
      const path = `/api/v3/device/name/${encodeURIComponent(device)}/${encodeURIComponent(command)}${query}`;
      const limits = { timeoutMs: options.service.requestTimeoutMs, maxAnswerBytes: options.maxAnswerBytes };
      try {
        return await peerOf(service.baseAddress).call({
          method,
          path,
          headers,
          ...(body && { body }),
          ...limits,
        });
      } catch (cause) {
        // EdgeX has one status for every device service that does not answer
        if (!isAntirioError(cause)) throw cause;
        throw new AntirioError('unavailable', `device service ${service.name} does not answer`, {}, cause);
      }
    },
    close() {
      for (const peer of peers.values()) peer.close();
    },
  };
}
