import { z } from 'zod';
import type { Bus, HttpPeer, Log } from '@antirio/host';
import { fromUtf8, type Clock, type Random } from '@antirio/kernel';
import type { Instance } from '@antirio/runtime';
import type { OrchestratorOptions } from '../options.ts';
import type { ForeignRim } from '../rim/foreign-rim.ts';
import type { GivenUp } from '../flow/records.ts';
import type { OrchestratorStore } from '../store.ts';
import type { Folders } from './folders.ts';
import type { GroupRuntime } from './group-runtime.ts';
import type { GuestRooms } from '../volume/guest-volumes.ts';
import type { SecretsKeeper } from './secrets.ts';
import { settingsKey } from './service-config.ts';
import type { Seen } from './service-plan.ts';
import { volumesOf, type ServiceRecord } from './service-record.ts';

/** What every service's work needs of the room. */
export interface ServiceRoom {
  readonly options: OrchestratorOptions;
  readonly store: OrchestratorStore;
  readonly runtime: GroupRuntime;
  readonly folders: Folders;
  readonly secrets: SecretsKeeper;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly peers: Readonly<Record<'migration' | 'coreData' | 'coreMetadata', HttpPeer>>;
  readonly brokerSocket: string;
  /** @throws AntirioError unavailable while the broker has none. */
  readonly brokerSecret: () => Uint8Array;
  /** How core-command reaches this room, without a slash at the end. */
  readonly baseUrl: () => string;
  /** What was fetched for a version that is wanted no more goes; with the last one the contract is over. */
  readonly endContract: (serviceId: string, givenUp?: GivenUp) => void;
  readonly volumes: GuestRooms;
  readonly onForeignCall: (outcome: 'passed' | 'refused' | 'failed') => void;
}

const statusSchema = z.looseObject({ state: z.enum(['shadow', 'reading']) });
export type ServiceStatus = z.output<typeof statusSchema>;

const MAX_STATUS_BYTES = 64 * 1024;

/** Undefined for what is no status of a device service. */
export function parseStatus(payload: Uint8Array): ServiceStatus | undefined {
  if (payload.length > MAX_STATUS_BYTES) return undefined;
  try {
    return statusSchema.safeParse(JSON.parse(fromUtf8(payload))).data;
  } catch {
    return undefined;
  }
}

/** What this process knows of one service besides its record; times are monotonic ms. */
export interface ServiceState {
  rim: ForeignRim | undefined;
  /** Which archive was checked. */
  verified: string | undefined;
  /** Which settings the instance was made from. */
  settings: string | undefined;
  /** The last since the service was started. */
  status: ServiceStatus | undefined;
  heardAt: number;
  startedAt: number;
  toldToStandDownAt: number | undefined;
}

export function newState(): ServiceState {
  return {
    rim: undefined,
    verified: undefined,
    settings: undefined,
    status: undefined,
    heardAt: 0,
    startedAt: 0,
    toldToStandDownAt: undefined,
  };
}

export const archiveKey = (record: ServiceRecord): string =>
  JSON.stringify([record.imageCid, record.archive]);

/** A service that keeps on reading this long after it was told to stand down counts as silent, and is stopped. */
const STAND_DOWN_MS = 3000;

function isSilent(room: ServiceRoom, state: ServiceState): boolean {
  const now = room.clock.monotonic();
  const told = state.toldToStandDownAt;
  if (told !== undefined && state.status?.state === 'reading' && now - told > STAND_DOWN_MS) return true;
  const { ok } = room.bus.health();
  return ok && now - Math.max(state.heardAt, state.startedAt) > room.options.serviceSilenceMs;
}

async function imageState({ runtime, store }: ServiceRoom, record: ServiceRecord): Promise<Seen['image']> {
  const { imageId, serviceId } = record;
  if (imageId === undefined || !(await runtime.loaded(imageId))) return 'absent';
  const users = store.services
    .all()
    .filter(
      (other) => other.serviceId !== serviceId && other.imageId === imageId && other.desired !== 'absent',
    );
  return users.length === 0 ? 'loaded' : 'shared';
}

const isCurrent = (record: ServiceRecord, state: ServiceState): boolean =>
  record.imageId !== undefined && state.settings === settingsKey(record, record.imageId);

function seenInstance(room: ServiceRoom, state: ServiceState, instance: Instance | undefined) {
  const is = instance?.state ?? 'absent';
  const exists = is === 'running' || is === 'frozen';
  return {
    instance: is,
    status: exists ? (state.status?.state ?? 'none') : 'none',
    silent: is === 'running' && isSilent(room, state),
  } as const;
}

function volumesSeen({ volumes }: ServiceRoom, record: ServiceRecord): Pick<Seen, 'volumes'> {
  const { contractId } = record;
  if (volumes.isStopped(contractId)) return { volumes: 'stopped' };
  return volumes.isDue(contractId, volumesOf(record)) ? { volumes: 'due' } : {};
}

/** Looks at everything that the plan goes by. */
export async function look(room: ServiceRoom, record: ServiceRecord, state: ServiceState): Promise<Seen> {
  return {
    ...seenInstance(room, state, await room.runtime.instance(record.serviceId)),
    archiveVerified: state.verified === archiveKey(record),
    image: await imageState(room, record),
    rimOpen: state.rim !== undefined,
    current: isCurrent(record, state),
    secretsHeld: room.secrets.held(record.serviceId),
    ...volumesSeen(room, record),
  };
}
