import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory, type Log } from '@antirio/host';
import {
  AntirioError,
  describeError,
  signDocument,
  type Clock,
  type Identity,
  type Random,
} from '@antirio/kernel';
import {
  homeWithinMs,
  isRestoreDue,
  VOLUME_SNAPSHOT_KIND,
  type ContractVolumes,
  type SignedSnapshot,
  type StatedVolumes,
} from '@antirio/service-contract';
import type { Runtime } from '@antirio/runtime';
import type { Records } from '../store.ts';
import { cidsOf, fileOf, isFinal, refusalOf, withOffer, withWhole } from './guest-rules.ts';
import { sealVolumes, unsealVolumes, wrapKey, type VolumeKeys } from './sealed-file.ts';
import type { VolumeObjects } from './volume-objects.ts';
import { Patience } from './patience.ts';
import { guestKey, once, type GuestVolumes, type VolumeRecord } from './volume-records.ts';

export interface GuestVolumePorts {
  /** The room's own folder. */
  readonly dataDir: string;
  readonly records: Records<VolumeRecord>;
  readonly objects: () => VolumeObjects;
  readonly identity: () => Identity;
  readonly user: Runtime['user'];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** As a provider: the volumes of customers' services. */
export interface GuestRooms {
  of(contractId: string): GuestVolumes | undefined;
  all(): GuestVolumes[];
  /** The folder of one volume, made where it is not there. */
  folder(contractId: string, volume: string): string;
  /** In memory only, like the secrets. */
  giveKey(contractId: string, version: number, key: Uint8Array): void;
  /** The service is wanted active anew. */
  begin(contractId: string): void;
  /** What its service wrote since they were filled was under no epoch: they are filled anew before the next one. */
  startAnew(contractId: string): void;
  /** @returns why it is not taken */
  offer(
    customer: string,
    volumes: ContractVolumes,
    snapshot: SignedSnapshot,
    serves: boolean,
  ): string | undefined;
  /** Whether volumes are to be filled before the service may read. */
  isDue(contractId: string, volumes: ContractVolumes): boolean;
  /** Nobody may use the folders meanwhile but a service that has not been activated. */
  restore(contractId: string, volumes: ContractVolumes): Promise<void>;
  /** The service is to stop, and to stay so until it is wanted anew. */
  stopFor(contractId: string, epoch: number): void;
  isStopped(contractId: string): boolean;
  /** Seals what the stopped service left. Asked again it answers the same. */
  takeHome(contractId: string, volumes: ContractVolumes, epoch: number): Promise<StatedVolumes | undefined>;
  /** Fetches and clears up. */
  advance(): Promise<void>;
  forget(contractId: string): void;
}

const HOME_KEPT_MS = 7 * 86_400_000;
const COMING = '.coming';
/** No service wrote under it: nothing goes home. */
const NO_EPOCH = 0;

const totalOf = ({ named }: ContractVolumes): number =>
  Object.values(named).reduce((sum, { maxBytes }) => sum + maxBytes, 0);

class Guests implements GuestRooms {
  readonly #ports: GuestVolumePorts;
  readonly #keys = new Map<string, VolumeKeys>();
  readonly #base: string;
  /** One piece of work for each contract at a time. */
  readonly #homes = new Map<string, Promise<StatedVolumes | undefined>>();
  readonly #patience = new Patience();
  readonly #restoring = new Set<string>();

  constructor(ports: GuestVolumePorts) {
    this.#ports = ports;
    this.#base = join(ports.dataDir, 'volumes');
  }

  of(contractId: string): GuestVolumes | undefined {
    return this.#ports.records.get(guestKey(contractId)) as GuestVolumes | undefined;
  }

  all(): GuestVolumes[] {
    return this.#ports.records
      .all()
      .filter((one): one is GuestVolumes => one.key === guestKey(one.contractId));
  }

  #put(record: GuestVolumes): GuestVolumes {
    return this.#ports.records.put(record) as GuestVolumes;
  }

  #known(contractId: string, customer = ''): GuestVolumes {
    return this.of(contractId) ?? { key: guestKey(contractId), contractId, customer, letGo: [] };
  }

  #place(contractId: string, ...below: string[]): string {
    return join(this.#base, contractId, ...below);
  }

  folder(contractId: string, volume: string): string {
    const path = this.#place(contractId, 'live', volume);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { user } = this.#ports;
    if (user !== undefined) chownSync(path, user.uid, user.gid);
    return path;
  }

  giveKey(contractId: string, version: number, key: Uint8Array): void {
    const known = this.#keys.get(contractId) ?? new Map<number, Uint8Array>();
    this.#keys.set(contractId, new Map([...known, [version, key]]));
  }

  begin(contractId: string): void {
    const known = this.of(contractId);
    if (known?.stoppedFor === undefined) return;
    const { stoppedFor: _over, ...rest } = known;
    this.#put(rest);
  }

  startAnew(contractId: string): void {
    this.#restoring.delete(contractId);
    const known = this.of(contractId);
    if (known?.inUse !== true) return;
    const { live: _none, inUse: _over, ...rest } = known;
    this.#put(rest);
  }

  offer(
    customer: string,
    volumes: ContractVolumes,
    snapshot: SignedSnapshot,
    serves: boolean,
  ): string | undefined {
    const known = this.#known(snapshot.body.contractId, customer);
    const problem = refusalOf(known, snapshot, { customer, maxBytes: totalOf(volumes), serves });
    if (problem === undefined && known.coming?.signature !== snapshot.signature)
      this.#put(withOffer(known, snapshot));
    if (problem !== undefined && problem !== 'old' && problem !== 'busy')
      this.#put({ ...known, refused: once(known.refused, problem, this.#ports.clock.now()) });
    return problem;
  }

  isDue(contractId: string, { named }: ContractVolumes): boolean {
    if (Object.keys(named).length === 0) return false;
    const known = this.of(contractId);
    return known?.inUse !== true && isRestoreDue({ held: known?.held?.body.seq, live: known?.live });
  }

  async restore(contractId: string, volumes: ContractVolumes): Promise<void> {
    const known = this.#known(contractId);
    const { held } = known;
    let trouble: unknown;
    this.#restoring.add(contractId);
    try {
      if (held === undefined) this.#clear(contractId, volumes);
      else await this.#fill(contractId, volumes, held);
    } catch (error) {
      // What can never be opened keeps nobody from being served: the service begins with empty volumes, and that is said
      if (!isFinal(error)) throw error;
      trouble = error;
      this.#clear(contractId, volumes);
    }
    // Wanted no more meanwhile
    if (!this.#restoring.delete(contractId)) return;
    const at = this.#ports.clock.now();
    const { unrestored: before, coming, ...rest } = this.#known(contractId);
    const live = trouble === undefined ? (held?.body.seq ?? 0) : 0;
    const unrestored = trouble === undefined ? {} : { unrestored: once(before, describeError(trouble), at) };
    // What was not here in time is announced again when the service's own has gone home
    const letGo = [...rest.letGo, ...cidsOf(coming)];
    this.#put({ ...rest, letGo, live, liveAt: at, inUse: true, ...unrestored });
    const level = trouble === undefined ? 'info' : 'error';
    this.#ports.log[level]({ contractId, seq: live, ...unrestored }, 'volumes are in place');
  }

  #clear(contractId: string, { named }: ContractVolumes): void {
    for (const name of Object.keys(named)) {
      const folder = this.folder(contractId, name);
      for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true, force: true });
    }
  }

  async #fill(contractId: string, volumes: ContractVolumes, held: SignedSnapshot): Promise<void> {
    const coming = this.#place(contractId, COMING);
    rmSync(coming, { recursive: true, force: true });
    const targets = new Map(
      Object.entries(volumes.named).map(([name, { maxBytes }]) => {
        const dir = join(coming, name);
        mkdirSync(dir, { recursive: true, mode: 0o700 });
        return [name, { dir, maxBytes, owner: this.#ports.user }];
      }),
    );
    const keys = this.#keys.get(contractId) ?? new Map<number, Uint8Array>();
    await unsealVolumes(this.#place(contractId, fileOf(held)), held.body, keys, targets);
    this.#clear(contractId, volumes);
    // Their folders stay: they are mounted. Until `live` is on the disk all of this may be done again.
    for (const [name, { dir }] of targets) {
      const folder = this.folder(contractId, name);
      for (const entry of readdirSync(dir)) renameSync(join(dir, entry), join(folder, entry));
      syncDirectory(folder);
    }
    rmSync(coming, { recursive: true, force: true });
  }

  stopFor(contractId: string, epoch: number): void {
    const known = this.#known(contractId);
    if (known.stoppedFor !== epoch) this.#put({ ...known, stoppedFor: epoch });
  }

  isStopped(contractId: string): boolean {
    return this.of(contractId)?.stoppedFor !== undefined;
  }

  takeHome(contractId: string, volumes: ContractVolumes, epoch: number): Promise<StatedVolumes | undefined> {
    const under = this.#homes.get(contractId);
    if (under !== undefined) return under;
    const work = this.#takeHome(contractId, volumes, epoch).finally(() => this.#homes.delete(contractId));
    this.#homes.set(contractId, work);
    return work;
  }

  async #takeHome(
    contractId: string,
    volumes: ContractVolumes,
    epoch: number,
  ): Promise<StatedVolumes | undefined> {
    const known = this.#known(contractId);
    if (known.home?.epoch !== epoch) {
      const home = await this.#sealHome(known, volumes, epoch);
      const { home: before, inUse: _over, sealing: _done, ...rest } = this.#known(contractId);
      // Of an epoch that was never the service's nothing stays
      const { live: _none, ...fresh } = rest;
      const letGo = [...rest.letGo, ...cidsOf(before?.snapshot)];
      this.#put({ ...(epoch === NO_EPOCH ? fresh : rest), home, letGo });
    }
    const snapshot = this.of(contractId)?.home?.snapshot;
    return snapshot && { cid: snapshot.body.cid, size: snapshot.body.size };
  }

  async #sealHome(
    { contractId, live }: GuestVolumes,
    volumes: ContractVolumes,
    epoch: number,
  ): Promise<NonNullable<GuestVolumes['home']>> {
    const at = this.#ports.clock.now();
    if (epoch === NO_EPOCH || live === undefined) return { epoch, none: 'the service never acted here', at };
    const isLate = this.#isSealingLate(contractId, volumes, epoch);
    try {
      const keys = this.#keys.get(contractId);
      if (keys === undefined)
        throw new AntirioError('unavailable', 'the keys must be given again', { contractId });
      const snapshot = await this.#seal(contractId, volumes, epoch, live, keys);
      return { epoch, snapshot, at };
    } catch (error) {
      if (!isFinal(error) && !isLate) throw error;
      this.#ports.log.error(
        { contractId, error: describeError(error) },
        'ALARM: these volumes cannot go home',
      );
      return { epoch, none: describeError(error), at };
    }
  }

  #isSealingLate(contractId: string, volumes: ContractVolumes, epoch: number): boolean {
    const known = this.#known(contractId);
    const sealing = this.#patience.waited(contractId, epoch, known.sealing, this.#ports.clock.monotonic());
    if (Patience.isToBeWritten(known.sealing, sealing)) this.#put({ ...known, sealing });
    return sealing.ms > homeWithinMs({ maxBytes: totalOf(volumes) });
  }

  async #seal(
    contractId: string,
    volumes: ContractVolumes,
    epoch: number,
    live: number,
    keys: VolumeKeys,
  ): Promise<SignedSnapshot> {
    const { random, clock, identity, objects } = this.#ports;
    const folders = Object.entries(volumes.named).map(([name, { maxBytes }]) => ({
      ...{ name, maxBytes },
      dir: this.folder(contractId, name),
    }));
    const path = this.#place(contractId, `home-${epoch}`);
    const { contentKey, size, sha256 } = await sealVolumes(folders, path, random);
    const cid = await objects().put(`volumes-${contractId}-home-${epoch}`, path);
    rmSync(path, { force: true });
    const about = { contractId, direction: 'home', seq: epoch } as const;
    const newest = [...keys].toSorted(([a], [b]) => b - a).slice(0, 1);
    return {
      ...signDocument(identity(), VOLUME_SNAPSHOT_KIND, {
        ...about,
        ...(live === 0 ? {} : { base: live }),
        ...{ takenAt: clock.now(), cid, size, sha256 },
        keys: wrapKey(about, contentKey, new Map(newest), random),
      }),
      kind: VOLUME_SNAPSHOT_KIND,
    };
  }

  async advance(): Promise<void> {
    for (const { contractId } of this.all()) {
      try {
        await this.#advance(contractId);
      } catch (error) {
        const known = this.#known(contractId);
        const reason = describeError(error);
        if (known.refused?.reason !== reason || isFinal(error))
          this.#put({ ...known, refused: once(known.refused, reason, this.#ports.clock.now()) });
        this.#ports.log.warn({ contractId, error: reason }, 'a snapshot of volumes is not here yet');
      }
    }
  }

  async #advance(contractId: string): Promise<void> {
    await this.#dropAll(contractId);
    const { coming, endedAt, inUse } = this.#known(contractId);
    if (coming !== undefined && endedAt === undefined && inUse !== true)
      await this.#fetch(contractId, coming);
    const over = this.#known(contractId);
    if (over.endedAt === undefined || this.#ports.clock.now() - over.endedAt < HOME_KEPT_MS) return;
    for (const cid of cidsOf(over.home?.snapshot)) await this.#ports.objects().drop(cid);
    this.#ports.records.remove(guestKey(contractId));
  }

  /** First of all: what cannot be fetched holds up nothing of it. */
  async #dropAll(contractId: string): Promise<void> {
    for (const cid of this.#known(contractId).letGo) {
      await this.#ports.objects().drop(cid);
      const known = this.#known(contractId);
      this.#put({ ...known, letGo: known.letGo.filter((one) => one !== cid) });
    }
  }

  /** The newer one is durable before the older one goes. */
  async #fetch(contractId: string, coming: SignedSnapshot): Promise<void> {
    const { cid, size, sha256, seq } = coming.body;
    const name = `volumes-${contractId}-${seq}`;
    mkdirSync(this.#place(contractId), { recursive: true, mode: 0o700 });
    try {
      const path = this.#place(contractId, fileOf(coming));
      const from = this.#known(contractId).customer;
      if (!(await this.#ports.objects().bring({ cid, size, sha256, from }, name, path))) return;
    } catch (error) {
      if (isFinal(error)) this.#dropComing(contractId, coming);
      throw error;
    }
    const before = this.#known(contractId).held;
    this.#put(withWhole(this.#known(contractId), coming, this.#ports.clock.now()));
    if (before !== undefined && before.body.seq !== seq)
      rmSync(this.#place(contractId, fileOf(before)), { force: true });
  }

  #dropComing(contractId: string, coming: SignedSnapshot): void {
    const { coming: now, ...rest } = this.#known(contractId);
    const others = now === undefined || now.body.cid === coming.body.cid ? {} : { coming: now };
    this.#put({ ...rest, ...others, letGo: [...rest.letGo, coming.body.cid] });
  }

  forget(contractId: string): void {
    this.#keys.delete(contractId);
    const known = this.of(contractId);
    rmSync(this.#place(contractId), { recursive: true, force: true });
    if (known === undefined || known.endedAt !== undefined) return;
    const { held: _held, coming, ...rest } = known;
    const letGo = [...rest.letGo, ...cidsOf(coming)];
    if (letGo.length === 0 && rest.home?.snapshot === undefined) {
      this.#ports.records.remove(known.key);
      return;
    }
    this.#put({ ...rest, letGo, endedAt: this.#ports.clock.now() });
    if (existsSync(this.#base)) syncDirectory(this.#base);
  }
}

export function guestVolumes(ports: GuestVolumePorts): GuestRooms {
  return new Guests(ports);
}
