import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { signedSnapshot } from '@antirio/service-contract';
import { contractId } from '../flow/records.ts';
import { volumesOf, volumeKey } from '../service/service-record.ts';
import type { Services } from '../service/services.ts';
import type { OrchestratorStore } from '../store.ts';
import { fromHex } from '@antirio/kernel';
import type { GuestRooms } from './guest-volumes.ts';
import type { OwnRooms } from './own-volumes.ts';
import type { GuestVolumes, OwnVolumes } from './volume-records.ts';

export interface VolumeServed {
  readonly store: OrchestratorStore;
  readonly services: Services;
  readonly guests: GuestRooms;
  readonly own: OwnRooms;
  readonly poke: () => void;
}

const byContract = z.object({ contractId });
const ofEpoch = z.object({ epoch: z.coerce.number().int().min(0) });
const GUEST = '/orchestrator/v1/guest/:contractId/snapshot';
const VOLUME = '/orchestrator/v1/volume';

interface Asked {
  get(name: string): string | undefined;
}

/** Only that contract's customer, where another edge asks. @throws AntirioError forbidden | notFound */
function customerOf({ store }: VolumeServed, id: string, request: Asked): string {
  const customer = store.providers.get(id)?.edgeId;
  const peer = request.get('x-antirio-peer');
  if (customer === undefined)
    throw new AntirioError('notFound', `no contract ${id} here`, { contractId: id });
  if (peer !== undefined && peer !== customer)
    throw new AntirioError('forbidden', 'these are the volumes of another edge', { contractId: id });
  return customer;
}

/** Of the contract's own service, by its newest record. @throws AntirioError unavailable while there is none */
function volumesAt({ store }: VolumeServed, id: string) {
  const records = store.services.all().filter((one) => one.contractId === id);
  const [first] = records;
  if (first === undefined)
    throw new AntirioError('unavailable', 'the service is not here yet', { contractId: id });
  const current = records.find(({ role }) => role === 'current') ?? first;
  return { volumes: volumesOf(current), serves: records.some(({ desired }) => desired === 'active') };
}

function addGuestRoutes(rim: HttpRim, served: VolumeServed): void {
  const { guests } = served;
  const offering = { summary: 'a snapshot of its volumes, by their customer', params: byContract };
  rim.route(
    'post',
    GUEST,
    { ...offering, body: z.strictObject({ snapshot: signedSnapshot }), status: 202 },
    ({ params, body, request }) => {
      const customer = customerOf(served, params.contractId, request);
      if (body.snapshot.body.contractId !== params.contractId)
        throw new AntirioError('invalidInput', 'path and snapshot name different contracts');
      const { volumes, serves } = volumesAt(served, params.contractId);
      const refused = guests.offer(customer, volumes, body.snapshot, serves);
      if (refused === undefined) served.poke();
      const { held, refused: trouble } = guests.of(params.contractId) ?? {};
      return {
        held: held?.body.seq ?? 0,
        refused,
        trouble: refused === undefined ? trouble?.reason : undefined,
      };
    },
  );
  rim.route(
    'get',
    GUEST,
    { summary: 'what goes home of an epoch', params: byContract, query: ofEpoch },
    ({ params, query, request }) => {
      customerOf(served, params.contractId, request);
      const home = guests.of(params.contractId)?.home;
      if (home?.epoch !== query.epoch) return { state: 'waits' };
      return home.snapshot === undefined
        ? { state: 'none', reason: home.none }
        : { state: 'home', snapshot: home.snapshot };
    },
  );
}

function addTakeHome(rim: HttpRim, { store, services, guests }: VolumeServed): void {
  const body = z.strictObject({ epoch: z.int().min(0), volumeKey: volumeKey.optional() });
  rim.route(
    'post',
    '/orchestrator/v1/service/:contractId/take-home',
    {
      summary: 'stops the service and seals what it left in its volumes; idempotent',
      params: byContract,
      body,
    },
    async ({ params: { contractId: id }, body: { epoch, volumeKey: key } }) => {
      const record = store.services.all().find((one) => one.contractId === id);
      if (record === undefined) return {};
      const volumes = volumesOf(record);
      if (Object.keys(volumes.named).length === 0) return {};
      if (key !== undefined) guests.giveKey(id, key.version, fromHex(key.key, 32));
      guests.stopFor(id, epoch);
      await services.stopped(id);
      const stated = await guests.takeHome(id, volumes, epoch);
      return stated === undefined ? {} : { volumes: stated };
    },
  );
}

function ageOf(takenAt: number | undefined, now: number): number | undefined {
  return takenAt === undefined ? undefined : Math.max(0, now - takenAt);
}

/** For people: everything but keys. */
function guestView(one: GuestVolumes, now: number) {
  const { contractId: id, held, coming, live, liveAt, unrestored, refused, home, customer } = one;
  return {
    ...{ contractId: id, role: 'provider', customer },
    held: held && { seq: held.body.seq, cid: held.body.cid, size: held.body.size },
    heldAgeMs: ageOf(held?.body.takenAt, now),
    coming: coming?.body.seq,
    restored: live === undefined ? undefined : { seq: live, at: liveAt },
    ...{ unrestored, refused },
    home: home && { epoch: home.epoch, cid: home.snapshot?.body.cid, none: home.none, at: home.at },
  };
}

function ownView(one: OwnVolumes, now: number) {
  const { contractId: id, provider, newest, held, lookedAt, failed, refused, home, kept, away } = one;
  const isHeld = newest !== undefined && held?.seq === newest.signed.body.seq;
  return {
    ...{ contractId: id, role: 'customer', provider, away, failed, refused, home, kept },
    newest: newest && { seq: newest.signed.body.seq, cid: newest.signed.body.cid, bytes: newest.bytes },
    held: held?.seq,
    // What has not changed since is as new as the last look at it
    heldAgeMs: ageOf(isHeld ? lookedAt : (held?.at ?? one.since), now),
  };
}

/** Snapshots of volumes: what a customer and its provider say to each other, and what people are told. */
export function addVolumeRoutes(rim: HttpRim, served: VolumeServed, now: () => number): void {
  const { guests, own } = served;
  addGuestRoutes(rim, served);
  addTakeHome(rim, served);
  rim.route('get', VOLUME, { summary: 'volumes of all contracts and their newest snapshots' }, () => ({
    volumes: [
      ...own.all().map((one) => ownView(one, now())),
      ...guests.all().map((one) => guestView(one, now())),
    ],
  }));
  rim.route(
    'get',
    `${VOLUME}/:contractId/home`,
    { summary: 'what came home of an epoch', params: byContract, query: ofEpoch },
    ({ params, query }) => own.homeOf(params.contractId, query.epoch),
  );
  rim.route(
    'post',
    `${VOLUME}/:contractId/snapshot`,
    { summary: 'takes one now, where anything has changed', params: byContract, status: 202 },
    ({ params }) => {
      own.hurry(params.contractId);
      served.poke();
      return { contractId: params.contractId };
    },
  );
}
