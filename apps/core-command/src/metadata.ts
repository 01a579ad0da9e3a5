import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { callJson, type HttpPeer } from '@antirio/host';
import type { DeviceProfile } from '@antirio/edgex-contracts';

/** What core-command needs to know of a device. */
export interface KnownDevice {
  readonly name: string;
  readonly serviceName: string;
  readonly profileName: string;
  readonly adminState: string;
  readonly operatingState: string;
}

export interface KnownService {
  readonly name: string;
  readonly baseAddress: string;
  readonly adminState: string;
}

/** core-metadata, as core-command asks it. */
export interface Metadata {
  /** @throws AntirioError notFound | unavailable | timeout */
  device(name: string): Promise<KnownDevice>;
  /** @throws AntirioError notFound | unavailable | timeout */
  service(name: string): Promise<KnownService>;
  /** Undefined for a device without a profile. @throws AntirioError notFound | unavailable | timeout */
  profile(name: string): Promise<DeviceProfile | undefined>;
  /** @throws AntirioError rangeNotSatisfiable | invalidInput | unavailable | timeout */
  devices(
    offset: number,
    limit: number,
  ): Promise<{ readonly total: number; readonly devices: readonly KnownDevice[] }>;
  /** @throws AntirioError when it does not answer */
  ping(): Promise<void>;
}

const device = z.object({
  name: z.string(),
  serviceName: z.string(),
  profileName: z.string().default(''),
  adminState: z.string(),
  operatingState: z.string(),
});
const deviceAnswer = z.object({ device });
const devicesAnswer = z.object({ totalCount: z.int(), devices: z.array(device) });
const serviceAnswer = z.object({
  service: z.object({ name: z.string(), baseAddress: z.url(), adminState: z.string() }),
});
// The room that answers has checked the profile when it was added.
const profileAnswer = z.object({
  profile: z.custom<DeviceProfile>((value) => typeof value === 'object' && value !== null),
});

export function createMetadata(peer: HttpPeer): Metadata {
  const ask = async <S extends z.ZodType>(
    path: string,
    schema: S,
    timeoutMs = 5000,
  ): Promise<z.output<S>> => {
    const parsed = schema.safeParse(await callJson(peer, { path: `/api/v3/${path}`, timeoutMs }));
    if (!parsed.success)
      throw new AntirioError('unavailable', `core-metadata answered nonsense to ${path}`, {}, parsed.error);
    return parsed.data;
  };
  const name = encodeURIComponent;
  return {
    device: async (of) => (await ask(`device/name/${name(of)}`, deviceAnswer)).device,
    service: async (of) => (await ask(`deviceservice/name/${name(of)}`, serviceAnswer)).service,
    profile: async (of) =>
      of === '' ? undefined : (await ask(`deviceprofile/name/${name(of)}`, profileAnswer)).profile,
    async devices(offset, limit) {
      const { totalCount, devices } = await ask(`device/all?offset=${offset}&limit=${limit}`, devicesAnswer);
      return { total: totalCount, devices };
    },
    async ping() {
      await ask('ping', z.object({ apiVersion: z.string() }), 1000);
    },
  };
}
