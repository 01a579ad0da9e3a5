import type { OrchestratorStore } from '../store.ts';
import { fetchedFor, isOfSameOwner } from '../flow/provider-accept.ts';
import type { GivenUp, ProviderContract } from '../flow/records.ts';
import type { ServiceRecord, VersionSwitch } from './service-record.ts';
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
}

/** One step of a contract's change of versions, durable when it resolves. @returns whether there was one */
export async function advanceVersions(contractId: string, ports: VersionPorts): Promise<boolean> {
  const { store, clock, options } = ports.room;
  const { current, next, former } = versionsOf(store, contractId);
  if (current === undefined) return false;
  const sent = sentByOwner(store, current);
  const newest = sent.find(({ status }) => status === 'LOADED')?.contractId;
  endOutdated(sent, ports.room);
  // A version that is on its way out may come again once it is gone
  if (next === undefined && former.some(({ serviceId }) => serviceId === newest)) return false;
  const look = async (record: ServiceRecord): Promise<SeenVersion> => ({
    record,
    ...(await ports.report(record.serviceId)),
  });
  const seenNext = next === undefined ? {} : { next: await look(next) };
  const times = { nowMs: clock.now(), limitMs: options.switchOverMs };
  const step = planVersions({ current: await look(current), ...seenNext, newest, ...times });
  // What was looked at may have changed meanwhile: then it is looked at again
  const now = versionsOf(store, contractId);
  if (step === undefined || now.current === undefined) return false;
  if (!isAsBefore(now.current, current) || !isAsBefore(now.next, next)) return false;
  carryOut(step, now.current, now.next, ports);
  return true;
}

/** With what was last wanted of the contract as a whole, whichever version it was said of. */
export function asWhole(next: ServiceRecord, { epoch, limits }: ServiceRecord): ServiceRecord {
  const { limits: _, ...rest } = next;
  return { ...rest, epoch, ...(limits === undefined ? {} : { limits }) };
}

const isAsBefore = (now: ServiceRecord | undefined, before: ServiceRecord | undefined): boolean =>
  now?.serviceId === before?.serviceId && now?.updatedAt === before?.updatedAt;

function carryOut(
  step: VersionStep,
  current: ServiceRecord,
  next: ServiceRecord | undefined,
  { room, changed }: VersionPorts,
): void {
  const { store, clock, secrets, log } = room;
  const now = clock.now();
  const { contractId } = current;
  log.info({ contractId, step, from: current.serviceId, to: next?.serviceId }, 'change of versions');
  if (step.do === 'begin') {
    store.services.put(beginning(store, current, step.serviceId, now));
    changed(step.serviceId);
    return;
  }
  if (next === undefined) return;
  if (step.do === 'takeOver') {
    secrets.copy(current.serviceId, next.serviceId);
    store.services.put({ ...next, desired: 'active', begunAt: now, updatedAt: now });
  } else if (step.do === 'stepBack') store.services.put({ ...next, desired: 'standby', updatedAt: now });
  else {
    const { lastSwitch: _, ...before } = current;
    const ended = { from: current.imageCid, to: next.imageCid, at: now };
    if (step.do === 'swap') {
      const { begunAt: _at, ...after } = asWhole(next, current);
      const { standby } = current;
      const lastSwitch: VersionSwitch = { ...ended, outcome: 'done' };
      exchange(store, { ...after, role: 'current', standby, lastSwitch, updatedAt: now }, before, now);
    } else {
      const { outcome, reason } = step;
      const stays = { ...current, lastSwitch: { ...ended, outcome, reason }, updatedAt: now };
      exchange(store, stays, next, now, { outcome, reason, at: now });
    }
  }
  changed(current.serviceId);
  changed(next.serviceId);
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
  const { lastSwitch: _, imageId: _id, ...rest } = current;
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
