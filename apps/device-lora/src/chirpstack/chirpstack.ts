import { join } from 'node:path';
import type { DeviceProfile } from '@antirio/edgex-contracts';
import { AntirioError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import { callJson, parseInput, type Bus, type Check, type HttpPeer, type Log } from '@antirio/host';
import { z } from 'zod';
import { directoryOf } from '../directory.ts';
import { createPoster } from '../north/poster.ts';
import type { DeviceLoraOptions, DeviceOptions } from '../options.ts';
import type { South } from '../south.ts';
import { createChirpStackDownlinks, type ChirpStackDownlinks } from './downlinks.ts';
import { createForwarder } from './forwarder.ts';
import type { HandedOverCounts } from './handed-over.ts';
import { createIntake, type Intake } from './intake.ts';
import type { ChirpStackOptions } from './options.ts';
import { openChirpStackRing, type ChirpStackRing } from './ring.ts';
import { openMqttSource, type MqttSource } from './sources.ts';
import { openChirpStackStore, type ChirpStackStore, type KnownDevice } from './store.ts';

const ROOM = 'device-lora';
const FILE = 'chirpstack.db';

export interface ChirpStackPorts {
  readonly options: DeviceLoraOptions;
  readonly chirpStack: ChirpStackOptions;
  readonly south: South;
  readonly profiles: ReadonlyMap<string, DeviceProfile>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus: Bus;
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

/** Whether a neighbour may act for devices of ChirpStack's, and if not, why. */
export interface MayAct {
  readonly mayAct: boolean;
  readonly why?: string;
}

/** ChirpStack as the network server of some devices. */
export interface ChirpStack {
  readonly devices: readonly DeviceOptions[];
  readonly intake: Intake;
  readonly downlinks: ChirpStackDownlinks;
  readonly through: ChirpStackOptions['gateways'];
  /** An event by HTTP. @throws AntirioError as the intake; unavailable before the start */
  post: Intake['take'];
  readonly takesHttp: boolean;
  device(device: DeviceOptions): KnownDevice | undefined;
  readonly kept: Pick<ChirpStackStore, 'conflicts' | 'unseen' | 'see'>;
  waiting(): { readonly events: number; readonly bytes: number };
  /** Frames that were handed to ChirpStack behind our bridge; undefined where it has its own way to them. */
  handedOver(): HandedOverCounts | undefined;
  mayAct(): Promise<MayAct>;
  /** How it stands; read again and again, so that it is answered at once. */
  check(): Check;
  /** Events are taken from now on: the keys are here by which sessions are told. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

const gatewayList = z.looseObject({ gateways: z.array(z.looseObject({ gatewayId: z.string() })) });

const OWN_WAY =
  "ChirpStack has its own way to its gateways: it would go on answering its devices whoever holds their lease. Let its gateways connect through our gateway-bridge (docs/chirpstack.md) and say so: deviceLora.chirpStack.gateways: 'ourBridge'";

/** Whether all gateways that ChirpStack hears by are the bridge's. */
async function judgeGateways(
  { gateways }: ChirpStackOptions,
  heard: readonly string[],
  bridge: HttpPeer | undefined,
): Promise<MayAct> {
  if (gateways === 'ownWay') return { mayAct: false, why: OWN_WAY };
  if (bridge === undefined)
    return { mayAct: false, why: 'there is no gateway-bridge to ask for its gateways' };
  const answer = parseInput(gatewayList, await callJson(bridge, { path: '/api/v3/gateway' }));
  const ours = new Set(answer.gateways.map(({ gatewayId }) => gatewayId.toLowerCase()));
  const others = heard.filter((gatewayId) => !ours.has(gatewayId));
  if (others.length === 0) return { mayAct: true };
  const why = `ChirpStack hears by gateways that are not our gateway-bridge's: ${others.slice(0, 4).join(', ')}. ${OWN_WAY}`;
  return { mayAct: false, why };
}

interface Parts {
  readonly store: ChirpStackStore;
  readonly intake: Intake;
  readonly downlinks: ChirpStackDownlinks;
}

function openParts(
  ports: ChirpStackPorts,
  store: ChirpStackStore,
  onTaken: () => void,
  publish: ((topic: string, payload: string) => Promise<void>) | undefined,
): Parts {
  const { options, chirpStack, south, profiles, clock, log } = ports;
  const { serviceName, devices } = options;
  const downlinks = createChirpStackDownlinks({
    ...{
      store: south.downlinks,
      devices: directoryOf(devices.filter(({ network }) => network === 'chirpStack')).byEui,
    },
    ...{ publish, clock, log, timeoutMs: chirpStack.downlinkTimeoutS * 1000 },
    applicationOf: (devEui) => store.device(devEui)?.applicationId,
    topicPrefix: chirpStack.mqtt?.topicPrefix ?? '',
  });
  const intake = createIntake({
    ...{ serviceName, devices, store, clock, log, onTaken },
    ...{ latest: south.latest, lastHeard: south.lastHeard },
    maxWaitingBytes: chirpStack.maxWaitingBytes,
    profileOf: (name) => profiles.get(name),
    sessions: () => south.activation.sessions,
    onDownlink: (device, event) => downlinks.told(device, event),
    onDevice: ({ devEui }) => {
      if (south.downlinks.open(devEui).some(({ state }) => state === 'queued')) downlinks.poke();
    },
  });
  return { store, intake, downlinks };
}

/** Events are taken once it has begun. @throws AntirioError badConfig */
export function openChirpStack(ports: ChirpStackPorts): ChirpStack {
  const { options, chirpStack, south, log, bus, peers } = ports;
  const coreData = peers['coreData'];
  if (coreData === undefined) throw new AntirioError('badConfig', 'device-lora needs the peer coreData');
  const store = openChirpStackStore(join(options.dataDir, ROOM, FILE));
  const poster = createPoster({ coreData, ...options.reading });
  const forwarder = createForwarder({ store, poster, parking: south.store, log });
  const later: { source?: MqttSource; ring?: ChirpStackRing; begun?: true } = {};
  const publish = async (topic: string, payload: string): Promise<void> => {
    if (later.source === undefined) throw new AntirioError('unavailable', 'not connected yet');
    await later.source.publish(topic, payload);
  };
  const { mqtt } = chirpStack;
  const theirs = options.devices.filter(({ network }) => network === 'chirpStack');
  const onTaken = (): void => forwarder.poke();
  const { intake, downlinks } = openParts(ports, store, onTaken, mqtt === undefined ? undefined : publish);
  const begin = async (): Promise<void> => {
    later.begun = true;
    const { gatewayBridge: bridge } = peers;
    if (chirpStack.gateways === 'ourBridge' && bridge !== undefined)
      later.ring = openChirpStackRing({
        bridge,
        devices: theirs,
        range: chirpStack.devAddrRange,
        deviceOf: ({ devEui }) => store.device(devEui),
        told: () => Object.values(intake.counts()).reduce((all, count) => all + count, 0),
        ...{ clock: ports.clock, log },
      });
    if (mqtt === undefined) return;
    const clientId = store.once('clientId', () => `antirio-${uuidV4(ports.random)}`);
    later.source = await openMqttSource({ options: mqtt, bus, clientId, intake, log });
    downlinks.poke();
  };
  const close = async (): Promise<void> => {
    await later.ring?.stop();
    await later.source?.close();
    await downlinks.close();
    await forwarder.close();
    await store.close();
  };
  return {
    devices: theirs,
    ...{ intake, downlinks, begin, close },
    async post(name, bytes) {
      if (later.begun === undefined) throw new AntirioError('unavailable', 'the service is starting');
      return intake.take(name, bytes);
    },
    takesHttp: chirpStack.http,
    through: chirpStack.gateways,
    device: ({ devEui }) => store.device(devEui),
    kept: store,
    waiting: () => ({ events: store.waitingCount, bytes: store.waitingBytes }),
    handedOver: () => later.ring?.handedOver(),
    mayAct: () => judgeGateways(chirpStack, intake.gateways(), peers['gatewayBridge']),
    check() {
      const link = later.source?.health() ?? { ok: true };
      if (!link.ok) return { ok: false, detail: `ChirpStack's broker: ${link.detail ?? 'not reached'}` };
      const isFull = store.waitingBytes >= chirpStack.maxWaitingBytes;
      return isFull
        ? { ok: false, detail: `${store.waitingCount} readings wait for core-data, and no more are taken` }
        : ([later.ring?.check() ?? { ok: true }, intake.check(), poster.check()].find(({ ok }) => !ok) ?? {
            ok: true,
          });
    },
  };
}
