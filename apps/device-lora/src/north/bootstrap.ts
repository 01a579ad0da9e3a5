import { API_VERSION, stringifyJson, type DeviceProfile } from '@antirio/edgex-contracts';
import { AntirioError, describeError, utf8 } from '@antirio/kernel';
import { callJson, sleep, type Check, type HttpPeer, type Log } from '@antirio/host';
import type { DeviceOptions } from '../options.ts';

export interface BootstrapPorts {
  readonly coreMetadata: HttpPeer;
  readonly serviceName: string;
  /** Where commands reach the service. */
  readonly baseAddress: string;
  readonly profiles: readonly DeviceProfile[];
  readonly devices: readonly DeviceOptions[];
  readonly log: Log;
}

/** Registers the service with core-metadata as EdgeX's device services do, as often as it takes. */
export interface Bootstrap {
  check(): Check;
  /** Resolves when everything is registered. */
  readonly registered: Promise<void>;
  stop(): void;
}

const RETRY_MS = 1000;
const SLOWEST_RETRY_MS = 10_000;
const name = encodeURIComponent;

type Ports = BootstrapPorts;

async function exists({ coreMetadata }: Ports, path: string): Promise<boolean> {
  const answer = await coreMetadata.call({ path: `/api/v3/${path}` });
  if (answer.status === 200) return true;
  if (answer.status === 404) return false;
  throw new AntirioError('unavailable', `core-metadata answered ${answer.status} to ${path}`);
}

/** Sends a list of requests; every answer but "it is there already" must be good. */
async function send(
  { coreMetadata }: Ports,
  method: 'POST' | 'PATCH',
  path: string,
  requests: readonly object[],
): Promise<void> {
  const body = utf8(stringifyJson(requests.map((request) => ({ apiVersion: API_VERSION, ...request }))));
  const headers = { 'content-type': 'application/json' };
  const answers = await callJson(coreMetadata, {
    method,
    path: `/api/v3/${path}`,
    headers,
    body,
    timeoutMs: 15_000,
  });
  const bad = (Array.isArray(answers) ? (answers as unknown[]) : []).find((answer) => !isGood(answer));
  if (bad !== undefined)
    throw new AntirioError('unavailable', `core-metadata refuses ${path}: ${JSON.stringify(bad)}`);
}

function isGood(answer: unknown): boolean {
  const { statusCode } = (answer ?? {}) as { statusCode?: unknown };
  return typeof statusCode === 'number' && (statusCode < 300 || statusCode === 409);
}

async function registerService(ports: Ports): Promise<void> {
  const { serviceName, baseAddress } = ports;
  const service = { name: serviceName, baseAddress, adminState: 'UNLOCKED', labels: ['lorawan'] };
  const known = await exists(ports, `deviceservice/name/${name(serviceName)}`);
  if (known) await send(ports, 'PATCH', 'deviceservice', [{ service: { name: serviceName, baseAddress } }]);
  else await send(ports, 'POST', 'deviceservice', [{ service }]);
}

async function registerProfiles(ports: Ports): Promise<void> {
  for (const profile of ports.profiles)
    if (!(await exists(ports, `deviceprofile/name/${name(profile.name)}`)))
      await send(ports, 'POST', 'deviceprofile', [{ profile }]);
}

const PAGE = 1000;

async function knownDevices({ coreMetadata, serviceName }: Ports): Promise<Set<string>> {
  const known = new Set<string>();
  for (let offset = 0; ; offset += PAGE) {
    const path = `/api/v3/device/service/name/${name(serviceName)}?offset=${offset}&limit=${PAGE}`;
    const page = (await callJson(coreMetadata, { path })) as {
      devices?: { name?: string }[];
      totalCount?: number;
    };
    for (const device of page.devices ?? []) if (device.name !== undefined) known.add(device.name);
    if ((page.devices ?? []).length < PAGE || offset + PAGE >= (page.totalCount ?? 0)) return known;
  }
}

async function registerDevices(ports: Ports): Promise<void> {
  const known = await knownDevices(ports);
  const missing = ports.devices.filter((device) => !known.has(device.name));
  for (let i = 0; i < missing.length; i += 100)
    await send(
      ports,
      'POST',
      'device',
      missing.slice(i, i + 100).map((device) => ({
        device: {
          name: device.name,
          serviceName: ports.serviceName,
          profileName: device.profileName,
          adminState: 'UNLOCKED',
          operatingState: 'UP',
          labels: ['lorawan'],
          protocols: { lorawan: { devEUI: device.devEui, devAddr: device.devAddr, codec: device.codec } },
        },
      })),
    );
}

// In the order of EdgeX's SDK.
const STEPS = [registerService, registerProfiles, registerDevices] as const;

export function bootstrap(ports: Ports): Bootstrap {
  const stopping = new AbortController();
  let failing: string | undefined = 'not registered yet';
  const attempt = async (): Promise<void> => {
    await callJson(ports.coreMetadata, { path: '/api/v3/ping', timeoutMs: 2000 });
    for (const step of STEPS) await step(ports);
  };
  const run = async (): Promise<void> => {
    let told = '';
    for (let delay = RETRY_MS; !stopping.signal.aborted; delay = Math.min(delay * 1.5, SLOWEST_RETRY_MS)) {
      try {
        await attempt();
        failing = undefined;
        ports.log.info({ devices: ports.devices.length }, 'registered with core-metadata');
        return;
      } catch (error) {
        failing = describeError(error);
        if (failing !== told) ports.log.warn({ error: failing }, 'cannot register yet');
        told = failing;
      }
      await sleep(delay * (0.5 + Math.random() / 2), stopping.signal);
    }
  };
  return {
    registered: run(),
    check: () => (failing === undefined ? { ok: true } : { ok: false, detail: failing }),
    stop: () => stopping.abort(),
  };
}
