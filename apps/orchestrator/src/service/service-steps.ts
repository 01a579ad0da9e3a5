import { chownSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { verifyImageArchive, type SpecVolume } from '@antirio/runtime';
import { openForeignRim, SERVICE_SOCKET } from '../rim/foreign-rim.ts';
import { companionsFor, forgetCompanions, linksOf, mountsOf, verifyCompanions } from './companions.ts';
import { requireFetched } from './fetched.ts';
import { forgetGuest } from './guest-names.ts';
import { SECRETS_FILE } from './secrets.ts';
import { controlTopic, foreignConfig, settingsKey, specOf } from './service-config.ts';
import type { Step } from './service-plan.ts';
import { fetchedAs, volumesOf, type ServiceRecord } from './service-record.ts';
import { archiveKey, type ServiceRoom, type ServiceState } from './service-room.ts';
import { fetchedFor } from '../flow/provider-accept.ts';

interface Task {
  readonly room: ServiceRoom;
  readonly record: ServiceRecord;
  readonly state: ServiceState;
}

function pin({ room, record, state }: Task, imageId: string): void {
  const current = room.store.services.get(record.serviceId);
  // The wish may have changed while the archive was read
  if (current === undefined || archiveKey(current) !== archiveKey(record)) return;
  if (current.imageId !== imageId) room.store.services.put({ ...current, imageId });
  state.verified = archiveKey(record);
}

function requireContractImage({ room, record }: Task): void {
  const contract = room.store.providers.get(fetchedAs(record));
  if (contract?.imageHash !== record.imageCid)
    throw new AntirioError('forbidden', 'no contract here is about this image', {
      imageCid: record.imageCid,
    });
}

async function requireOwnArchive(task: Task): Promise<void> {
  requireContractImage(task);
  const { record, room } = task;
  await requireFetched(room.peers.migration, fetchedAs(record), record.archive);
}

async function verify(task: Task): Promise<void> {
  await requireOwnArchive(task);
  const { record } = task;
  const imageId = await verifyImageArchive(record.archive);
  if (record.imageId !== undefined && record.imageId !== imageId)
    throw new AntirioError('corrupt', 'the archive holds another image than before', { imageId });
  await verifyCompanions(task.room, record);
  pin(task, imageId);
}

async function load(task: Task): Promise<void> {
  await requireOwnArchive(task);
  pin(task, (await task.room.runtime.load(task.record.archive, task.record.imageId)).imageId);
}

async function openRim({ room, record, state }: Task): Promise<void> {
  const { contractId } = record;
  const { runDir } = room.folders.make(record.serviceId);
  state.rim = await openForeignRim({
    contractId,
    runDir,
    brokerSocket: room.brokerSocket,
    baseAddress: `${room.baseUrl()}/orchestrator/v1/foreign/${contractId}`,
    coreData: room.peers.coreData,
    coreMetadata: room.peers.coreMetadata,
    log: room.log,
    onCall: room.onForeignCall,
  });
}

function linked(room: ServiceRoom, record: ServiceRecord): { readonly linksDir?: string } {
  const linksDir = linksOf(room, record);
  return linksDir === undefined ? {} : { linksDir };
}

function mounted(room: ServiceRoom, record: ServiceRecord): { readonly volumes?: readonly SpecVolume[] } {
  const volumes = mountsOf(room, record, volumesOf(record).own);
  return volumes.length === 0 ? {} : { volumes };
}

async function fillVolumes({ room, record }: Task): Promise<void> {
  const { contractId, serviceId } = record;
  const volumes = volumesOf(record);
  const fill = (): Promise<void> => room.volumes.restore(contractId, volumes);
  if (Object.keys(volumes.beside).length === 0) await fill();
  else await room.runtime.withoutCompanions(serviceId, fill);
}

async function prepare({ room, record, state }: Task): Promise<void> {
  const { runtime, folders, options } = room;
  const { imageId } = record;
  if (imageId === undefined) throw new AntirioError('internal', 'prepared before its image was known');
  const made = folders.make(record.serviceId);
  const spec = {
    ...specOf(record, imageId, made, options.limits),
    ...linked(room, record),
    ...mounted(room, record),
  };
  const companions = await companionsFor(room, record, spec);
  const file = join(made.runDir, 'config.json');
  writeFileDurably(file, JSON.stringify(foreignConfig(record, runtime.view(spec), room.brokerSecret())));
  if (runtime.user !== undefined) chownSync(file, runtime.user.uid, runtime.user.gid);
  await runtime.prepareGroup(record.serviceId, companions);
  await runtime.prepare(spec, 'warm');
  state.settings = settingsKey(record, imageId);
}

function begun({ room, state }: Task): void {
  state.startedAt = room.clock.monotonic();
  state.toldToStandDownAt = undefined;
}

async function start(task: Task): Promise<void> {
  const { room, record } = task;
  // A service that was killed leaves its socket behind, on which nobody listens
  rmSync(join(room.folders.of(record.serviceId).runDir, SERVICE_SOCKET), { force: true });
  task.state.status = undefined;
  begun(task);
  await room.runtime.start(record.serviceId);
}

async function order({ room, record }: Task, message: object): Promise<void> {
  await room.bus.publish(controlTopic(record), JSON.stringify(message), { qos: 1 });
}

async function activate(task: Task): Promise<void> {
  const { runtime, folders, options } = task.room;
  const { record } = task;
  const spec = specOf(record, record.imageId ?? '', folders.of(record.serviceId), options.limits);
  task.state.toldToStandDownAt = undefined;
  await order(task, { type: 'activate', secretsFile: join(runtime.view(spec).secretsDir, SECRETS_FILE) });
}

type Doing = (task: Task) => Promise<void> | void;

const doing: Record<Exclude<Step, 'awaitService'>, Doing> = {
  verify,
  load,
  openRim,
  prepare,
  start,
  fillVolumes,
  activate,
  unload: ({ room, record }) => room.runtime.unload(record.imageId ?? ''),
  async closeRim({ state }) {
    await state.rim?.close();
    state.rim = undefined;
  },
  async thaw(task) {
    begun(task);
    await task.room.runtime.thaw(task.record.serviceId);
  },
  async freeze({ room, record, state }) {
    await room.runtime.freeze(record.serviceId);
    state.rim?.cutBus();
  },
  stop: ({ room, record }) => room.runtime.stop(record.serviceId),
  remove: ({ room, record }) => room.runtime.remove(record.serviceId),
  async standDown(task) {
    task.state.toldToStandDownAt ??= task.room.clock.monotonic();
    await order(task, { type: 'standdown' });
  },
  dropSecrets: ({ room, record }) => room.secrets.drop(record.serviceId),
  async forget({ room, record }) {
    const { contractId, serviceId } = record;
    room.folders.removeRun(serviceId);
    room.folders.removeData(serviceId);
    forgetCompanions(room, record);
    const others = room.store.services
      .all()
      .some((other) => other.contractId === contractId && other.serviceId !== serviceId);
    room.endContract(serviceId);
    if (!others) {
      // What was fetched for it in another version, and the names, which all versions have in common
      for (const fetched of fetchedFor(room.store, contractId)) room.endContract(fetched.contractId);
      await forgetGuest(room.peers.coreMetadata, contractId);
      room.volumes.forget(contractId);
    }
    room.store.services.remove(serviceId);
  },
};

/** Does one step; doing it again does no harm. */
export async function doStep(step: Exclude<Step, 'awaitService'>, task: Task): Promise<void> {
  await doing[step](task);
}
