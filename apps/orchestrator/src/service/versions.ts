import { createBackoff } from '@antirio/durable-work';
import { describeError } from '@antirio/kernel';
import type { OrchestratorStore } from '../store.ts';
import { fetchedFor, isOfSameOwner } from '../flow/provider-accept.ts';
import type { GivenUp, ProviderContract } from '../flow/records.ts';
import type { ServiceRecord, VersionSwitch } from './service-record.ts';
import type { DataCopy } from './folders.ts';
import type { ServiceRoom } from './service-room.ts';
import type { ServiceReport } from './service-work.ts';
import { planVersions, type SeenVersion, type VersionStep } from './version-plan.ts';

/** The versions of one contract's service. */
export interface Versions {
  readonly current: ServiceRecord | undefined;
  readonly next: ServiceRecord | undefined;
  readonly former: readonly ServiceRecord[];
}

export function versionsOf(store: OrchestratorStore, contractId: string): Versions {
  const all = store.services.all().filter((record) => record.contractId === contractId);
  return {
    current: all.find(({ role }) => role === 'current'),
    next: all.find(({ role }) => role === 'next'),
    former: all.filter(({ role }) => role === 'former'),
  };
}

const age = ({ askedAt, createdAt }: ProviderContract): number => askedAt ?? createdAt;

/** What the owner of the current version sent, and nobody else, the newest first. */
function sentByOwner(store: OrchestratorStore, current: ServiceRecord): ProviderContract[] {
  const owned = store.providers.get(current.serviceId);
  if (owned === undefined) return [];
  return fetchedFor(store, current.contractId)
    .filter((one) => isOfSameOwner(one, owned))
    .sort((a, b) => age(b) - age(a));
}

const OVERTAKEN = 'another version came';

/** Why a version will never run: it failed, or another came after it while it was on its way. */
function whyOutdated(
  { status, versionOf, error = 'no reason given' }: ProviderContract,
  overtaken: boolean,
): Omit<GivenUp, 'at'> | undefined {
  if (status === 'ENDING' || status === 'ENDED') return undefined;
  if (status === 'FAILED' && versionOf !== undefined) return { outcome: 'failed', reason: error };
  return overtaken ? { outcome: 'superseded', reason: OVERTAKEN } : undefined;
}

/** Versions that will never run go at once. */
function endOutdated(sent: readonly ProviderContract[], { store, endContract, clock }: ServiceRoom): void {
  const newest = sent.findIndex(({ status }) => status === 'LOADED');
  for (const [place, one] of sent.entries()) {
    const why = whyOutdated(one, newest !== -1 && place > newest);
    if (why !== undefined && store.services.get(one.contractId) === undefined)
      endContract(one.contractId, { ...why, at: clock.now() });
  }
}

export interface VersionPorts {
  readonly room: ServiceRoom;
  readonly report: (serviceId: string) => Promise<ServiceReport>;
  /** The record of the service has changed, or there is a new one. */
  readonly changed: (serviceId: string) => void;
  /** Told when this room stops. */
  readonly signal: AbortSignal;
}

async function planned(
  { current, next }: Versions,
  newest: string | undefined,
  { room, report }: VersionPorts,
): Promise<VersionStep | undefined> {
  const { clock, options } = room;
  if (current === undefined) return undefined;
  const look = async (record: ServiceRecord): Promise<SeenVersion> => ({
    record,
    ...(await report(record.serviceId)),
  });
  const seen = { current: await look(current), ...(next === undefined ? {} : { next: await look(next) }) };
  const limits = { limitMs: options.switchOverMs, haltedLimitMs: options.handOver.limitMs };
  return planVersions({ ...seen, newest, nowMs: clock.now(), ...limits });
}

/** One step of a contract's change of versions, durable when it resolves. @returns whether there was one */
export async function advanceVersions(contractId: string, ports: VersionPorts): Promise<boolean> {
  const { store } = ports.room;
  const seen = versionsOf(store, contractId);
  const { current, next, former } = seen;
  if (current === undefined) return false;
  const sent = sentByOwner(store, current);
  const newest = sent.find(({ status }) => status === 'LOADED')?.contractId;
  endOutdated(sent, ports.room);
  // A version that is on its way out may come again once it is gone
  if (next === undefined && former.some(({ serviceId }) => serviceId === newest)) return false;
  const step = await planned(seen, newest, ports);
  return step === undefined ? false : doStep(step, seen, ports);
}

/** The contract may end at any moment: then all of its versions do. */
const isWanted = (record: ServiceRecord | undefined): record is ServiceRecord =>
  record !== undefined && record.desired !== 'absent';

async function doStep(step: VersionStep, before: Versions, ports: VersionPorts): Promise<boolean> {
  if (before.current === undefined) return false;
  const { current, next } = versionsOf(ports.room.store, before.current.contractId);
  // What was looked at may have changed meanwhile: then it is looked at again
  if (!isWanted(current) || !isAsBefore(current, before.current) || !isAsBefore(next, before.next))
    return false;
  if (step.do === 'give' && next !== undefined) await give(current, next, ports);
  else carryOut(step, current, next, ports);
  return true;
}

/** With what was last wanted of the contract as a whole, whichever version it was said of. */
export function asWhole(next: ServiceRecord, { epoch, limits }: ServiceRecord): ServiceRecord {
  const { limits: _, ...rest } = next;
  return { ...rest, epoch, ...(limits === undefined ? {} : { limits }) };
}

const isAsBefore = (now: ServiceRecord | undefined, before: ServiceRecord | undefined): boolean =>
  now?.serviceId === before?.serviceId && now?.updatedAt === before?.updatedAt;

type Step<Of extends VersionStep['do']> = Extract<VersionStep, { do: Of }>;

function carryOut(
  step: VersionStep,
  current: ServiceRecord,
  next: ServiceRecord | undefined,
  { room, changed }: VersionPorts,
): void {
  const { store, clock, log } = room;
  const now = clock.now();
  const { contractId } = current;
  log.info({ contractId, step, from: current.serviceId, to: next?.serviceId }, 'change of versions');
  if (step.do === 'begin') {
    store.services.put(beginning(store, current, step.serviceId, now));
    changed(step.serviceId);
    return;
  }
  if (next === undefined) return;
  if (step.do === 'swap' || step.do === 'giveUp') end(step, current, next, room);
  else if (step.do !== 'give') handOver(step, current, next, room);
  changed(current.serviceId);
  changed(next.serviceId);
}

const HAND_OVER_AGAIN = { firstDelayMs: 5000, maxDelayMs: 60_000 };

function handOver(
  step: Step<'halt' | 'takeOver' | 'stepBack' | 'takeBack' | 'resume'>,
  current: ServiceRecord,
  next: ServiceRecord,
  { store, clock, random, secrets }: ServiceRoom,
): void {
  const updatedAt = clock.now();
  const both = (one: ServiceRecord, other: ServiceRecord): void =>
    store.transaction(() => {
      for (const record of [one, other]) store.services.put({ ...record, updatedAt });
    });
  if (step.do === 'halt')
    both({ ...current, halted: true }, { ...next, halted: true, data: 'taken', haltedAt: updatedAt });
  else if (step.do === 'takeOver') {
    secrets.copy(current.serviceId, next.serviceId);
    store.services.put({ ...next, desired: 'active', updatedAt });
  } else if (step.do === 'stepBack') store.services.put({ ...next, desired: 'standby', updatedAt });
  else if (step.do === 'takeBack') {
    const times = (next.inVain?.times ?? 0) + 1;
    const notBefore = updatedAt + Math.round(createBackoff(HAND_OVER_AGAIN, random)(times));
    const inVain = { times, reason: step.reason, notBefore };
    secrets.drop(next.serviceId);
    store.services.put({ ...next, desired: 'standby', halted: true, data: 'back', inVain, updatedAt });
  } else both(running(current), running(next));
}

/** Neither halted nor about to take a place. */
function running(record: ServiceRecord): ServiceRecord {
  const { halted: _halted, data: _data, haltedAt: _at, ...rest } = record;
  return rest;
}

/** The one that the other goes on from is stopped, and stays so: what is copied is what it left, whenever this process ends. */
async function give(current: ServiceRecord, next: ServiceRecord, ports: VersionPorts): Promise<void> {
  const { store, clock, log } = ports.room;
  const { contractId, serviceId } = next;
  log.info({ contractId, from: current.serviceId, to: serviceId }, 'data of a version are handed over');
  const copied = await copyOf(current, next, ports);
  const now = versionsOf(store, contractId);
  if (!isWanted(now.current) || now.next?.serviceId !== serviceId || now.next.data !== 'taken') {
    copied.drop?.();
    return;
  }
  if (copied.failure !== undefined) {
    const reason = `the data of the version before cannot be handed over: ${copied.failure}`;
    carryOut({ do: 'takeBack', reason }, now.current, now.next, ports);
    return;
  }
  copied.putInPlace?.();
  const { halted: _, ...rest } = now.next;
  store.services.put({ ...rest, data: 'given', updatedAt: clock.now() });
  ports.changed(serviceId);
}

async function copyOf(
  current: ServiceRecord,
  next: ServiceRecord,
  { room: { folders, options }, signal }: VersionPorts,
): Promise<Partial<DataCopy> & { readonly failure?: string }> {
  if (isFresh(next)) return {};
  const { maxBytes, maxFiles, limitMs } = options.handOver;
  const limits = {
    maxBytes,
    maxEntries: maxFiles,
    signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
  };
  try {
    return await folders.copyData(current.serviceId, next.serviceId, limits);
  } catch (error) {
    return { failure: describeError(error) };
  }
}

/** A version whose customer says that it cannot go on from what the one before left: it begins with nothing, and that is lost. */
export function isFresh({ service }: ServiceRecord): boolean {
  const configuration = service['configuration'];
  return (
    typeof configuration === 'object' &&
    configuration !== null &&
    'data' in configuration &&
    configuration.data === 'fresh'
  );
}

function end(
  step: Step<'swap' | 'giveUp'>,
  current: ServiceRecord,
  next: ServiceRecord,
  { store, clock }: ServiceRoom,
): void {
  const now = clock.now();
  const { lastSwitch: _, ...before } = current;
  const ended = { from: current.imageCid, to: next.imageCid, at: now };
  if (step.do === 'swap') {
    const { begunAt: _at, inVain: _why, ...after } = asWhole(running(next), current);
    const { standby } = current;
    const lastSwitch: VersionSwitch = { ...ended, outcome: 'done' };
    exchange(store, { ...after, role: 'current', standby, lastSwitch, updatedAt: now }, before, now);
    return;
  }
  const { outcome, reason } = step;
  const stays = { ...current, lastSwitch: { ...ended, outcome, reason }, updatedAt: now };
  exchange(store, stays, next, now, { outcome, reason, at: now });
}

/** At every moment exactly one version is the current one, whenever this process ends. */
function exchange(
  store: OrchestratorStore,
  stays: ServiceRecord,
  goes: ServiceRecord,
  now: number,
  givenUp?: GivenUp,
): void {
  const fetched = store.providers.get(goes.serviceId);
  store.transaction(() => {
    if (givenUp !== undefined && fetched !== undefined) store.providers.put({ ...fetched, givenUp });
    store.services.put({ ...goes, role: 'former', desired: 'absent', updatedAt: now });
    store.services.put(stays);
  });
}

/** The next version runs in shadow first, whatever kind of standby is asked for: so it shows that it runs at all. */
function beginning(
  store: OrchestratorStore,
  current: ServiceRecord,
  serviceId: string,
  now: number,
): ServiceRecord {
  const fetched = store.providers.get(serviceId);
  const { lastSwitch: _, imageId: _id, ...rest } = running(current);
  return {
    ...rest,
    serviceId,
    role: 'next',
    desired: 'standby',
    standby: 'hot',
    imageCid: fetched?.imageHash ?? current.imageCid,
    archive: fetched?.archive ?? current.archive,
    service: { ...current.service, configuration: fetched?.configuration },
    begunAt: now,
    updatedAt: now,
  };
}
