import { z } from 'zod';
import {
  commandValue,
  createDeviceService,
  deviceServiceOptions,
  type CommandValue,
  type Device,
  type DeviceServiceRoom,
  type Driver,
  type NewDevice,
  type NewProfile,
} from '@antirio/device-sdk';
import { callJson, isHealthy, parseInput, repeat, type HttpRim, type Repeating } from '@antirio/host';
import { AntirioError, isAntirioError, type Clock, type EdgeId } from '@antirio/kernel';
import type { AddressBook } from './address-book.ts';
import { edgeId, type Edge2EdgeOptions, type Edge2EdgePorts } from './options.ts';
import type { PeerClient } from './peer-client.ts';

/** The other edges as devices of EdgeX, which this room is the service of. */
export interface PeerDevices {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** What keeps core-metadata from having them; undefined when nothing does. */
  obstacle(): Promise<string | undefined>;
}

interface Parts {
  readonly options: Edge2EdgeOptions;
  readonly ports: Edge2EdgePorts;
  readonly client: PeerClient;
  readonly book: AddressBook;
  readonly rim: HttpRim;
  readonly url: () => string;
}

const SERVICE = 'edge2edge';
const PROFILE = 'Edge';
const ASK_MS = 3000;
const LOOK_EVERY_MS = 5000;

const resource = (name: string, valueType: string, description: string, units = '') => ({
  name,
  description,
  properties: { valueType, readWrite: 'R' as const, units },
});

const profile: NewProfile = {
  name: PROFILE,
  manufacturer: 'Antirio',
  description: 'Another edge, as this one sees it',
  labels: ['edge'],
  deviceResources: [
    resource('Alive', 'Bool', 'Whether it answers with its own signature'),
    resource(
      'RoundTrip',
      'Float64',
      'Of a signed request and its answer; null where it does not answer',
      'ms',
    ),
    resource('Epoch', 'Uint64', 'The highest one of the contracts with it; null where there is none'),
  ],
  deviceCommands: [
    {
      name: 'State',
      readWrite: 'R',
      resourceOperations: ['Alive', 'RoundTrip', 'Epoch'].map((deviceResource) => ({ deviceResource })),
    },
  ],
};

const contracts = z.array(
  z.looseObject({
    terms: z.looseObject({ customer: z.string(), provider: z.string() }),
    phase: z.looseObject({ epoch: z.int().min(0).optional() }).optional(),
  }),
);

const edgeOf = ({ protocols }: Device): EdgeId => parseInput(edgeId, protocols[SERVICE]?.['edgeId']);

/** Milliseconds; undefined where it does not answer. */
async function roundTripOf(
  to: EdgeId,
  client: PeerClient,
  clock: Pick<Clock, 'monotonic'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const began = clock.monotonic();
  try {
    const { status } = await client.call(to, { path: '/edge2edge/api/v3/ping', timeoutMs: ASK_MS, signal });
    return status === 200 ? clock.monotonic() - began : undefined;
  } catch (error) {
    if (isAntirioError(error)) return undefined;
    throw error;
  }
}

async function epochWith(to: EdgeId, { peers }: Edge2EdgePorts, signal: AbortSignal): Promise<number | null> {
  const { arbitrator } = peers;
  if (arbitrator === undefined) return null;
  const listed = await callJson(arbitrator, { path: '/arbitrator/v1/contract', timeoutMs: ASK_MS, signal });
  const epochs = parseInput(contracts, listed)
    .filter(({ terms }) => terms.customer === to || terms.provider === to)
    .flatMap(({ phase }) => phase?.epoch ?? []);
  return epochs.length === 0 ? null : Math.max(...epochs);
}

function driverOf({ client, ports }: Parts): Driver {
  return {
    async read(device, requests, signal) {
      const to = edgeOf(device);
      const wanted = new Set(requests.map(({ resourceName }) => resourceName));
      const asks = wanted.has('Alive') || wanted.has('RoundTrip');
      const [roundTrip, epoch] = await Promise.all([
        asks ? roundTripOf(to, client, ports.clock, signal) : undefined,
        wanted.has('Epoch') ? epochWith(to, ports, signal) : null,
      ]);
      const values: Readonly<Record<string, CommandValue>> = {
        Alive: commandValue('Alive', 'Bool', roundTrip !== undefined),
        RoundTrip: commandValue('RoundTrip', 'Float64', roundTrip ?? null),
        Epoch: commandValue('Epoch', 'Uint64', epoch),
      };
      return [...wanted].flatMap((name) => values[name] ?? []);
    },
    write: () => Promise.reject(new AntirioError('methodNotAllowed', 'other edges are not written to')),
    validate: (device) => void edgeOf(device),
  };
}

/** Each edge that the address book comes to have is added once; what becomes of the device then is the operator's. */
function keepAdded({ book, options, ports }: Parts, service: DeviceServiceRoom): Repeating {
  const seen = new Set<EdgeId>();
  const { aliveInterval, stateInterval } = options.devices;
  const deviceOf = (edge: EdgeId): NewDevice => ({
    name: edge,
    profileName: PROFILE,
    labels: ['edge'],
    protocols: { [SERVICE]: { edgeId: edge } },
    autoEvents: [
      { sourceName: 'Alive', interval: aliveInterval, onChange: true },
      { sourceName: 'State', interval: stateInterval },
    ],
  });
  return repeat('other edges as devices', LOOK_EVERY_MS, ports.log, async () => {
    for (const [edge] of book.all()) {
      if (seen.has(edge)) continue;
      if (service.sdk.device(edge) === undefined)
        await service.sdk.addDevice(deviceOf(edge)).catch((error: unknown) => {
          if (!isAntirioError(error, 'conflict')) throw error;
        });
      seen.add(edge);
    }
  });
}

export function createPeerDevices(parts: Parts): PeerDevices | undefined {
  const { options, ports, rim, url } = parts;
  const coreMetadata = ports.peers['coreMetadata'];
  if (!options.devices.enabled || options.role !== 'edge' || coreMetadata === undefined) return undefined;
  const { dataDir } = options;
  const service = createDeviceService(
    deviceServiceOptions.parse({ serviceName: SERVICE, dataDir, followKeeper: false }),
    driverOf(parts),
    {
      ...ports,
      peers: { 'core-metadata': coreMetadata },
      provision: { profiles: [profile] },
      front: { rim, baseAddress: url },
    },
  );
  let adding: Repeating | undefined;
  let isRunning = false;
  return {
    async start() {
      await service.start();
      isRunning = true;
      void service.registered().then(() => {
        if (isRunning) adding = keepAdded(parts, service);
      });
    },
    async stop() {
      isRunning = false;
      await adding?.stop();
      adding = undefined;
      await service.stop();
    },
    async obstacle() {
      const health = await service.health();
      if (isHealthy(health)) return undefined;
      return Object.values(health)
        .flatMap(({ detail }) => detail ?? [])
        .join('; ');
    },
  };
}
